"""Optimizers: each turns a gradient into a step of the parameters, in place.

An optimizer is one class here; its name in configurations is that in `OPTIMIZERS`. Every operation is done
element by element, so it has the same bits on every machine. Two things save time. The gradient is
overwritten: a new array for each intermediate result would take longer than the arithmetic. And where a step
only adds gradients up, backpropagation multiplies them by the learning rate, in an array of few numbers.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from pipeline.nn.mlp import MLP
from pipeline.nn.parameters import Parameters
from pipeline.nn.types import Array
from pipeline.support.elementary import whole_power

BLOCK = (
    1 << 16
)  # numbers updated at a time: they stay in the processor's cache through all operations of a step
FLUSH_EVERY_STEPS = 100  # how often denormal numbers are set to 0


class Optimizer(ABC):
    """What every optimizer has: a learning rate η, a penalty ½λ‖W‖² on the weights, not the biases, clipping.

    Args:
        mlp: the network whose parameters θ `step` changes.
        learning_rate: η.
        weight_decay: λ; the gradient becomes ∂C/∂W + λW.
        clip_norm: a gradient ∂C/∂θ whose norm, over all parameters, is greater is scaled down to it; None
            leaves every gradient as it is. The penalty is added afterwards.

    Attributes:
        scaled: whether `step` takes the gradient times the learning rate.
        memory: names of what it keeps from step to step, each a number for each parameter, zero at first.
        state: these numbers by name.
        steps: how many were made.
    """

    scaled: ClassVar[bool] = False
    memory: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, mlp: MLP, *, learning_rate: float, weight_decay: float = 0.0, clip_norm: float | None = None
    ) -> None:
        self.mlp = mlp
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.steps = 0
        theta = mlp.parameters.vector
        self.state: dict[str, Array] = {name: np.zeros_like(theta) for name in self.memory}
        self._blocks = [slice(start, start + BLOCK) for start in range(0, len(theta), BLOCK)]

    @property
    def scale(self) -> float:
        """What the gradient that `step` takes is to be multiplied by."""
        return self.learning_rate if self.scaled else 1.0

    def step(self, gradient: Parameters) -> None:
        """Change the parameters by one step along `gradient`, ∂C/∂θ times `scale`, which is overwritten.

        Raises:
            FloatingPointError: if the step needs the gradient's square, and the dtype has no such number.
        """
        if self.clip_norm:
            self._clip(gradient.vector, self.scale * self.clip_norm)
        if self.weight_decay:
            self.decay(gradient)
        self.steps += 1
        for block in self._blocks:
            kept = (numbers[block] for numbers in self.state.values())
            self.update(self.mlp.parameters.vector[block], gradient.vector[block], *kept)
        if self.steps % FLUSH_EVERY_STEPS == 0:
            self._flush()

    @abstractmethod
    def update(self, theta: Array, g: Array, *kept: Array) -> None:
        """Change the parameters `theta` along their gradient `g`; all are the same block of vectors."""

    def decay(self, gradient: Parameters) -> None:
        """Add the gradient of the penalty."""
        for gradient_weights, weights in zip(gradient.weights, self.mlp.weights, strict=True):
            gradient_weights += self.scale * self.weight_decay * weights

    def _clip(self, g: Array, limit: float) -> None:
        length = self._norm(g)
        if length > limit:
            g *= limit / length

    def _norm(self, g: Array) -> float:
        """Return the Euclidean norm of `g`, also where its square is beyond the dtype's largest number."""
        square = float(self.mlp.arithmetic.sum(g * g))
        if math.isfinite(square):
            return math.sqrt(square)
        largest = float(np.abs(g).max())
        return largest * math.sqrt(float(self.mlp.arithmetic.sum((g / largest) ** 2)))

    def _flush(self) -> None:
        """Set denormal numbers to 0: they can cost a processor a hundred times the work of others.

        Where gradients have become 0, as those of a dead unit, their moving average decays to the smallest of
        these numbers and would stay there.
        """
        for numbers in self.state.values():
            numbers[np.abs(numbers) < np.finfo(numbers.dtype).tiny] = 0


class SGD(Optimizer):
    """θ ← θ − ηg; what `update` is given is ηg."""

    scaled = True

    def update(self, theta: Array, g: Array, *kept: Array) -> None:
        theta -= g


class Momentum(Optimizer):
    """v ← μv + ηg; θ ← θ − v, or with Nesterov's look-ahead θ ← θ − (ηg + μv).

    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
    learning" (2013). PyTorch keeps η out of v. As long as η stays the same so do the steps; where it changes,
    v here holds each gradient times the rate of its own step. What `update` is given is ηg.

    Args:
        mlp: the network.
        momentum: μ.
        nesterov: whether to look ahead.
        **common: see `Optimizer`.
    """

    scaled = True
    memory = ("velocity",)

    def __init__(self, mlp: MLP, *, momentum: float, nesterov: bool, **common: Any) -> None:
        super().__init__(mlp, **common)
        self.momentum = momentum
        self.nesterov = nesterov

    def update(self, theta: Array, g: Array, *kept: Array) -> None:
        [v] = kept
        v *= self.momentum
        v += g
        if self.nesterov:
            theta -= g
            np.multiply(v, self.momentum, out=g)
            theta -= g
        else:
            theta -= v


class Adam(Optimizer):
    """m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; θ ← θ − η m̂ / (√v̂ + ε), hats correcting the start at 0.

    D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1. What is kept is
    m / (1 − β₁) and v / (1 − β₂), which saves two of the operations on every parameter.

    Args:
        mlp: the network.
        beta1: β₁.
        beta2: β₂.
        epsilon: ε.
        **common: see `Optimizer`.
    """

    memory = ("mean", "square")

    def __init__(self, mlp: MLP, *, beta1: float, beta2: float, epsilon: float, **common: Any) -> None:
        super().__init__(mlp, **common)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def update(self, theta: Array, g: Array, *kept: Array) -> None:
        m, v = kept
        m *= self.beta1
        m += g
        with np.errstate(over="raise"):  # once infinite, v would hold the parameter where it is for good
            g *= g
            v *= self.beta2
            v += g
        # v̂ = root² v and m̂ = mean m.
        root = math.sqrt((1 - self.beta2) / (1 - whole_power(self.beta2, self.steps)))
        mean = (1 - self.beta1) / (1 - whole_power(self.beta1, self.steps))
        np.sqrt(v, out=g)
        g *= root
        g += self.epsilon
        np.divide(m, g, out=g)
        g *= self.learning_rate * mean
        theta -= g


class AdamW(Adam):
    """Adam with the decay of the weights kept out of the gradient and its averages: W ← W − ηλW, then Adam.

    I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization" (2019), as PyTorch writes it.
    """

    def decay(self, gradient: Parameters) -> None:
        parameters = self.mlp.parameters
        parameters.vector[: parameters.weight_count] *= 1 - self.learning_rate * self.weight_decay


class RMSprop(Optimizer):
    """v ← ρv + (1 − ρ)g²; θ ← θ − ηg / (√v + ε).

    T. Tieleman, G. Hinton, "Lecture 6.5: RMSprop" (2012), as PyTorch writes it.

    Args:
        mlp: the network.
        rho: ρ.
        epsilon: ε.
        **common: see `Optimizer`.
    """

    memory = ("square",)

    def __init__(self, mlp: MLP, *, rho: float, epsilon: float, **common: Any) -> None:
        super().__init__(mlp, **common)
        self.rho = rho
        self.epsilon = epsilon

    def update(self, theta: Array, g: Array, *kept: Array) -> None:
        [v] = kept
        with np.errstate(over="raise"):  # as in Adam
            v *= self.rho
            v += (1 - self.rho) * g * g
        g *= self.learning_rate
        g /= np.sqrt(v) + self.epsilon
        theta -= g


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
}
