"""The multilayer perceptron, its forward pass, and backpropagation written out by hand.

Notation, with l = 1 … L counting the layers and a⁽⁰⁾ = x the input; batches are rows:

    z⁽ˡ⁾ = a⁽ˡ⁻¹⁾ W⁽ˡ⁾ᵀ + b⁽ˡ⁾        a⁽ˡ⁾ = σ(z⁽ˡ⁾)        δ⁽ˡ⁾ = ∂C/∂z⁽ˡ⁾
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from pipeline.nn.activations import ACTIVATIONS, Activation
from pipeline.nn.losses import Loss
from pipeline.nn.products import gemm, gemv
from pipeline.nn.types import Array

WIDE = 256  # units of a layer from which on δ⁽ˡ⁾ W⁽ˡ⁾ is computed row by row first: see `_hand_down`
PREDICTION_ROWS = 1000  # rows predicted at a time: their activations stay in the processor's cache


class Parameters:
    """A number for each weight and each bias: the network's parameters, or the gradient by them.

    Attributes:
        vector: all of them, every weight and then every bias; the optimizers work on this.
        weights: W⁽ˡ⁾ for l = 1 … L, shape (n_l, n_{l−1}); views of `vector`.
        biases: b⁽ˡ⁾ for l = 1 … L, shape (n_l,); views of `vector`. Empty where there are no biases.
        weight_count: how many numbers of `vector`, from its start, are weights.
    """

    def __init__(self, widths: Sequence[int], bias: bool, dtype: str) -> None:
        self._layout = widths, bias, dtype
        shapes: list[tuple[int, ...]] = [(n, m) for m, n in pairwise(widths)]
        depth = len(shapes)
        if bias:
            shapes += [(n,) for n in widths[1:]]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        self.vector: Array = np.zeros(ends[-1], np.dtype(dtype))
        parts = np.split(self.vector, ends[:-1])
        views = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        self.weights, self.biases = views[:depth], views[depth:]
        self.weight_count = int(ends[depth - 1])

    def zeros_like(self) -> Self:
        """Return as many zeros, laid out alike."""
        return type(self)(*self._layout)


class MLP:
    """A fully connected network of any depth, with all parameters zero until they are initialised.

    Args:
        widths: units of each layer, the input first: (784, 100, 10).
        activation: the hidden layers' activation, a name in `ACTIVATIONS`; any but softmax.
        output: the output layer's activation, a name in `ACTIVATIONS`.
        bias: whether the layers have biases.
        dtype: of the parameters and of all arithmetic, float32 or float64.
    """

    def __init__(
        self, widths: Sequence[int], *, activation: str, output: str, bias: bool, dtype: str = "float32"
    ) -> None:
        self.widths = tuple(widths)
        self.activation = activation
        self.output = output
        self.bias = bias
        self.dtype = dtype
        self.parameters = Parameters(widths, bias, dtype)

    @property
    def weights(self) -> list[Array]:
        """W⁽ˡ⁾ for l = 1 … L, shape (n_l, n_{l−1})."""
        return self.parameters.weights

    @property
    def biases(self) -> list[Array]:
        """b⁽ˡ⁾ for l = 1 … L, shape (n_l,); empty in a network without biases."""
        return self.parameters.biases

    def copy(self) -> Self:
        """Return a network of the same architecture with a copy of the parameters."""
        twin = type(self)(
            self.widths, activation=self.activation, output=self.output, bias=self.bias, dtype=self.dtype
        )
        twin.parameters.vector[:] = self.parameters.vector
        return twin

    def predict(self, x: Array) -> Array:
        """Return a⁽ᴸ⁾, shape (n, n_L), for the rows of `x`, shape (n, n_0); `x` may be memory-mapped."""
        outputs = np.empty((len(x), self.widths[-1]), self.dtype)
        for rows, forward in forward_in_blocks(self, x):
            outputs[rows] = forward.layers[-1].a
        return outputs


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer l of a network, with the buffers that a batch passes through.

    Attributes:
        weights: W⁽ˡ⁾, shape (n_l, n_{l−1}).
        bias: b⁽ˡ⁾, shape (n_l,), or None.
        function: σ.
        z: the batch's pre-activations z⁽ˡ⁾, shape (rows, n_l).
        a: the batch's activations a⁽ˡ⁾, shape (rows, n_l).

    In memory the buffers are column by column, so that their transposes are what BLAS writes the products
    W⁽ˡ⁾ a⁽ˡ⁻¹⁾ᵀ to; with few rows that is faster than a⁽ˡ⁻¹⁾ W⁽ˡ⁾ᵀ, by a tenth with AVX-512 kernels.
    """

    weights: Array
    bias: Array | None
    function: Activation
    z: Array
    a: Array


def pre_activate_by_dot(layer: Layer, a: Array) -> None:
    """Compute z⁽ˡ⁾ from a⁽ˡ⁻¹⁾, shape (rows, n_{l−1}), so that other Python threads go on meanwhile."""
    np.dot(layer.weights, a.T, out=layer.z.T)
    if layer.bias is not None:
        np.add(layer.z, layer.bias, out=layer.z)


def pre_activate_by_gemm(layer: Layer, a: Array) -> None:
    """Compute z⁽ˡ⁾ from a⁽ˡ⁻¹⁾, shape (rows, n_{l−1}), adding the product to the bias, which saves a pass."""
    if layer.bias is None:
        gemm(layer.weights, a.T, layer.z.T)
    else:
        layer.z[:] = layer.bias
        gemm(layer.weights, a.T, layer.z.T, keep=1.0)


class Forward:
    """The forward pass for batches of exactly `rows` rows, through buffers that are allocated once.

    Args:
        mlp: the network.
        rows: of a batch.
        pre_activate: what computes a layer's z⁽ˡ⁾ from a⁽ˡ⁻¹⁾.

    Attributes:
        layers: the layers l = 1 … L, which hold z⁽ˡ⁾ and a⁽ˡ⁾ of the last batch.
    """

    def __init__(
        self, mlp: MLP, rows: int, pre_activate: Callable[[Layer, Array], None] = pre_activate_by_dot
    ) -> None:
        self._pre_activate = pre_activate
        hidden, output = ACTIVATIONS[mlp.activation], ACTIVATIONS[mlp.output]
        depth = len(mlp.weights)
        self.layers = [
            Layer(
                weights=weights,
                bias=mlp.biases[i] if mlp.bias else None,
                function=hidden if i < depth - 1 else output,
                z=np.empty((rows, len(weights)), mlp.dtype, order="F"),
                a=np.empty((rows, len(weights)), mlp.dtype, order="F"),
            )
            for i, weights in enumerate(mlp.weights)
        ]

    def __call__(self, x: Array) -> Array:
        """Return a⁽ᴸ⁾ for the batch `x`, shape (rows, n_0); the next call overwrites it."""
        a = x
        for layer in self.layers:
            self._pre_activate(layer, a)
            layer.function.forward(layer.z, out=layer.a)
            a = layer.a
        return a


class Backpropagation:
    """The loss and its gradient for mini-batches of exactly `rows` rows.

    Args:
        mlp: the network.
        loss: C.
        rows: of a mini-batch.
        gradient: where the gradient goes, which may be the network's own parameters; None for a new place.

    Attributes:
        gradient: ∂C/∂W⁽ˡ⁾ and ∂C/∂b⁽ˡ⁾ of the last mini-batch, or what they were added to.
    """

    def __init__(self, mlp: MLP, loss: Loss, rows: int, gradient: Parameters | None = None) -> None:
        self.loss = loss
        self.forward = Forward(mlp, rows, pre_activate_by_gemm)
        self.deltas = [np.empty_like(layer.a) for layer in self.forward.layers]
        self.gradient = gradient or mlp.parameters.zeros_like()
        self._row_by_row = [
            np.empty_like(delta, order="C") if n >= WIDE else None
            for delta, n in zip(self.deltas[:-1], mlp.widths[2:], strict=True)
        ]
        self._ones = np.ones(rows, mlp.dtype)

    def __call__(self, x: Array, y: Array, scale: float = 1.0, keep: float = 0.0) -> float:
        """Compute gradient ← keep · gradient + scale · ∂C/∂θ and return C, the mean over the mini-batch.

        Args:
            x: inputs, shape (rows, n_0), of the network's dtype.
            y: targets, shape (rows, n_L), of the network's dtype.
            scale: factor of the gradient. It is applied to δ⁽ᴸ⁾, the smallest array that it could be.
            keep: factor of what `gradient` holds.
        """
        self.forward(x)
        layers, deltas, gradient = self.forward.layers, self.deltas, self.gradient
        top = layers[-1]
        self.loss.delta(top.z, top.a, y, top.function, scale, out=deltas[-1])
        for i in reversed(range(len(layers))):
            if i:  # before `gradient` takes a part in, as it may be W⁽ˡ⁾ itself
                self._hand_down(i)
            a_below = layers[i - 1].a if i else x
            gemm(deltas[i].T, a_below, gradient.weights[i], keep)
            if gradient.biases:
                gemv(deltas[i].T, self._ones, gradient.biases[i], keep)  # the sum over the rows
        return self.loss.value(top.z, top.a, y, top.function)

    def _hand_down(self, i: int) -> None:
        """Compute δ of the layer below layer `i`, both counted from 0: δ⁽ˡ⁻¹⁾ = δ⁽ˡ⁾ W⁽ˡ⁾ ⊙ σ′(z⁽ˡ⁻¹⁾)."""
        weights, below, delta = self.forward.layers[i].weights, self.forward.layers[i - 1], self.deltas[i - 1]
        row_by_row = self._row_by_row[i - 1]
        if row_by_row is None:
            gemm(weights.T, self.deltas[i].T, out=delta.T)
        else:
            # BLAS packs wide weights up to a third faster for a product that is row by row in memory, and
            # copying that costs far less than it saves.
            gemm(weights.T, self.deltas[i].T, out=row_by_row.T)
            delta[:] = row_by_row
        below.function.backward(below.z, below.a, delta)


def forward_in_blocks(mlp: MLP, x: Array) -> Iterator[tuple[slice, Forward]]:
    """Run `x`, shape (n, n_0), through the network a block of rows at a time.

    Yields:
        The rows of the block, and the forward pass that holds their z⁽ˡ⁾ and a⁽ˡ⁾ until the next one.
    """
    forward = Forward(mlp, PREDICTION_ROWS)
    for start in range(0, len(x), PREDICTION_ROWS):
        block = np.asarray(x[start : start + PREDICTION_ROWS], mlp.dtype)
        if len(block) < PREDICTION_ROWS:
            forward = Forward(mlp, len(block))
        forward(block)
        yield slice(start, start + len(block)), forward


def probabilities(outputs: Array) -> Array:
    """Return the outputs a⁽ᴸ⁾, shape (n, k), as probabilities of the classes.

    Of softmax outputs these are the outputs themselves. Others, trained towards one-hot targets, estimate
    probabilities without being bound to sum to 1: negative ones count as 0, a sum above 1 is scaled down to
    it, and what is missing to 1 is spread evenly.
    """
    positive = np.maximum(outputs, 0)
    total = positive.sum(axis=1, keepdims=True)
    return positive / np.maximum(total, 1) + np.maximum(1 - total, 0) / outputs.shape[1]
