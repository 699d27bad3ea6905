"""Activation functions σ: forward, the step back through them, and their antiderivative.

Each works on the pre-activations z of a mini-batch, shape (n, n_l), and on its activations a = σ(z). The
antiderivative ("potential") A, with A′ = σ, is what the canonical loss is made of (`pipeline.nn.losses`).
"""

import math
from abc import ABC, abstractmethod

import numpy as np

from pipeline.nn.types import Array


class Activation(ABC):
    """One activation function; it has no state, so one instance serves every layer."""

    @abstractmethod
    def forward(self, z: Array, out: Array) -> None:
        """Write a = σ(z) into `out`."""

    @abstractmethod
    def backward(self, z: Array, a: Array, delta: Array) -> None:
        """Turn ∂C/∂a, given in `delta`, into ∂C/∂z in place; element by element that is delta ⊙ σ′(z)."""

    @abstractmethod
    def potential(self, z: Array, a: Array) -> float:
        """Return Σ A(z) over the batch, where A′ = σ."""


class Identity(Activation):
    """σ(z) = z, for regression."""

    def forward(self, z: Array, out: Array) -> None:
        np.copyto(out, z)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        pass  # σ′ = 1

    def potential(self, z: Array, a: Array) -> float:
        return 0.5 * float(np.vdot(z, z))


class ReLU(Activation):
    """σ(z) = max(z, 0). A unit that is negative for every input learns nothing more: it is dead."""

    def forward(self, z: Array, out: Array) -> None:
        out.fill(0)  # NumPy's maximum of two arrays is three times as fast as that of an array and a number
        np.maximum(z, out, out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= a > 0

    def potential(self, z: Array, a: Array) -> float:
        return 0.5 * float(np.vdot(a.T, a.T))  # transposed, it lies in memory as vdot reads it


class LeakyReLU(Activation):
    """σ(z) = max(z, αz) with α = 0.01 (Maas, Hannun, Ng 2013): no unit can die."""

    alpha = 0.01

    def forward(self, z: Array, out: Array) -> None:
        np.multiply(z, self.alpha, out=out)
        np.maximum(z, out, out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.multiply(delta, self.alpha, out=delta, where=z < 0)

    def potential(self, z: Array, a: Array) -> float:
        return 0.5 * float(np.vdot(z, a))


class ELU(Activation):
    """σ(z) = z for z > 0, eᶻ − 1 otherwise (Clevert, Unterthiner, Hochreiter 2016, with α = 1)."""

    def forward(self, z: Array, out: Array) -> None:
        np.minimum(z, 0, out=out)
        np.expm1(out, out=out)
        np.copyto(out, z, where=z > 0)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.multiply(delta, np.minimum(a, 0) + 1, out=delta)

    def potential(self, z: Array, a: Array) -> float:
        return float(np.where(z > 0, z * z / 2, a - z).sum())


class GELU(Activation):
    """σ(z) = z Φ(z), Φ the standard normal distribution function (Hendrycks, Gimpel 2016), exact."""

    def forward(self, z: Array, out: Array) -> None:
        np.multiply(z, _normal_cdf(z), out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.multiply(delta, _normal_cdf(z) + z * _normal_pdf(z), out=delta)

    def potential(self, z: Array, a: Array) -> float:
        return 0.5 * float(((z * z - 1) * _normal_cdf(z) + z * _normal_pdf(z)).sum())


class SiLU(Activation):
    """σ(z) = z / (1 + e⁻ᶻ), also called swish (Elfwing, Uchibe, Doya 2018)."""

    def forward(self, z: Array, out: Array) -> None:
        np.multiply(z, _logistic(z), out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.multiply(delta, a + _logistic(z) * (1 - a), out=delta)

    def potential(self, z: Array, a: Array) -> float:
        return float((z * _softplus(z) - _softplus_integral(z)).sum())


class Softplus(Activation):
    """σ(z) = ln(1 + eᶻ), a smooth ReLU."""

    def forward(self, z: Array, out: Array) -> None:
        np.copyto(out, _softplus(z))

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.multiply(delta, _logistic(z), out=delta)

    def potential(self, z: Array, a: Array) -> float:
        return float(_softplus_integral(z).sum())


class Tanh(Activation):
    """σ(z) = tanh z."""

    def forward(self, z: Array, out: Array) -> None:
        np.tanh(z, out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.multiply(delta, 1 - a * a, out=delta)

    def potential(self, z: Array, a: Array) -> float:
        # ln cosh z = |z| + ln(1 + e^(−2|z|)) − ln 2, which doesn't overflow.
        return float((np.abs(z) + np.log1p(np.exp(-2 * np.abs(z))) - math.log(2)).sum())


class Sigmoid(Activation):
    """σ(z) = 1 / (1 + e⁻ᶻ), the logistic function."""

    def forward(self, z: Array, out: Array) -> None:
        np.copyto(out, _logistic(z))

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.multiply(delta, a * (1 - a), out=delta)

    def potential(self, z: Array, a: Array) -> float:
        return float(_softplus(z).sum())


class Softmax(Activation):
    """σ(z)ᵢ = e^zᵢ / Σⱼ e^zⱼ over each row: for the output layer only, since it mixes the units."""

    def forward(self, z: Array, out: Array) -> None:
        np.subtract(z, z.max(axis=1, keepdims=True), out=out)
        np.exp(out, out=out)
        out /= out.sum(axis=1, keepdims=True)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        # Its Jacobian is diag(a) − a aᵀ.
        delta -= (delta * a).sum(axis=1, keepdims=True)
        delta *= a

    def potential(self, z: Array, a: Array) -> float:
        # ln Σⱼ e^zⱼ is zᵢ − ln aᵢ for every i; the greatest a can't be 0.
        return float((z.max(axis=1) - np.log(a.max(axis=1))).sum())


ACTIVATIONS: dict[str, Activation] = {
    "identity": Identity(),
    "relu": ReLU(),
    "leaky_relu": LeakyReLU(),
    "elu": ELU(),
    "gelu": GELU(),
    "silu": SiLU(),
    "softplus": Softplus(),
    "tanh": Tanh(),
    "sigmoid": Sigmoid(),
    "softmax": Softmax(),
}


def _logistic(z: Array) -> Array:
    exp = np.exp(-np.abs(z))  # of a number ≤ 0: can't overflow
    return np.where(z < 0, exp, 1) / (1 + exp)


def _softplus(z: Array) -> Array:
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def _softplus_integral(z: Array) -> Array:
    from scipy.special import spence  # costs 0.4 s, which most networks need not pay

    # −Li₂(−eᶻ), the antiderivative of softplus; SciPy's spence(x) is Li₂(1 − x). For z > 0 the inversion
    # formula of the dilogarithm, Li₂(−eᶻ) = −Li₂(−e⁻ᶻ) − π²/6 − z²/2, keeps eᶻ from overflowing.
    tail = -spence(1 + np.exp(-np.abs(z)))
    return np.where(z > 0, z * z / 2 + math.pi**2 / 6 - tail, tail)


def _normal_cdf(z: Array) -> Array:
    from scipy.special import erf

    return 0.5 * (1 + erf(z / math.sqrt(2)))


def _normal_pdf(z: Array) -> Array:
    return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
