"""Learning-rate schedules: pure functions of how far training has come.

Each returns the factor that the base learning rate is multiplied by. `t` counts the epochs since the end of
the warm-up, fractions included; `length` is how many epochs there are from there to the end of training.
"""

import math
from collections.abc import Callable
from functools import partial

Schedule = Callable[[float], float]  # the learning rate after so many epochs, fractions included


def constant(t: float, length: float) -> float:
    """Return 1."""
    return 1.0


def step(t: float, length: float, *, every: int, factor: float) -> float:
    """Return `factor` to the power of how often `every` epochs have passed."""
    return power(factor, t // every)


def exponential(t: float, length: float, *, factor: float) -> float:
    """Return factorᵗ: an epoch multiplies the rate by `factor`, each of its steps by its share of that."""
    return power(factor, t)


def power(factor: float, exponent: float) -> float:
    """Return `factor` to the power of `exponent`, infinity where that is too large for a float."""
    try:
        return factor**exponent
    except OverflowError:
        return math.inf


def cosine(t: float, length: float, *, final: float) -> float:
    """Go from 1 to `final` along half a period of the cosine.

    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), without restarts.
    """
    return final + (1 - final) * (1 + math.cos(math.pi * t / length)) / 2


SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "step": step,
    "exponential": exponential,
    "cosine": cosine,
}


def learning_rate(
    epochs: float, base: float, total: int, name: str, *, warmup: float, **hyperparameters: float
) -> float:
    """Return the learning rate after `epochs` epochs, fractions included.

    Args:
        epochs: how many have passed.
        base: the rate that the schedule's factor multiplies.
        total: how many epochs the training has.
        name: a name in `SCHEDULES`.
        warmup: epochs of a linear rise from 0 to `base`, before the schedule starts.
        **hyperparameters: of the schedule.
    """
    if epochs < warmup:
        return base * epochs / warmup
    return base * SCHEDULES[name](epochs - warmup, total - warmup, **hyperparameters)


def schedule(
    base: float, total: int, name: str, *, warmup: float, **hyperparameters: float
) -> Schedule | None:
    """Return `learning_rate` as a function of the epochs alone; None where the rate is `base` throughout."""
    if name == "constant" and not warmup:
        return None
    return partial(learning_rate, base=base, total=total, name=name, warmup=warmup, **hyperparameters)
