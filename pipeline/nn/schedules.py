"""Learning-rate schedules: pure functions of how far training has come.

A schedule is one function here; its name in configurations is that in `SCHEDULES`. It returns the factors
that the base learning rate is multiplied by. `t` holds epochs since the end of the warm-up, fractions
included; `length` is how many epochs there are from there to the end of training.
"""

import math
from collections.abc import Callable

import numpy as np

from pipeline.nn.types import Array
from pipeline.support.elementary import cos, power

Schedule = Callable[[Array], Array]  # from how many epochs have passed to the learning rates


def constant(t: Array, length: float) -> Array:
    """Return 1."""
    return np.ones_like(t)


def step(t: Array, length: float, *, every: int, factor: float) -> Array:
    """Return `factor` to the power of how often `every` epochs have passed."""
    return power(factor, t // every)


def exponential(t: Array, length: float, *, factor: float) -> Array:
    """Return factorᵗ: an epoch multiplies the rate by `factor`, each of its steps by its share of that."""
    return power(factor, t)


def cosine(t: Array, length: float, *, final: float) -> Array:
    """Go from 1 to `final` along half a period of the cosine.

    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), without restarts.
    """
    return final + (1 - final) * (1 + cos(math.pi * t / length)) / 2


SCHEDULES: dict[str, Callable[..., Array]] = {
    "constant": constant,
    "step": step,
    "exponential": exponential,
    "cosine": cosine,
}


def schedule(base: float, total: int, name: str, *, warmup: float, **hyperparameters: float) -> Schedule:
    """Return the learning rate as a function of how many epochs have passed, fractions included.

    Args:
        base: the rate that the schedule's factor multiplies.
        total: how many epochs the training has.
        name: a name in `SCHEDULES`.
        warmup: epochs of a linear rise from 0 to `base`, before the schedule starts.
        **hyperparameters: of the schedule.
    """

    def learning_rate(epochs: Array) -> Array:
        t = np.maximum(epochs - warmup, 0)
        rates = base * SCHEDULES[name](t, total - warmup, **hyperparameters)
        return np.where(epochs < warmup, base * epochs / (warmup or 1), rates)

    return learning_rate
