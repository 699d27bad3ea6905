"""Learning-rate schedules: how the learning rate changes over training.

A schedule is one class here; `name` is its name in configurations. Its `scale` is what the base learning
rate is multiplied by.
"""

import math
from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.nn.types import Array
from pipeline.support.bounds import STRICT, Epochs, Fraction, NonNegative, Positive
from pipeline.support.elementary import cos, power


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Schedule(ABC):
    """What the learning rate is multiplied by at each moment of training.

    Attributes:
        name: in configurations.
        warmup: epochs of a linear rise from 0 to the base rate, before the schedule starts.
    """

    name: str = ""
    warmup: NonNegative = 0.0

    def rates(self, base: float, epochs: Array, total: int) -> Array:
        """Return the learning rates after `epochs`, fractions included, of a training of `total` epochs.

        Args:
            base: the rate that is scaled.
            epochs: any shape.
            total: how many epochs the training has.
        """
        t = np.maximum(epochs - self.warmup, 0)
        scheduled = base * self.scale(t, total - self.warmup)
        return np.where(epochs < self.warmup, base * epochs / (self.warmup or 1), scheduled)

    def rates_of_epoch(self, base: float, epoch: int, steps: int, total: int) -> list[float]:
        """Return the learning rate of each of an epoch's `steps`: the schedule's at the step's middle.

        Args:
            base: the rate that is scaled.
            epoch: how many epochs came before.
            steps: how many the epoch has.
            total: how many epochs the training has.
        """
        rates: list[float] = self.rates(base, epoch + (np.arange(steps) + 0.5) / steps, total).tolist()
        return rates

    @abstractmethod
    def scale(self, t: Array, length: float) -> Array:
        """Return what the base rate is multiplied by.

        Args:
            t: epochs since the end of the warm-up, fractions included.
            length: how many epochs there are from there to the end of training.
        """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Constant(Schedule):
    """The learning rate stays as it is."""

    name: Literal["constant"] = "constant"

    def scale(self, t: Array, length: float) -> Array:
        return np.ones_like(t)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Step(Schedule):
    """The learning rate is multiplied by `factor` every so many epochs."""

    name: Literal["step"] = "step"
    every: Epochs
    factor: Positive

    def scale(self, t: Array, length: float) -> Array:
        return power(self.factor, t // self.every)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Exponential(Schedule):
    """An epoch multiplies the learning rate by `factor`, each of its steps by its share of that."""

    name: Literal["exponential"] = "exponential"
    factor: Positive

    def scale(self, t: Array, length: float) -> Array:
        return power(self.factor, t)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cosine(Schedule):
    """The learning rate falls to the share `final` of itself along half a period of the cosine.

    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), without restarts.
    """

    name: Literal["cosine"] = "cosine"
    final: Fraction

    def scale(self, t: Array, length: float) -> Array:
        return self.final + (1 - self.final) * (1 + cos(math.pi * t / length)) / 2


SCHEDULES: dict[str, type[Schedule]] = {each.name: each for each in (Constant, Step, Exponential, Cosine)}
