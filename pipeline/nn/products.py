"""The matrix products of training, which can be added to what is there already."""

from collections.abc import Callable
from functools import cache

import numpy as np

from pipeline.nn.types import Array


def gemm(a: Array, b: Array, out: Array, keep: float = 0.0) -> None:
    """Compute out ← keep · out + a b, BLAS's `gemm`; NumPy's `dot` is the same with keep = 0.

    With it a step needs no pass over a gradient of its own, which costs up to a quarter of an epoch.
    Unlike NumPy's, SciPy's function does not let other Python threads go on while it computes.

    Args:
        a: shape (m, k), of the dtype of `out`.
        b: shape (k, n), likewise.
        out: shape (m, n), float32 or float64; in memory row by row or column by column, without gaps.
        keep: factor of what is in `out`; where it is 0, NaN is overwritten too.

    Raises:
        ValueError: if `out` lies otherwise in memory.
    """
    if not out.flags.f_contiguous:  # BLAS thinks in columns
        a, b, out = b.T, a.T, out.T
    transpose_a, transpose_b = not a.flags.f_contiguous, not b.flags.f_contiguous
    a, b = a.T if transpose_a else a, b.T if transpose_b else b
    # alpha, a, b, beta, c, trans_a, trans_b, overwrite_c: by name they take 15 % longer in a small network.
    result = _function("gemm", out.dtype)(1.0, a, b, keep, out, transpose_a, transpose_b, True)
    _check_in_place("gemm", result, out)


def gemv(a: Array, x: Array, out: Array, keep: float = 0.0) -> None:
    """Compute out ← keep · out + a x, BLAS's `gemv`.

    Args:
        a: shape (m, k), of the dtype of `out`; in memory row by row or column by column, without gaps.
        x: shape (k,), likewise.
        out: shape (m,), float32 or float64, without gaps in memory.
        keep: factor of what is in `out`; where it is 0, NaN is overwritten too.

    Raises:
        ValueError: if `out` has gaps in memory.
    """
    transpose = not a.flags.f_contiguous
    # alpha, a, x, beta, y, offx, incx, offy, incy, trans, overwrite_y.
    result = _function("gemv", out.dtype)(
        1.0, a.T if transpose else a, x, keep, out, 0, 1, 0, 1, transpose, True
    )
    _check_in_place("gemv", result, out)


def axpy(factor: float, x: Array, out: Array) -> None:
    """Compute out ← out + factor · x, BLAS's `axpy`, on as many threads as a product.

    Args:
        factor: of `x`.
        x: shape (n,), of the dtype of `out`.
        out: shape (n,), float32 or float64, without gaps in memory.

    Raises:
        ValueError: if `out` has gaps in memory.
    """
    _check_in_place("axpy", _function("axpy", out.dtype)(x, out, a=factor), out)


def _check_in_place(name: str, result: Array, out: Array) -> None:
    if result is not out:
        raise ValueError(f"{name} can't compute in place in an array with gaps in memory")


@cache
def _function(name: str, dtype: np.dtype) -> Callable[..., Array]:
    from scipy.linalg.blas import get_blas_funcs  # takes 0.15 s, which only training has to pay

    function: Callable[..., Array] = get_blas_funcs(name, dtype=dtype)
    return function
