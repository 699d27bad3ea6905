"""The two losses, each with its value and with δ⁽ᴸ⁾ = ∂C/∂z⁽ᴸ⁾ side by side.

Both are means over the mini-batch. y holds the targets, z and a the output layer's pre-activations and
activations; all have shape (n, n_L).
"""

from abc import ABC, abstractmethod

import numpy as np

from pipeline.nn.activations import Activation
from pipeline.nn.types import Array


class Loss(ABC):
    """A loss C that training minimises."""

    @abstractmethod
    def value(self, z: Array, a: Array, y: Array, output: Activation) -> float:
        """Return C."""

    @abstractmethod
    def delta(self, z: Array, a: Array, y: Array, output: Activation, scale: float, out: Array) -> None:
        """Write δ⁽ᴸ⁾ = ∂C/∂z⁽ᴸ⁾, times `scale`, into `out`."""


class Canonical(Loss):
    """The output activation's own loss, C(z, y) = A(z) − y·z with A′ = σ, so that δ⁽ᴸ⁾ = a⁽ᴸ⁾ − y.

    For softmax it is cross-entropy, for the sigmoid binary cross-entropy, for the identity half the
    squared error, for ReLU ½ relu(z)² − y·z; each up to a constant that depends on y alone. These are the
    matching losses of Auer, Herbster, Warmuth, "Exponentially many local minima for single neurons" (1995).
    """

    def value(self, z: Array, a: Array, y: Array, output: Activation) -> float:
        return (output.potential(z, a) - float(np.vdot(y.T, z.T))) / len(y)

    def delta(self, z: Array, a: Array, y: Array, output: Activation, scale: float, out: Array) -> None:
        np.subtract(a, y, out=out)
        out *= scale / len(y)


class SquaredError(Loss):
    """Least squares, C = ½‖a − y‖², so that δ⁽ᴸ⁾ = (a⁽ᴸ⁾ − y) ⊙ σ′(z⁽ᴸ⁾)."""

    def value(self, z: Array, a: Array, y: Array, output: Activation) -> float:
        error = a - y
        return 0.5 * float(np.vdot(error, error)) / len(y)

    def delta(self, z: Array, a: Array, y: Array, output: Activation, scale: float, out: Array) -> None:
        np.subtract(a, y, out=out)
        out *= scale / len(y)
        output.backward(z, a, out)


def smooth(y: Array, smoothing: float) -> Array:
    """Return the targets `y`, one-hot rows, with the share `smoothing` of each 1 spread over all classes.

    C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture for
    Computer Vision" (2016). A single column of 0 and 1 stands for two classes.
    """
    return y * (1 - smoothing) + smoothing / max(y.shape[1], 2)


LOSSES: dict[str, Loss] = {"canonical": Canonical(), "squared_error": SquaredError()}
