"""The arithmetic that `training.blas` and `training.threads` ask for."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np  # noqa: F401 - its library of matrix products is what is looked at here
from threadpoolctl import ThreadpoolController

from pipeline import NATIVE, PORTABLE
from pipeline.errors import UserError


@contextmanager
def arithmetic(blas: str, threads: int) -> Iterator[None]:
    """Compute with the kernels and the number of threads that are asked for, within the block.

    Args:
        blas: `portable` for kernels that give the same bits on every x86-64 machine with AVX2 (elsewhere the
            machine's own), `native` for the machine's own.
        threads: how many threads a matrix product may use.

    Raises:
        UserError: if `portable` is asked for and NumPy was imported with other kernels.
    """
    libraries = ThreadpoolController().select(user_api="blas")
    kernels = {library.get("architecture", library["internal_api"]) for library in libraries.info()}
    if blas == "portable" and PORTABLE and kernels != {PORTABLE["OPENBLAS_CORETYPE"]}:
        raise UserError(
            f"training.blas = portable, but NumPy computes with {', '.join(kernels) or 'another library'}:"
            f" import pipeline before numpy, and do not set {NATIVE}"
        )
    with libraries.limit(limits=threads):
        yield


def computes_natively() -> bool:
    """Return whether NumPy has been left to choose the machine's own kernels."""
    return NATIVE in os.environ


def restart_natively(*arguments: str) -> None:
    """Start this program again, with `arguments` added, so that NumPy chooses the machine's own kernels.

    It chooses when it is imported, which is before any configuration is known.
    """
    for name in PORTABLE:
        os.environ.pop(name, None)
    os.environ[NATIVE] = "1"
    os.execv(sys.executable, [*sys.orig_argv, *arguments])
