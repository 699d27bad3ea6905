"""The arithmetic that `training.blas` and `training.threads` ask for."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

from pipeline import COMPUTES_NATIVELY, NATIVE, PORTABLE
from pipeline.errors import UserError, tell


@contextmanager
def portable_arithmetic() -> Iterator[None]:
    """Compute with the portable kernels on one thread, within the block: what is no training.

    Raises:
        UserError: if NumPy was imported with other kernels.
    """
    check_kernels("portable")
    with libraries_of_products().limit(limits=1):
        yield


@contextmanager
def arithmetic(blas: str, threads: int) -> Iterator[None]:
    """Train with the kernels and the number of threads that are asked for, within the block.

    Where there are fewer cores than threads, the user is told: fewer threads would give other bits.

    Args:
        blas: `portable` for kernels that give the same bits on every x86-64 machine with AVX2 (elsewhere the
            machine's own), `native` for the machine's own.
        threads: how many threads a matrix product of training may use; those that measure use one.

    Raises:
        UserError: if NumPy was imported with other kernels.
    """
    import_module("scipy.linalg.blas")  # or its library would be loaded later, with a thread for each core
    check_kernels(blas)
    cores = os.cpu_count() or 1
    if threads > cores:  # waiting for one another, they can take a hundred times as long
        tell(f"training.threads = {threads}: this machine has {cores} cores, so expect training to crawl")
    libraries = libraries_of_products()
    with libraries.limit(limits=threads), _numpys_own(libraries).limit(limits=1):
        yield


def check_kernels(blas: str) -> None:
    """Raise `UserError` unless NumPy was imported with the kernels that `blas` asks for: see `arithmetic`."""
    if not PORTABLE:
        return
    if blas == "native" and not COMPUTES_NATIVELY:
        raise UserError(
            f"training.blas = native, but NumPy was imported with the portable kernels: set {NATIVE}=1 in the"
            " environment before the program starts"
        )
    if blas == "portable" and COMPUTES_NATIVELY:
        raise UserError(f"portable kernels are asked for, but NumPy was imported with {NATIVE} set: unset it")
    libraries = libraries_of_products().info()
    kernels = {library.get("architecture", library["internal_api"]) for library in libraries}
    if blas == "portable" and kernels != {PORTABLE["OPENBLAS_CORETYPE"]}:
        raise UserError(
            "portable kernels are asked for, but NumPy computes with"
            f" {', '.join(kernels) or 'another library'}: import pipeline before numpy"
        )


def libraries_of_products() -> ThreadpoolController:
    """Return what controls the libraries of matrix products that have been loaded."""
    return ThreadpoolController().select(user_api="blas")


def _numpys_own(libraries: ThreadpoolController) -> ThreadpoolController:
    """Return what controls those of the `libraries` that came with NumPy.

    Training multiplies by SciPy's (`pipeline.nn.products`), all else by NumPy's. Where both have threads,
    those of the one wait for work in a loop that keeps the cores from the other's: a hundred times slower.
    """
    folder = Path(np.__file__).parent
    folders = {folder, folder.with_name("numpy.libs")}
    paths = [library["filepath"] for library in libraries.info()]
    return libraries.select(filepath=[path for path in paths if not folders.isdisjoint(Path(path).parents)])


def restart_with(blas: str, *arguments: str) -> None:
    """Start this program again, with `arguments` added, if NumPy was imported for other kernels than `blas`.

    It chooses them when it is imported, which is before any configuration is known.
    """
    native = blas == "native"
    if native == COMPUTES_NATIVELY:
        return
    if native:
        os.environ[NATIVE] = "1"
    else:
        os.environ.pop(NATIVE, None)
    os.execv(sys.executable, [*sys.orig_argv, *arguments])
