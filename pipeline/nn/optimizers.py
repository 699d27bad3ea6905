"""Optimizers: each turns a gradient into a step of the parameters, in place.

Where an optimizer does no more with gradients than add them up, backpropagation does so for it: that saves a
pass over all parameters, which takes as long as memory does. It computes

    gradient ← keep · gradient + scale · ∂C/∂θ

for the optimizer's `gradient`, `keep` and `scale`, and `step` does the rest:

                                            gradient       keep   scale   step
    SGD                                     θ itself        1      −η     is done already
    SGD, clipped or with a penalty          its own         0      −η     θ ← θ + gradient
    momentum                                velocity v/u    1      η/u    θ ← θ − u · velocity
    momentum, clipped or with look-ahead    its own         0      η/u    the whole rule
    Adam, AdamW                             its own         0      1      the whole rule

What `keep` of momentum is now and then instead, and u, is told there.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pipeline.nn.mlp import Parameters
from pipeline.nn.products import axpy
from pipeline.nn.types import Array

BLOCK = 1 << 16  # numbers updated at a time: they stay in the cache through all operations of a step
FLUSH_EVERY = 100  # steps after which denormal numbers are set to 0
SMALLEST_UNIT = 2**-10  # that a velocity is kept in: the numbers kept are at most a thousand times as large
MOST_UNITS = 100  # steps after which a velocity's unit is 1 again, however slowly it becomes small


class Optimizer(ABC):
    """What every optimizer has: a learning rate η, a penalty ½λ‖W‖² on the weights, not the biases, clipping.

    Args:
        parameters: what `step` changes.
        learning_rate: η.
        weight_decay: λ; the gradient becomes ∂C/∂W + λW.
        clip_norm: a gradient ∂C/∂θ whose norm, over all parameters, is greater is scaled down to it; None
            leaves every gradient as it is. The penalty is added afterwards.

    Attributes:
        gradient: where backpropagation is to add the gradient of each step.
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
        self.gradient = parameters.zeros_like()
        size = len(parameters.vector)
        self._blocks = [slice(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]

    @property
    def scale(self) -> float:
        """What backpropagation is to multiply the gradient by."""
        return 1.0

    @property
    def keep(self) -> float:
        """What it is to multiply by what `gradient` holds before."""
        return 0.0

    def step(self) -> None:
        """Change the parameters by one step along `gradient`.

        Raises:
            FloatingPointError: if the step needs the gradient's square, and the dtype has no such number.
        """
        if self.clip_norm:
            self._clip(self.clip_norm)
        if self.weight_decay:
            self._decay()
        self.steps += 1
        for block in self._blocks:
            self._update(self.parameters.vector[block], self.gradient.vector[block], block)
        if self.steps % FLUSH_EVERY == 0:
            self._flush()

    def _clip(self, norm: float) -> None:
        limit = abs(self.scale) * norm
        length = norm_of(self.gradient.vector)
        if length > limit:
            self.gradient.vector *= limit / length

    def _decay(self) -> None:
        for gradient_weights, weights in zip(self.gradient.weights, self.parameters.weights, strict=True):
            gradient_weights += self.scale * self.weight_decay * weights

    def _flush(self) -> None:
        """Set denormal numbers to 0: they can cost a processor a hundred times the work of others.

        Where gradients have become 0, as those of a dead unit, their moving average decays to the smallest of
        these numbers and would stay there.
        """
        for array in self.arrays().values():
            array[np.abs(array) < np.finfo(array.dtype).tiny] = 0

    def arrays(self) -> dict[str, Array]:
        """Return by name what a step changes besides the parameters, as it is: not a copy."""
        return {}

    @abstractmethod
    def _update(self, theta: Array, g: Array, block: slice) -> None:
        """Change the parameters `theta` along their gradient `g`; both are that block of the vectors."""


class SGD(Optimizer):
    """θ ← θ − ηg: without penalty and clipping it is backpropagation that adds −ηg to the parameters.

    Args:
        parameters: what `step` changes.
        **common: see `Optimizer`.
    """

    def __init__(self, parameters: Parameters, **common: Any) -> None:
        super().__init__(parameters, **common)
        if not self.clip_norm and not self.weight_decay:
            self.gradient = parameters

    @property
    def scale(self) -> float:
        """−η."""
        return -self.learning_rate

    @property
    def keep(self) -> float:
        """1 where the gradient is added to the parameters."""
        return 1.0 if self.gradient is self.parameters else 0.0

    def step(self) -> None:
        """Change the parameters by one step along `gradient`, if that is not done already."""
        if self.gradient is not self.parameters:
            super().step()

    def _update(self, theta: Array, g: Array, block: slice) -> None:
        theta += g


class Momentum(Optimizer):
    """v ← μv + ηg; θ ← θ − v, or with Nesterov's look-ahead θ ← θ − (ηg + μv).

    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
    learning" (2013). PyTorch keeps η out of v. As long as η stays the same so do the steps; where it changes,
    v here holds each gradient times the rate of its own step.

    To multiply v by μ takes a pass over memory. So what is kept is v / u, and μ multiplies u. When that would
    become too small it is 1 again, and what is kept is multiplied by what u would be.

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
        self.velocity = parameters.zeros_like()
        self._units = [1.0]  # u after 0, 1, 2, … steps, then from the start again
        while self._units[-1] * momentum > SMALLEST_UNIT and len(self._units) < MOST_UNITS:
            self._units.append(self._units[-1] * momentum)
        self._renewal = self._units[-1] * momentum  # what u would be next, where it is 1 again
        if not self.clip_norm and not nesterov:
            self.gradient = self.velocity
            self._blocks = [slice(None)]  # a step is one operation then, which threads share

    @property
    def scale(self) -> float:
        """η / u: to multiply every gradient by it here would cost as much as the step itself."""
        return self.learning_rate / self._unit(self.steps + 1)

    @property
    def keep(self) -> float:
        """1 where the gradient is added to the velocity, but for the steps at which that is scaled."""
        if self.gradient is not self.velocity:
            return 0.0
        return self._renewal if self._unit(self.steps + 1) == 1 else 1.0

    def arrays(self) -> dict[str, Array]:
        """Return by name what a step changes besides the parameters, as it is: not a copy."""
        return {"velocity": self.velocity.vector}

    def _unit(self, steps: int) -> float:
        return self._units[steps % len(self._units)]

    def _update(self, theta: Array, g: Array, block: slice) -> None:
        v, unit = self.velocity.vector[block], self._unit(self.steps)
        if self.gradient is not self.velocity:
            if unit == 1:
                v *= self._renewal
            v += g
        if self.nesterov:
            axpy(-unit * self.momentum, v, theta)
            axpy(-unit, g, theta)
        else:
            axpy(-unit, v, theta)


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

    def _decay(self) -> None:
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
