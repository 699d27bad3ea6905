"""The losses, each with its value and with δ⁽ᴸ⁾ = ∂C/∂z⁽ᴸ⁾ side by side.

A loss is one class here; `name` is its name in configurations. All are means over the mini-batch and never
negative. y holds the targets, z and a the output layer's pre-activations and activations; all have shape
(n, n_L). `output` is the output layer's activation.
"""

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.nn.activations import Activation, CanonicalOutput
from pipeline.nn.types import Array
from pipeline.support.bounds import STRICT, Fraction


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Loss(ABC):
    """A loss C that training minimises.

    Attributes:
        name: in configurations.
        label_smoothing: the share of each 1 in the targets that is spread over all classes.
    """

    name: str = ""
    label_smoothing: Fraction = 0.0

    def value(self, output: Activation, z: Array, a: Array, y: Array) -> float:
        """Return C."""
        total = float(output.f.sum(self.terms(output, z, a, y)))
        return max(total, 0.0) / len(y)  # where a = y, rounding may leave less than 0

    @abstractmethod
    def terms(self, output: Activation, z: Array, a: Array, y: Array) -> Array:
        """Return terms, any shape, whose sum is n · C."""

    @abstractmethod
    def delta(self, output: Activation, z: Array, a: Array, y: Array, out: Array | None = None) -> Array:
        """Return δ⁽ᴸ⁾ = ∂C/∂z⁽ᴸ⁾, written into `out` where that is given."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Canonical(Loss):
    """The output activation's own loss, for which δ⁽ᴸ⁾ = (a⁽ᴸ⁾ − y) / n whatever the activation.

    For softmax it is cross-entropy, for the sigmoid binary cross-entropy, for the identity half the squared
    error: see `CanonicalOutput`. These are the matching losses of Auer, Herbster, Warmuth, "Exponentially
    many local minima for single neurons" (1995).
    """

    name: Literal["canonical"] = "canonical"

    def terms(self, output: Activation, z: Array, a: Array, y: Array) -> Array:
        assert isinstance(output, CanonicalOutput)
        return output.divergence(z, a, y)

    def delta(self, output: Activation, z: Array, a: Array, y: Array, out: Array | None = None) -> Array:
        out = np.subtract(a, y, out=out)
        out /= len(y)
        return out


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SquaredError(Loss):
    """Least squares, C = ½‖a − y‖², so that δ⁽ᴸ⁾ = (a⁽ᴸ⁾ − y) ⊙ σ′(z⁽ᴸ⁾) / n."""

    name: Literal["squared_error"] = "squared_error"

    def terms(self, output: Activation, z: Array, a: Array, y: Array) -> Array:
        return 0.5 * (a - y) ** 2

    def delta(self, output: Activation, z: Array, a: Array, y: Array, out: Array | None = None) -> Array:
        out = np.subtract(a, y, out=out)
        out /= len(y)
        output.backward(z, a, out)
        return out


LOSSES: dict[str, type[Loss]] = {each.name: each for each in (Canonical, SquaredError)}


def smooth(y: Array, smoothing: float) -> Array:
    """Return the targets `y`, one-hot rows, with the share `smoothing` of each 1 spread over all classes.

    C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture for
    Computer Vision" (2016). A single column of 0 and 1 stands for two classes.
    """
    return y * (1 - smoothing) + smoothing / max(y.shape[1], 2)
