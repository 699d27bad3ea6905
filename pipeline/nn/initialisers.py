"""How the weights start. The biases start at zero.

An initialiser is one class here; `name` is its name in configurations.
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array
from pipeline.support.bounds import STRICT, Weight
from pipeline.support.elementary import standard_normal


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Initialiser(ABC):
    """Draws weights, in float64 whatever the network's own dtype."""

    name: str = ""

    def initialise(self, mlp: MLP, rng: np.random.Generator) -> None:
        """Draw the weights of `mlp` from `rng`, layer by layer, in place."""
        for weights in mlp.weights:
            weights[:] = self.draw(weights.shape, rng)
        for biases in mlp.biases:
            biases[:] = 0

    @abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the weights of one layer; `shape` is (n_l, n_{l−1})."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Normal(Initialiser):
    """Weights from N(0, scale²)."""

    name: Literal["normal"] = "normal"
    scale: Annotated[Weight, Field(gt=0)]

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self.scale * standard_normal(rng, shape)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Uniform(Initialiser):
    """Weights from U[low, high)."""

    name: Literal["uniform"] = "uniform"
    low: Weight
    high: Weight

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError("low should be less than high")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self.low + (self.high - self.low) * rng.random(shape)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class He(Initialiser):
    """Weights from N(0, 2 / n_{l−1}).

    K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers" (2015).
    """

    name: Literal["he"] = "he"

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        _, fan_in = shape
        return math.sqrt(2 / fan_in) * standard_normal(rng, shape)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Glorot(Initialiser):
    """Weights from U[−r, r) with r = √(6 / (n_{l−1} + n_l)).

    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010).
    """

    name: Literal["glorot"] = "glorot"

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        fan_out, fan_in = shape
        return math.sqrt(6 / (fan_in + fan_out)) * (2 * rng.random(shape) - 1)


INITIALISERS: dict[str, type[Initialiser]] = {each.name: each for each in (Normal, Uniform, He, Glorot)}
