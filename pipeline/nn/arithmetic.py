"""What a network computes with: `training.arithmetic`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.nn.exact import exact_sum
from pipeline.nn.types import Array
from pipeline.support import elementary as functions


@dataclass(frozen=True)
class Arithmetic:
    """A number format, and the operations whose last bits depend on who computes them.

    Attributes:
        name: `exact`, `float32` or `float64`.
        dtype: of parameters, activations and gradients.
        exact: whether every result has the same bits on every machine. It takes longer than float32.
        exp, expm1, log, log1p, tanh, erf: element by element, with the result in the array's own dtype.
        sum: of an array, over all of it or along `axis`.
    """

    name: str
    dtype: type[np.floating]
    exact: bool
    exp: Callable[[Array], Array]
    expm1: Callable[[Array], Array]
    log: Callable[[Array], Array]
    log1p: Callable[[Array], Array]
    tanh: Callable[[Array], Array]
    erf: Callable[[Array], Array]
    sum: Callable[..., Array]


def _sum(a: Array, axis: int | None = None) -> Array:
    return np.asarray(np.add.reduce(a, axis=axis))  # without np.sum's own 2 µs


def _erf(x: Array) -> Array:
    return functions.erf(x).astype(x.dtype)  # NumPy has none


_floating = partial(
    Arithmetic,
    exact=False,
    exp=np.exp,
    expm1=np.expm1,
    log=np.log,
    log1p=np.log1p,
    tanh=np.tanh,
    erf=_erf,
    sum=_sum,
)
EXACT = Arithmetic(
    "exact",
    np.float64,
    exact=True,
    exp=functions.exp,
    expm1=functions.expm1,
    log=functions.log,
    log1p=functions.log1p,
    tanh=functions.tanh,
    erf=functions.erf,
    sum=exact_sum,
)
FLOAT32 = _floating("float32", np.float32)
FLOAT64 = _floating("float64", np.float64)
ARITHMETICS = {arithmetic.name: arithmetic for arithmetic in (EXACT, FLOAT32, FLOAT64)}
