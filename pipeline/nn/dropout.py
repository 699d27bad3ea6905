"""Dropout, as an activation function around another one."""

from dataclasses import replace

import numpy as np

from pipeline.nn.activations import Activation
from pipeline.nn.mlp import Layer
from pipeline.nn.types import Array


class Dropout(Activation):
    """σ(z) ⊙ r, where each number of r is 0 with probability p and 1 / (1 − p) otherwise: 1 on average.

    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: A Simple Way to Prevent
    Neural Networks from Overfitting" (2014), in the inverted form, which leaves evaluation as it is.

    Args:
        function: σ, of a hidden layer.
        like: the layer's activations, for shape, dtype and order.
        probability: p.
        rng: where r comes from, anew at every forward pass.
    """

    def __init__(
        self, function: Activation, like: Array, probability: float, rng: np.random.Generator
    ) -> None:
        self.function = function
        self.probability = probability
        self.rng = rng
        self.activations = np.empty_like(like)
        self.factors = np.empty_like(like)

    def draw(self) -> None:
        """Draw r."""
        r = self.factors.T  # whose memory is in C order, as the generator wants it
        self.rng.random(dtype=r.dtype, out=r)
        np.greater_equal(r, self.probability, out=r)
        r *= 1 / (1 - self.probability)

    def forward(self, z: Array, out: Array) -> None:
        self.function.forward(z, out=self.activations)
        self.draw()
        np.multiply(self.activations, self.factors, out=out)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= self.factors
        self.function.backward(z, self.activations, delta)

    def potential(self, z: Array, a: Array) -> float:
        raise NotImplementedError("dropout is for hidden layers, which have no loss of their own")


def drop_out(layers: list[Layer], probability: float, rng: np.random.Generator) -> list[Layer]:
    """Return `layers` with dropout after each but the last."""
    *hidden, output = layers
    return [
        *(replace(layer, function=Dropout(layer.function, layer.a, probability, rng)) for layer in hidden),
        output,
    ]
