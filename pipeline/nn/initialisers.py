"""How the weights start. The biases start at zero."""

import math

import numpy as np

from pipeline.nn.mlp import MLP
from pipeline.support.elementary import standard_normal


def initialise(
    mlp: MLP, rng: np.random.Generator, name: str, *, scale: float = 1, low: float = 0, high: float = 1
) -> None:
    """Draw the weights of `mlp` in float64, layer by layer, whatever the network's own dtype.

    Args:
        mlp: the network, changed in place.
        rng: where the numbers come from.
        name: `normal` for N(0, `scale`²); `uniform` for U[`low`, `high`); `he` for N(0, 2 / n_{l−1})
            (He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", 2015); `glorot` for U[−r, r) with
            r = √(6 / (n_{l−1} + n_l)) (Glorot, Bengio, "Understanding the difficulty of training deep
            feedforward neural networks", 2010).
        scale: standard deviation of `normal`.
        low: lower bound of `uniform`.
        high: upper bound of `uniform`.
    """
    for weights in mlp.weights:
        fan_out, fan_in = weights.shape
        match name:
            case "normal":
                weights[:] = scale * standard_normal(rng, weights.shape)
            case "uniform":
                weights[:] = low + (high - low) * rng.random(weights.shape)
            case "he":
                weights[:] = math.sqrt(2 / fan_in) * standard_normal(rng, weights.shape)
            case "glorot":
                bound = math.sqrt(6 / (fan_in + fan_out))
                weights[:] = bound * (2 * rng.random(weights.shape) - 1)
            case _:
                raise ValueError(f"no initialiser is named {name!r}")
    for biases in mlp.biases:
        biases[:] = 0
