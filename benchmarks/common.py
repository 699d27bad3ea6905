"""What the benchmarks share: the machine in one line, and targets met or missed."""

import os
import platform
from pathlib import Path

import numpy as np
from rich.console import Console
from threadpoolctl import ThreadpoolController

ROOT = Path(__file__).parents[1]

console = Console(highlight=False, soft_wrap=True)


def machine() -> str:
    """Return the processor, its cores, and what NumPy computes with, in one line."""
    blas = ", ".join(
        f"{library['internal_api']} {library['version']} ({library['architecture']} kernels)"
        for library in ThreadpoolController().select(user_api="blas").info()
    )
    return f"{_processor()}, {os.cpu_count()} cores; NumPy {np.__version__}, {blas}"


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
