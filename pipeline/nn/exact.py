"""Sums and matrix products without rounding, so that the order of the additions cannot matter.

A matrix product's last bits depend on the library's kernel: in which order it adds, and whether it fuses
multiplication and addition. Where no partial sum is ever rounded, every order gives the same bits. That is
so where all factors are whole numbers of few bits, times a power of two: the product of two numbers of p bits
has 2p bits, a sum of k of them has 2p + log₂ k, and float64 holds 53.

So each factor is rounded to a grid first: to whole multiples of a power of two, chosen so that the largest
number of the array has p = ⌊(53 − ⌈log₂ k⌉) / 2⌋ bits. For 784 terms these are 21, against the 24 of float32.

K. Ozaki, T. Ogita, S. Oishi, S. Rump, "Error-free transformations of matrix multiplication by using fast
routines of matrix multiplication and its applications" (2012), split each factor into several such slices.
One slice is precise enough for training.
"""

import math
from typing import Literal

import numpy as np

from pipeline.nn.types import Array

PRECISION = 53  # bits of a float64
# Numbers from 2⁴⁰⁰ on become NaN: their products could overflow in one order of additions only.
LARGEST_EXPONENT = 400
SMALLEST_EXPONENT = -400  # numbers far below 2⁻⁴⁰⁰ become 0, since their products could lose bits


def product_bits(terms: int) -> int:
    """Return to how many bits the factors of a product over so many terms are to be rounded."""
    return (PRECISION - (terms - 1).bit_length()) // 2


def to_grid(a: Array, bits: int, out: Array | None = None, *, by_row: bool = False) -> Array:
    """Round `a` to whole multiples of a power of two, so that the largest of them has `bits` bits.

    Adding 1.5 · 2⁵² multiples moves the last bit that a float64 can hold to where the grid has it; IEEE 754
    rounds there, to the nearest and in a tie to the even multiple.

    Args:
        a: float64, any shape, at least one number.
        bits: from 1 to 51.
        out: where to write the result, which may be `a` itself; None for a new array.
        by_row: whether each row of `a`, (n, m), has a grid of its own.

    Returns:
        The rounded numbers. All are NaN where one number is NaN or at least 2⁴⁰⁰: a training that comes so
        far has diverged.
    """
    if by_row:
        largest = np.maximum(a.max(axis=1, keepdims=True), -a.min(axis=1, keepdims=True))
        exponent = np.clip(np.frexp(largest)[1], SMALLEST_EXPONENT, LARGEST_EXPONENT)
        shift = np.ldexp(1.5, exponent + PRECISION - 1 - bits)
        shift = np.where(largest < 2.0**LARGEST_EXPONENT, shift, np.nan)
    else:
        size = max(float(a.max()), -float(a.min()))
        if not size < 2.0**LARGEST_EXPONENT:
            return np.add(a, np.nan, out=out)
        shift = math.ldexp(1.5, max(math.frexp(size)[1], SMALLEST_EXPONENT) + PRECISION - 1 - bits)
    out = np.add(a, shift, out=out)
    out -= shift
    return out


def exact_sum(a: Array, axis: Literal[1] | None = None) -> Array:
    """Return the sum of `a`, or of each of its rows for `axis` 1, the same in every order of the additions.

    The numbers are rounded to a grid that leaves room for their sum: of n numbers, to 53 − ⌈log₂ n⌉ bits.
    Each row has a grid of its own, so its sum does not depend on the others.
    """
    terms = a.size if axis is None else a.shape[axis]
    bits = min(PRECISION - (terms - 1).bit_length(), PRECISION - 2)
    return np.asarray(np.add.reduce(to_grid(a, bits, by_row=axis == 1) if a.size else a, axis=axis))
