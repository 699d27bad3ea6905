"""Optimizers: each turns a gradient into a step of the parameters, in place.

An optimizer is one class here; `name` is its name in configurations. It holds the hyper-parameters and the
rule; `Descent` applies the rule to a network, step by step. Every operation is done element by element, so it
has the same bits on every machine. Two things save time. The gradient is overwritten: a new array for each
intermediate result would take longer than the arithmetic. And where a step only adds gradients up,
backpropagation multiplies them by the learning rate, in an array of few numbers.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.nn.mlp import MLP
from pipeline.nn.parameters import Parameters
from pipeline.nn.types import Array
from pipeline.support.bounds import STRICT, Flag, Fraction, NonNegative, Positive
from pipeline.support.elementary import whole_power

BLOCK = 1 << 16  # numbers updated at a time: they stay in the processor's cache through a whole step
FLUSH_EVERY_STEPS = 100  # how often denormal numbers are set to 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Optimizer(ABC):
    """The hyper-parameters that every optimizer has, and its rule.

    Attributes:
        name: in configurations.
        learning_rate: η.
        weight_decay: λ of the penalty ½λ‖W‖² on the weights, not the biases: the gradient becomes ∂C/∂W + λW.
        clip_norm: a gradient ∂C/∂θ whose norm, over all parameters, is greater is scaled down to it; None
            leaves every gradient as it is. The penalty is added afterwards.
        scaled: whether `update` takes the gradient times the learning rate.
        memory: names of what is kept from step to step, each a number for each parameter, zero at first.
    """

    name: str = ""
    learning_rate: Positive
    weight_decay: NonNegative = 0.0
    clip_norm: Positive | None = None
    scaled: ClassVar[bool] = False
    memory: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def update(self, theta: Array, g: Array, kept: list[Array], rate: float, step: int) -> None:
        """Change parameters in place.

        Args:
            theta: a block of the parameters θ.
            g: their gradient; may be overwritten.
            kept: what is kept of them, as `memory` names it.
            rate: the learning rate of this step.
            step: the number of this step, from 1.
        """

    def decay(self, weights: Array, g: Array, rate: float) -> None:
        """Add the gradient of the penalty on a block of the weights to `g`, their gradient, in place."""
        g += self.weight_decay * (rate if self.scaled else 1.0) * weights


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SGD(Optimizer):
    """θ ← θ − ηg; what `update` is given is ηg."""

    name: Literal["sgd"] = "sgd"
    scaled: ClassVar[bool] = True

    def update(self, theta: Array, g: Array, kept: list[Array], rate: float, step: int) -> None:
        theta -= g


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Momentum(Optimizer):
    """v ← μv + ηg; θ ← θ − v, or with Nesterov's look-ahead θ ← θ − (ηg + μv).

    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
    learning" (2013). PyTorch keeps η out of v. As long as η stays the same so do the steps; where it changes,
    v here holds each gradient times the rate of its own step. What `update` is given is ηg.

    Attributes:
        momentum: μ.
        nesterov: whether to look ahead.
    """

    name: Literal["momentum"] = "momentum"
    momentum: Fraction
    nesterov: Flag
    scaled: ClassVar[bool] = True
    memory: ClassVar[tuple[str, ...]] = ("velocity",)

    def update(self, theta: Array, g: Array, kept: list[Array], rate: float, step: int) -> None:
        [v] = kept
        v *= self.momentum
        v += g
        if self.nesterov:
            theta -= g
            np.multiply(v, self.momentum, out=g)
            theta -= g
        else:
            theta -= v


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Moments(Optimizer):
    """m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; θ ← θ − η m̂ / (√v̂ + ε), hats correcting the start at 0.

    D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1. What is kept is
    m / (1 − β₁) and v / (1 − β₂), which saves two of the operations on every parameter.

    Attributes:
        beta1: β₁.
        beta2: β₂.
        epsilon: ε.
    """

    beta1: Fraction
    beta2: Fraction
    epsilon: Positive
    memory: ClassVar[tuple[str, ...]] = ("mean", "square")

    def update(self, theta: Array, g: Array, kept: list[Array], rate: float, step: int) -> None:
        m, v = kept
        m *= self.beta1
        m += g
        with np.errstate(over="raise"):  # once infinite, v would hold the parameter where it is for good
            g *= g
            v *= self.beta2
            v += g
        # v̂ = root² v and m̂ = mean m.
        root = math.sqrt((1 - self.beta2) / (1 - whole_power(self.beta2, step)))
        mean = (1 - self.beta1) / (1 - whole_power(self.beta1, step))
        np.sqrt(v, out=g)
        g *= root
        g += self.epsilon
        np.divide(m, g, out=g)
        g *= rate * mean
        theta -= g


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Adam(Moments):
    """Adam: the penalty is a part of the gradient."""

    name: Literal["adam"] = "adam"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AdamW(Moments):
    """Adam with the decay of the weights kept out of the gradient and its averages: W ← W − ηλW, then Adam.

    I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization" (2019), as PyTorch writes it.
    """

    name: Literal["adamw"] = "adamw"

    def decay(self, weights: Array, g: Array, rate: float) -> None:
        weights *= 1 - rate * self.weight_decay


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RMSprop(Optimizer):
    """v ← ρv + (1 − ρ)g²; θ ← θ − ηg / (√v + ε).

    T. Tieleman, G. Hinton, "Lecture 6.5: RMSprop" (2012), as PyTorch writes it.

    Attributes:
        rho: ρ.
        epsilon: ε.
    """

    name: Literal["rmsprop"] = "rmsprop"
    rho: Fraction
    epsilon: Positive
    memory: ClassVar[tuple[str, ...]] = ("square",)

    def update(self, theta: Array, g: Array, kept: list[Array], rate: float, step: int) -> None:
        [v] = kept
        with np.errstate(over="raise"):  # as in Adam
            v *= self.rho
            v += (1 - self.rho) * g * g
        g *= rate
        g /= np.sqrt(v) + self.epsilon
        theta -= g


OPTIMIZERS: dict[str, type[Optimizer]] = {each.name: each for each in (SGD, Momentum, Adam, AdamW, RMSprop)}


class Descent:
    """Applies an optimizer to a network, step by step, and keeps the optimizer's state.

    Args:
        mlp: the network whose parameters θ `step` changes.
        optimizer: the rule.

    Attributes:
        rate: the learning rate of the next step.
        steps: how many were made.
        state: what the optimizer keeps, by name: a number for each parameter.
    """

    def __init__(self, mlp: MLP, optimizer: Optimizer) -> None:
        self.mlp = mlp
        self.optimizer = optimizer
        self.rate = optimizer.learning_rate
        self.steps = 0
        theta = mlp.parameters.vector
        self.state: dict[str, Array] = {name: np.zeros_like(theta) for name in optimizer.memory}
        self._weight_count = mlp.parameters.weight_count
        self._blocks = [slice(start, start + BLOCK) for start in range(0, len(theta), BLOCK)]

    @property
    def scale(self) -> float:
        """What the gradient that `step` takes is to be multiplied by."""
        return self.rate if self.optimizer.scaled else 1.0

    def step(self, gradient: Parameters) -> None:
        """Change the parameters by one step along `gradient`, ∂C/∂θ times `scale`, which is overwritten.

        Raises:
            FloatingPointError: if the step needs the gradient's square, and the dtype has no such number.
        """
        optimizer, theta, g = self.optimizer, self.mlp.parameters.vector, gradient.vector
        if optimizer.clip_norm:
            self._clip(g, self.scale * optimizer.clip_norm)
        self.steps += 1
        for block in self._blocks:
            if optimizer.weight_decay:
                weights = slice(block.start, min(block.stop, self._weight_count))
                optimizer.decay(theta[weights], g[weights], self.rate)
            kept = [numbers[block] for numbers in self.state.values()]
            optimizer.update(theta[block], g[block], kept, self.rate, self.steps)
        if self.steps % FLUSH_EVERY_STEPS == 0:
            self._flush()

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
