"""The multilayer perceptron, its forward pass, and backpropagation written out by hand.

This is the derivation (docs/backpropagation.md) as code, to be read from top to bottom. With l = 1 … L
counting the layers and a⁽⁰⁾ = x the input; a mini-batch has an example a row:

    z⁽ˡ⁾ = a⁽ˡ⁻¹⁾ W⁽ˡ⁾ᵀ + b⁽ˡ⁾        a⁽ˡ⁾ = σ(z⁽ˡ⁾)        δ⁽ˡ⁾ = ∂C/∂z⁽ˡ⁾

Training runs `pipeline.nn.fast`. It computes the same, but faster and, in exact arithmetic, without rounding
errors in sums. Tests compare it with this file.
"""

from collections.abc import Sequence
from typing import Self

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.losses import Loss
from pipeline.nn.parameters import Parameters
from pipeline.nn.types import Array


class MLP:
    """A fully connected network of any depth, with all parameters zero until they are initialised.

    Args:
        widths: units of each layer, the input first: (784, 100, 10).
        activation: the hidden layers' activation, a name in `ACTIVATIONS`; any but softmax.
        output: the output layer's activation, a name in `ACTIVATIONS`.
        bias: whether the layers have biases.
        arithmetic: `exact`, `float32` or `float64`.

    Attributes:
        batch_norm: whether training normalises the hidden layers over each mini-batch, which needs biases:
            `pipeline.nn.batch_norm`. `forward` and `backpropagate` are those of a plain network.
    """

    batch_norm = False

    def __init__(
        self, widths: Sequence[int], *, activation: str, output: str, bias: bool, arithmetic: str = "exact"
    ) -> None:
        self.widths = tuple(widths)
        self.activation = activation
        self.output = output
        self.bias = bias
        self.arithmetic = ARITHMETICS[arithmetic]
        self.parameters = Parameters(widths, bias, self.arithmetic.dtype)
        hidden_layers = len(widths) - 2
        self.functions = [ACTIVATIONS[activation](self.arithmetic)] * hidden_layers
        self.functions.append(ACTIVATIONS[output](self.arithmetic))

    @property
    def weights(self) -> list[Array]:
        """W⁽ˡ⁾ for l = 1 … L, shape (n_l, n_{l−1})."""
        return self.parameters.weights

    @property
    def biases(self) -> list[Array]:
        """b⁽ˡ⁾ for l = 1 … L, shape (n_l,); empty in a network without biases."""
        return self.parameters.biases

    def forward(self, x: Array) -> tuple[list[Array], list[Array]]:
        """Return z⁽¹⁾ … z⁽ᴸ⁾, and a⁽⁰⁾ … a⁽ᴸ⁾, for the mini-batch `x`, shape (n, n_0)."""
        z: list[Array] = []
        a = [x]
        for layer, weights in enumerate(self.weights):
            z.append(a[-1] @ weights.T)
            if self.bias:
                z[-1] += self.biases[layer]
            a.append(self.functions[layer].forward(z[-1]))
        return z, a

    def backpropagate(self, loss: Loss, x: Array, y: Array) -> tuple[float, Parameters]:
        """Return C and its gradient for the inputs `x`, shape (n, n_0), and targets `y`, shape (n, n_L)."""
        z, a = self.forward(x)
        gradient = self.parameters.zeros_like()
        delta = loss.delta(self.functions[-1], z[-1], a[-1], y)  # δ⁽ᴸ⁾
        for layer in reversed(range(len(self.weights))):
            gradient.weights[layer][:] = delta.T @ a[layer]  # ∂C/∂W⁽ˡ⁾ = δ⁽ˡ⁾ᵀ a⁽ˡ⁻¹⁾
            if self.bias:
                gradient.biases[layer][:] = delta.sum(axis=0)  # ∂C/∂b⁽ˡ⁾ = Σ δ⁽ˡ⁾ over the rows
            if layer > 0:
                delta = delta @ self.weights[layer]  # ∂C/∂a⁽ˡ⁻¹⁾ = δ⁽ˡ⁾ W⁽ˡ⁾
                self.functions[layer - 1].backward(z[layer - 1], a[layer], delta)  # ⊙ σ′: δ⁽ˡ⁻¹⁾
        return loss.value(self.functions[-1], z[-1], a[-1], y), gradient

    def step(self, gradient: Parameters, learning_rate: float) -> None:
        """Go down the gradient: θ ← θ − η ∂C/∂θ. The trainer steps by an optimizer instead."""
        self.parameters.vector -= learning_rate * gradient.vector

    def copy(self) -> Self:
        """Return a network of the same architecture with a copy of the parameters."""
        twin = type(self)(
            self.widths,
            activation=self.activation,
            output=self.output,
            bias=self.bias,
            arithmetic=self.arithmetic.name,
        )
        twin.batch_norm = self.batch_norm
        twin.parameters.vector[:] = self.parameters.vector
        return twin
