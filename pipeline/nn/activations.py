"""Activation functions σ: a = σ(z), and the step back through them from ∂C/∂a to ∂C/∂z.

Each works on the pre-activations z of a mini-batch, shape (n, n_l), and on its activations a. An activation
is one class here; its name in configurations is that in `ACTIVATIONS`.
"""

import math
from abc import ABC, abstractmethod

import numpy as np

from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.types import Array


class Activation(ABC):
    """One activation function.

    Args:
        f: what computes exp and the like.
    """

    def __init__(self, f: Arithmetic) -> None:
        self.f = f

    @abstractmethod
    def forward(self, z: Array, out: Array | None = None) -> Array:
        """Return a = σ(z), written into `out` where that is given."""

    @abstractmethod
    def backward(self, z: Array, a: Array, delta: Array) -> None:
        """Turn ∂C/∂a, given in `delta`, into ∂C/∂z in place; element by element that is delta ⊙ σ′(z)."""


class CanonicalOutput(Activation):
    """An activation that has a loss of its own, whose gradient by z is a − y.

    With A′ = σ that loss is A(z) − y·z + A*(y), where A*(y), the convex conjugate of A, makes it 0 at a = y.
    """

    @abstractmethod
    def divergence(self, z: Array, a: Array, y: Array) -> Array:
        """Return terms, any shape, whose sum is that loss, summed over the mini-batch."""


class Identity(CanonicalOutput):
    """σ(z) = z, for regression; A(z) = z²/2, so the loss is half the squared error."""

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.positive(z, out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        pass  # σ′ = 1

    def divergence(self, z: Array, a: Array, y: Array) -> Array:
        return 0.5 * (a - y) ** 2


class ReLU(CanonicalOutput):
    """σ(z) = max(z, 0). A unit that is negative for every input learns nothing more: it is dead.

    A(z) = a²/2: the loss is half the squared error and, where z < 0, also y·|z|.
    """

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.maximum(z, 0, out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= a > 0

    def divergence(self, z: Array, a: Array, y: Array) -> Array:
        return 0.5 * (a - y) ** 2 + y * (a - z)


class LeakyReLU(Activation):
    """σ(z) = max(z, αz) with α = 0.01 (Maas, Hannun, Ng 2013): no unit can die."""

    alpha = 0.01

    def forward(self, z: Array, out: Array | None = None) -> Array:
        out = np.multiply(z, self.alpha, out=out)
        return np.maximum(z, out, out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.multiply(delta, self.alpha, out=delta, where=z < 0)


class ELU(Activation):
    """σ(z) = z for z > 0, eᶻ − 1 otherwise (Clevert, Unterthiner, Hochreiter 2016, with α = 1)."""

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.add(np.maximum(z, 0), self.f.expm1(np.minimum(z, 0)), out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= np.minimum(a, 0) + 1


class GELU(Activation):
    """σ(z) = z Φ(z), Φ the standard normal distribution function (Hendrycks, Gimpel 2016)."""

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.multiply(z, self._cdf(z), out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        density = self.f.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        delta *= self._cdf(z) + z * density

    def _cdf(self, z: Array) -> Array:
        return 0.5 * (1 + self.f.erf(z / math.sqrt(2)))


class SiLU(Activation):
    """σ(z) = z / (1 + e⁻ᶻ), also called swish (Elfwing, Uchibe, Doya 2018)."""

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.multiply(z, logistic(z, self.f), out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= a + logistic(z, self.f) * (1 - a)


class Mish(Activation):
    """σ(z) = z tanh(ln(1 + eᶻ)) (Misra 2020)."""

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.multiply(z, self._factor(capped_exp(z, self.f)), out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        w = capped_exp(z, self.f)
        t = self._factor(w)
        delta *= t + z * (1 - t * t) * (w / (1 + w))

    def _factor(self, w: Array) -> Array:
        """Return tanh(ln(1 + w)), of one fraction: tanh x = (e²ˣ − 1) / (e²ˣ + 1)."""
        n = w * (w + 2)  # (1 + w)² − 1, without cancellation
        return n / (n + 2)


class Softplus(Activation):
    """σ(z) = ln(1 + eᶻ), a smooth ReLU."""

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.positive(softplus(z, self.f), out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= logistic(z, self.f)


class Tanh(Activation):
    """σ(z) = tanh z."""

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.positive(self.f.tanh(z), out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= 1 - a * a


class Sigmoid(CanonicalOutput):
    """σ(z) = 1 / (1 + e⁻ᶻ), the logistic function; its loss is binary cross-entropy, less that of y."""

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.positive(logistic(z, self.f), out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= a * (1 - a)

    def divergence(self, z: Array, a: Array, y: Array) -> Array:
        # −y ln a − (1 − y) ln(1 − a) with −ln a = softplus(−z), −ln(1 − a) = softplus(z): no a rounded to 1.
        # As softplus(−z) = softplus(z) − z, one of them is enough.
        cross = np.maximum(z, 0) - y * z + self.f.log1p(self.f.exp(-np.abs(z)))
        return cross + _x_ln_x(y, self.f) + _x_ln_x(1 - y, self.f)


class Softmax(CanonicalOutput):
    """σ(z)ᵢ = e^zᵢ / Σⱼ e^zⱼ over each row: for the output layer only, since it mixes the units.

    A(z) = ln Σⱼ e^zⱼ; its loss is cross-entropy, less that of y.
    """

    def forward(self, z: Array, out: Array | None = None) -> Array:
        e = self.f.exp(z - z.max(axis=1, keepdims=True))
        return np.divide(e, self.f.sum(e, axis=1)[:, None], out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        # Its Jacobian is diag(a) − a aᵀ.
        delta -= self.f.sum(delta * a, axis=1)[:, None]
        delta *= a

    def divergence(self, z: Array, a: Array, y: Array) -> Array:
        # y ln(y/a), where ln a = z − max z + ln max a: no a rounded to 0.
        shares = np.where(y > 0, y, 1) / a.max(axis=1, keepdims=True)
        return y * (self.f.log(shares) - (z - z.max(axis=1, keepdims=True)))


ACTIVATIONS: dict[str, type[Activation]] = {
    "identity": Identity,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "silu": SiLU,
    "mish": Mish,
    "softplus": Softplus,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "softmax": Softmax,
}
ONE_ABOVE = 40.0  # above it, the logistic function rounds to 1; the square of e⁴⁰ is a float32
HIDDEN = tuple(name for name in ACTIVATIONS if name != "softmax")
CANONICAL = tuple(name for name, kind in ACTIVATIONS.items() if issubclass(kind, CanonicalOutput))


def capped_exp(z: Array, f: Arithmetic) -> Array:
    """Return eᶻ, above `ONE_ABOVE` that of `ONE_ABOVE`."""
    return f.exp(np.minimum(z, ONE_ABOVE))


def logistic(z: Array, f: Arithmetic) -> Array:
    """Return eᶻ / (eᶻ + 1) without overflow."""
    w = capped_exp(z, f)
    return w / (1 + w)


def softplus(z: Array, f: Arithmetic) -> Array:
    """Return ln(1 + eᶻ) without overflow."""
    return np.maximum(z, 0) + f.log1p(f.exp(-np.abs(z)))


def _x_ln_x(x: Array, f: Arithmetic) -> Array:
    """Return x ln x, 0 at 0."""
    return x * f.log(np.where(x > 0, x, 1))
