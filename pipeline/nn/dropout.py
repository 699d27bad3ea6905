"""Dropout: hidden units that are left out of a step."""

import numpy as np

from pipeline.nn.types import Array


class Dropout:
    """Multiplies activations by r, where each number of r is 0 with probability p, else 1 / (1 − p).

    So it is 1 on average, and evaluation needs no dropout. N. Srivastava, G. Hinton, and others,
    "Dropout: A Simple Way to Prevent Neural Networks from Overfitting" (2014).

    Args:
        probability: p.
        rng: where r comes from, anew at every forward pass.
    """

    def __init__(self, probability: float, rng: np.random.Generator) -> None:
        self.probability = probability
        self.rng = rng
        self._factors: dict[int, Array] = {}

    def leave_out(self, layer: int, a: Array, out: Array) -> None:
        """Write a ⊙ r, with a new r for `layer`, into `out`; the arrays have shape (rows, n_l)."""
        r = self._factors.get(layer)
        if r is None or r.shape != a.shape:
            r = self._factors[layer] = np.empty_like(a)
        self.rng.random(dtype=r.dtype.type, out=r.T)  # whose memory is in the order that the generator wants
        np.greater_equal(r, self.probability, out=r)
        r *= 1 / (1 - self.probability)
        np.multiply(a, r, out=out)

    def leave_out_again(self, layer: int, delta: Array) -> None:
        """Multiply ∂C/∂(a ⊙ r), given in `delta`, by the r of the forward pass, which makes it ∂C/∂a."""
        delta *= self._factors[layer]
