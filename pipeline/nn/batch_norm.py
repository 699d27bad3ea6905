"""Batch normalisation: hidden units whose pre-activations have mean 0 and variance 1 over a mini-batch.

S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift" (2015). With z⁽ˡ⁾ = a⁽ˡ⁻¹⁾ W⁽ˡ⁾ᵀ, and mean and variance of each unit over the rows of the mini-batch:

    u⁽ˡ⁾ = (z⁽ˡ⁾ − mean) / √(variance + ε)        a⁽ˡ⁾ = σ(u⁽ˡ⁾ + b⁽ˡ⁾)

Their factor γ is left out. What was learned in this way is a plain network: `pipeline.nn.folding`.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.types import Array

EPSILON = 1e-5  # added to the variance, which may be 0


@dataclass(frozen=True)
class Normalised:
    """Pre-activations of a layer that are normalised over the rows, and by what.

    Attributes:
        u: they themselves, shape (n, n_l).
        mean: of each unit before, shape (n_l,).
        deviation: √(variance + ε) of each unit before, shape (n_l,).
    """

    u: Array
    mean: Array
    deviation: Array


def normalise(z: Array, arithmetic: Arithmetic) -> Normalised:
    """Return the pre-activations `z`, shape (n, n_l), normalised over the rows."""
    mean = arithmetic.sum(z.T, axis=1) / len(z)
    u = z - mean
    variance = arithmetic.sum((u * u).T, axis=1) / len(z)
    deviation = np.sqrt(variance + z.dtype.type(EPSILON))
    u /= deviation
    return Normalised(u, mean, deviation)


def pass_back(delta: Array, normalised: Normalised, arithmetic: Arithmetic) -> None:
    """Turn ∂C/∂u, given in `delta`, shape (n, n_l), into ∂C/∂z.

    Whatever z is, u has mean 0 and variance 1. So the part of ∂C/∂u that would change these is lost:
    ∂C/∂z = (∂C/∂u − mean(∂C/∂u) − u · mean(u · ∂C/∂u)) / √(variance + ε), with means over the rows.
    """
    u, rows = normalised.u, len(delta)
    mean, along = (arithmetic.sum(a.T, axis=1) / rows for a in (delta, u * delta))
    delta -= mean
    delta -= u * along
    delta /= normalised.deviation
