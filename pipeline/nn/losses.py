"""The losses, each with its value and with δ⁽ᴸ⁾ = ∂C/∂z⁽ᴸ⁾ side by side.

All are means over the mini-batch and never negative. y holds the targets, z and a the output layer's
pre-activations and activations; all have shape (n, n_L).
"""

from abc import ABC, abstractmethod

import numpy as np

from pipeline.nn.activations import Activation, CanonicalOutput
from pipeline.nn.types import Array


class Loss(ABC):
    """A loss C that training minimises.

    Args:
        output: the output layer's activation.
    """

    def __init__(self, output: Activation) -> None:
        self.output = output

    def value(self, z: Array, a: Array, y: Array) -> float:
        """Return C."""
        total = float(self.output.f.sum(self.terms(z, a, y)))
        return max(total, 0.0) / len(y)  # where a = y, rounding may leave less than 0

    @abstractmethod
    def terms(self, z: Array, a: Array, y: Array) -> Array:
        """Return terms, any shape, whose sum is n · C."""

    @abstractmethod
    def delta(self, z: Array, a: Array, y: Array, out: Array | None = None) -> Array:
        """Return δ⁽ᴸ⁾ = ∂C/∂z⁽ᴸ⁾, written into `out` where that is given."""


class Canonical(Loss):
    """The output activation's own loss, for which δ⁽ᴸ⁾ = (a⁽ᴸ⁾ − y) / n whatever the activation.

    For softmax it is cross-entropy, for the sigmoid binary cross-entropy, for the identity half the squared
    error: see `CanonicalOutput`. These are the matching losses of Auer, Herbster, Warmuth, "Exponentially
    many local minima for single neurons" (1995).
    """

    output: CanonicalOutput

    def terms(self, z: Array, a: Array, y: Array) -> Array:
        return self.output.divergence(z, a, y)

    def delta(self, z: Array, a: Array, y: Array, out: Array | None = None) -> Array:
        out = np.subtract(a, y, out=out)
        out /= len(y)
        return out


class SquaredError(Loss):
    """Least squares, C = ½‖a − y‖², so that δ⁽ᴸ⁾ = (a⁽ᴸ⁾ − y) ⊙ σ′(z⁽ᴸ⁾) / n."""

    def terms(self, z: Array, a: Array, y: Array) -> Array:
        return 0.5 * (a - y) ** 2

    def delta(self, z: Array, a: Array, y: Array, out: Array | None = None) -> Array:
        out = np.subtract(a, y, out=out)
        out /= len(y)
        self.output.backward(z, a, out)
        return out


LOSSES: dict[str, type[Loss]] = {"canonical": Canonical, "squared_error": SquaredError}


def smooth(y: Array, smoothing: float) -> Array:
    """Return the targets `y`, one-hot rows, with the share `smoothing` of each 1 spread over all classes.

    C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture for
    Computer Vision" (2016). A single column of 0 and 1 stands for two classes.
    """
    return y * (1 - smoothing) + smoothing / max(y.shape[1], 2)
