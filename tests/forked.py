"""Many commands in little time: Python imports `pipeline.train` once, and forks for each.

`python -m tests.forked` reads lines of JSON: a folder and the arguments of a command there. It answers each
line with the command's exit status and standard error.
"""

import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

from tests.commands import ROOT


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    stderr: str

    def lines(self) -> list[str]:
        """Return the lines on standard error without what progress bars left there."""
        lines = self.stderr.replace("\r", "\n").splitlines()
        return [line for line in lines if line.strip() and "epoch/s" not in line and "job/s" not in line]

    def is_error(self, told: str = "error: ") -> bool:
        """Return whether it failed with one line, which begins with what is `told`."""
        return self.status == 1 and len(self.lines()) == 1 and f"{self.lines()[0]}\n".startswith(told)


def run_each(folder: Path, commands: list[list[str]], folders: list[Path] | None = None) -> list[Ended]:
    """Run `python -m pipeline.train` once for each list of arguments, in `folder`, or each in its own."""
    lines = zip(map(str, folders or [folder] * len(commands)), commands, strict=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.forked"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input="\n".join(map(json.dumps, lines)),
        capture_output=True,
        text=True,
        check=True,
    )
    return [Ended(*json.loads(line)) for line in done.stdout.splitlines()]


def run_forked(folder: str, arguments: list[str]) -> Ended:
    """Run the command in `folder`, in a process of its own, which has all modules."""
    with tempfile.TemporaryFile() as stderr:
        pid = os.fork()
        if not pid:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(stderr.fileno(), 2)
            os.chdir(folder)
            sys.argv[1:] = arguments
            status = 0
            try:
                runpy.run_module("pipeline.train", run_name="__main__", alter_sys=True)
            except SystemExit as end:
                if isinstance(end.code, str):
                    print(end.code, file=sys.stderr)
                status = end.code if isinstance(end.code, int) else 1
            except BaseException:
                traceback.print_exc()
                status = 99
            sys.stderr.flush()
            os._exit(status)
        _, wait_status = os.waitpid(pid, 0)
        stderr.seek(0)
        return Ended(os.waitstatus_to_exitcode(wait_status), stderr.read().decode(errors="replace"))


if __name__ == "__main__":
    import pipeline.train  # noqa: F401 - once for all

    warnings.filterwarnings("ignore", r"'pipeline.train' found in sys.modules", RuntimeWarning)
    for line in sys.stdin:
        print(json.dumps(run_forked(*json.loads(line))), flush=True)
