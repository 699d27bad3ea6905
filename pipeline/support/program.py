"""What every command `python -m pipeline.…` has in common: `--help`, errors of one line, checked inputs.

A command imports this module before any other. The import of NumPy and other libraries takes a second, and
Ctrl-C in that second is then no traceback either.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from pipeline.support.errors import one_line_errors, warn


@contextmanager
def program(description: str | None = None, stage: str | None = None) -> Iterator[None]:
    """Run the block as a command, whose errors are one line if the user can mend them (`one_line_errors`).

    Args:
        description: what `--help` answers for a command without options, which refuses any other argument;
            None for a command that reads its arguments itself.
        stage: the stage of `dvc.yaml` that the command is, if any. Its inputs have to stay the same while it
            runs (`pipeline.support.stage_inputs`).
    """
    with one_line_errors():
        if description:
            summary, *_ = description.split("\n\n")
            argparse.ArgumentParser(prog=command(), description=summary).parse_args()
        if not stage:
            yield
            return
        from pipeline.support.stage_inputs import unchanged  # here, since `--help` does not need it

        with unchanged(stage):
            yield


def command() -> str:
    """Return how this program was started: `python -m pipeline.evaluate`."""
    return f"python -m {module().removesuffix('.__main__')}"


def module() -> str:
    """Return the name of the module that runs as a program; "" if it is a script or a shell."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if spec else ""


def say_interrupted(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print one line for Ctrl-C, and any other error as Python does."""
    if issubclass(kind, KeyboardInterrupt):
        warn("interrupted")
    else:
        sys.__excepthook__(kind, error, traceback)


if module().startswith(("pipeline.", "benchmarks.")):  # not if another program imports this one
    sys.excepthook = say_interrupted
