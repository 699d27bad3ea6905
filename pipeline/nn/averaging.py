"""The exponential moving average of a network's parameters, often better than the last of them."""

import numpy as np

from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import BLOCK
from pipeline.support.elementary import whole_power


class MovingAverage:
    """θ̄ ← θ̄ + (1 − dᵏ)(θ − θ̄) after every k-th step, θ being the network's parameters.

    B. Polyak, A. Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992), is the idea. Over
    the first steps t the decay d is at most t / (t + 9), so that the average soon forgets how training began.
    k is 1 % of the smaller of 1 / (1 − d) and `total_steps`, and at least 1. Averaging at every step would
    take long in a wide network and change little.

    Args:
        mlp: the network whose parameters are averaged.
        decay: d; about the last 1 / (1 − d) steps count.
        total_steps: how many steps will be made.

    Attributes:
        averaged: a network with the averaged parameters.
        steps: how many steps were made.
    """

    def __init__(self, mlp: MLP, decay: float, total_steps: int) -> None:
        self.decay = decay
        self.averaged = mlp.copy()
        self.steps = 0
        self._stride = max(1, min(round(0.01 / (1 - decay)), total_steps // 100))
        self._latest = mlp.parameters.vector
        self._difference = np.empty_like(self._latest[:BLOCK])

    def update(self) -> None:
        """Take the network's parameters of this moment in, if it is their turn."""
        self.steps += 1
        if self.steps % self._stride:
            return
        share = 1 - whole_power(min(self.decay, self.steps / (self.steps + 9)), self._stride)
        average = self.averaged.parameters.vector
        for start in range(0, len(average), BLOCK):
            block = average[start : start + BLOCK]
            difference = self._difference[: len(block)]
            np.subtract(self._latest[start : start + BLOCK], block, out=difference)
            difference *= share
            block += difference
