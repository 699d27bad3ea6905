"""Optimizers: each turns a gradient into a step of the parameters, in place."""

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pipeline.nn.mlp import Parameters
from pipeline.nn.types import Array

BLOCK = 1 << 16  # numbers updated at a time: they stay in the cache through all operations of a step


class Optimizer(ABC):
    """What every optimizer has: a learning rate η, a penalty ½λ‖W‖² on the weights, not the biases, clipping.

    Args:
        parameters: what `step` changes.
        learning_rate: η.
        weight_decay: λ; the gradient becomes ∂C/∂W + λW.
        clip_norm: a gradient ∂C/∂θ whose norm, over all parameters, is greater is scaled down to it; None
            leaves every gradient as it is. The penalty is added afterwards.
    """

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.steps = 0
        size = len(parameters.vector)
        self._blocks = [slice(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]

    @property
    def gradient_scale(self) -> float:
        """The factor that `step` wants the gradient to have been multiplied by."""
        return 1.0

    def step(self, gradient: Parameters) -> None:
        """Change the parameters by one step along `gradient`, which is overwritten.

        Raises:
            FloatingPointError: if the step needs the gradient's square, and the dtype has no such number.
        """
        if self.clip_norm:
            self._clip(gradient)
        if self.weight_decay:
            self._decay(gradient)
        for block in self._blocks:
            self._update(self.parameters.vector[block], gradient.vector[block], block)

    def _clip(self, gradient: Parameters) -> None:
        norm = norm_of(gradient.vector)
        limit = self.gradient_scale * (self.clip_norm or math.inf)
        if norm > limit:
            gradient.vector *= limit / norm

    def _decay(self, gradient: Parameters) -> None:
        for gradient_weights, weights in zip(gradient.weights, self.parameters.weights, strict=True):
            gradient_weights += self.gradient_scale * self.weight_decay * weights

    def arrays(self) -> dict[str, Array]:
        """Return by name what a step changes besides the parameters, as it is: not a copy."""
        return {}

    @abstractmethod
    def _update(self, theta: Array, g: Array, block: slice) -> None:
        """Change the parameters `theta` along their gradient `g`; both are that block of the vectors."""


class SGD(Optimizer):
    """θ ← θ − ηg."""

    @property
    def gradient_scale(self) -> float:
        """η: to scale every gradient here would cost as much as the step itself."""
        return self.learning_rate

    def _update(self, theta: Array, g: Array, block: slice) -> None:
        theta -= g


class Momentum(Optimizer):
    """v ← μv + ηg; θ ← θ − v, or with Nesterov's look-ahead θ ← θ − (ηg + μv).

    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
    learning" (2013). PyTorch keeps η out of v. As long as η stays the same so do the steps; where it changes,
    v here holds each gradient times the rate of its own step.

    Args:
        parameters: what `step` changes.
        momentum: μ.
        nesterov: whether to look ahead.
        **common: see `Optimizer`.
    """

    def __init__(self, parameters: Parameters, *, momentum: float, nesterov: bool, **common: Any) -> None:
        super().__init__(parameters, **common)
        self.momentum = momentum
        self.nesterov = nesterov
        self.velocity = np.zeros_like(parameters.vector)

    @property
    def gradient_scale(self) -> float:
        """η, as for `SGD`."""
        return self.learning_rate

    def arrays(self) -> dict[str, Array]:
        """Return by name what a step changes besides the parameters, as it is: not a copy."""
        return {"velocity": self.velocity}

    def _update(self, theta: Array, g: Array, block: slice) -> None:
        v = self.velocity[block]
        v *= self.momentum
        v += g
        if self.nesterov:
            theta -= self.momentum * v
            theta -= g
        else:
            theta -= v


class Adam(Optimizer):
    """m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; θ ← θ − η m̂ / (√v̂ + ε), hats correcting the start at 0.

    D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1. What is kept is
    m / (1 − β₁) and v / (1 − β₂): in a wide network a step takes as long as memory does, and this saves it
    two passes over all parameters.

    Args:
        parameters: what `step` changes.
        beta1: β₁.
        beta2: β₂.
        epsilon: ε.
        **common: see `Optimizer`.
    """

    def __init__(
        self, parameters: Parameters, *, beta1: float, beta2: float, epsilon: float, **common: Any
    ) -> None:
        super().__init__(parameters, **common)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.mean = np.zeros_like(parameters.vector)
        self.square = np.zeros_like(parameters.vector)

    def arrays(self) -> dict[str, Array]:
        """Return by name what a step changes besides the parameters, as it is: not a copy."""
        return {"mean": self.mean, "square": self.square}

    def step(self, gradient: Parameters) -> None:
        """Change the parameters by one step along `gradient`, which is overwritten."""
        self.steps += 1
        super().step(gradient)

    def _update(self, theta: Array, g: Array, block: slice) -> None:
        m, v = self.mean[block], self.square[block]
        m *= self.beta1
        m += g
        with np.errstate(over="raise"):  # once infinite, v would hold the parameter where it is for good
            g *= g
            v *= self.beta2
            v += g
        # What the hats and the kept m and v lack, as one factor under the root and one before the fraction.
        root = math.sqrt((1 - self.beta2) / (1 - self.beta2**self.steps))
        rate = self.learning_rate * (1 - self.beta1) / (1 - self.beta1**self.steps)
        np.sqrt(v, out=g)
        g += self.epsilon / root
        np.divide(m, g, out=g)
        g *= rate / root
        theta -= g


class AdamW(Adam):
    """Adam with the decay of the weights kept out of the gradient and its averages: W ← W − ηλW, then Adam.

    I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization" (2019), as PyTorch writes it.
    """

    def _decay(self, gradient: Parameters) -> None:
        self.parameters.vector[: self.parameters.weight_count] *= 1 - self.learning_rate * self.weight_decay


def norm_of(vector: Array) -> float:
    """Return the Euclidean norm of `vector`, also where its square is beyond the dtype's largest number."""
    square = float(np.vdot(vector, vector))
    if math.isfinite(square):
        return math.sqrt(square)
    largest = float(np.abs(vector).max())
    scaled = vector / largest
    return largest * math.sqrt(float(np.vdot(scaled, scaled)))


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "momentum": Momentum, "adam": Adam, "adamw": AdamW}
