"""What every command `python -m pipeline.…` has in common: its options, its errors, its inputs.

A command imports this module before anything else, so that Ctrl-C is no traceback while Python still imports
NumPy and the others, which takes a second.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from pipeline.support.errors import one_line_errors, tell


@contextmanager
def program(description: str | None = None, stage: str | None = None) -> Iterator[None]:
    """Run the block as a command: what a user can cause ends it with one line (`one_line_errors`).

    Args:
        description: of a command without options, which `--help` answers with; any other argument is refused.
            None for a command that reads its arguments itself.
        stage: the stage of `dvc.yaml` that the command is, whose inputs have to stay as they are meanwhile.
    """
    with one_line_errors():
        if description:
            summary, *_ = description.split("\n\n")
            argparse.ArgumentParser(prog=command(), description=summary).parse_args()
        if not stage:
            yield
            return
        from pipeline.support.stage_inputs import unchanged  # only now: `--help` does without

        with unchanged(stage):
            yield


def command() -> str:
    """Return how this program was started: `python -m pipeline.evaluate`."""
    return f"python -m {module().removesuffix('.__main__')}"


def module() -> str:
    """Return the name of the module that runs as a program; nothing where a script or a shell does."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if spec else ""


def say_interrupted(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say in one line that Ctrl-C ended the program; show every other error as Python does."""
    if issubclass(kind, KeyboardInterrupt):
        tell("interrupted")
    else:
        sys.__excepthook__(kind, error, traceback)


if module().startswith(("pipeline.", "benchmarks.")):  # not where somebody else's program imports ours
    sys.excepthook = say_interrupted
