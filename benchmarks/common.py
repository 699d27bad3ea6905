"""What the benchmarks share: the machine in one line, and targets met or missed."""

import platform
import sys
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

import numpy as np
import scipy.linalg.blas  # whose library is named below
from rich.console import Console
from rich.progress import track

from pipeline.blas import libraries_of_products
from pipeline.cores import usable_cores

ROOT = Path(__file__).parents[1]

T = TypeVar("T")

console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


def progress(items: Iterable[T], words: str) -> Iterable[T]:
    """Go through `items` with a progress bar on a terminal, which vanishes at the end."""
    return track(items, words, console=console, transient=True, disable=not console.is_terminal)


def machine() -> str:
    """Return the processor, its cores, and what NumPy and SciPy compute with, in one line."""
    blas = ", ".join(
        f"{library['internal_api']} {library['version']} ({library.get('architecture', 'its own')} kernels)"
        for library in sorted(libraries_of_products().info(), key=itemgetter("filepath"))
    )
    return (
        f"{_processor()}, {usable_cores()} cores; NumPy {np.__version__}, SciPy {scipy.__version__}, {blas}"
    )


def verdict(met: bool, target: str) -> str:
    """Return `target` with whether it was met, in colour."""
    return f"{target}: [green]met[/]" if met else f"{target}: [red]missed[/]"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
