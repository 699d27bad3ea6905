"""What the benchmarks share: the machine in one line, and targets met or missed."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_info

from pipeline.support.cores import usable_cores
from pipeline.support.errors import UserError

ROOT = Path(__file__).parents[1]
SAMPLE_INTERVAL_S = 0.005  # from one sample of a process's memory to the next

T = TypeVar("T")

console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


def untracked_environment() -> dict[str, str]:
    """Return the environment without what would take runs to another MLflow store; `python` is this one."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    return kept | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}


def progress(items: Iterable[T], words: str) -> Iterable[T]:
    """Go through `items` with a progress bar on a terminal, which vanishes at the end."""
    return track(items, words, console=console, transient=True, disable=not console.is_terminal)


class Worker:
    """A process that waits for its turn: it answers each line that it is given with a line.

    Args:
        title: what it is called if it fails.
        command: what starts it.
        environment: variables that it gets beside ours.

    Attributes:
        version: of its library, which it says first; empty where that is not installed.
    """

    def __init__(self, title: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.title = title
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = self._answer()

    def ask(self, line: str) -> str:
        """Give it the `line`, and return its answer."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise UserError(f"the benchmark of {self.title} failed: see above")
        return line.strip()


def machine() -> str:
    """Return the processor, its cores, and what NumPy computes with, in one line."""
    cores = usable_cores()
    return f"{_processor()}, {cores} core{'s' if cores > 1 else ''}; NumPy {np.__version__}, {_blas()}"


def verdict(met: bool, target: str) -> str:
    """Return `target` with whether it was met, in colour."""
    return f"{target}: [green]met[/]" if met else f"{target}: [red]missed[/]"


def peak_memory(process: subprocess.Popen[str], what: str) -> tuple[float, float]:
    """Wait for `process` to end, and return its peaks of resident and of anonymous memory in MB.

    Raises:
        UserError: if it fails, with `what` it does and what it says on its standard error, a pipe.
    """
    resident = anonymous = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        sizes = dict(line.split(":", 1) for line in status.splitlines())
        if "VmHWM" in sizes:  # not there while the process is ending
            resident = int(sizes["VmHWM"].split()[0])
            anonymous = max(anonymous, int(sizes["RssAnon"].split()[0]))
        time.sleep(SAMPLE_INTERVAL_S)
    _, errors = process.communicate()
    if process.returncode:
        raise UserError(f"{what} failed: {errors.strip()}")
    return resident / 1000, anonymous / 1000


def _blas() -> str:
    """Return the library of NumPy's matrix products; threadpoolctl does not know Apple's Accelerate."""
    for library in threadpool_info():
        if library["user_api"] == "blas":
            kernels = library.get("architecture", "its own")
            return f"{library['internal_api']} {library['version']} ({kernels} kernels)"
    return str(np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
