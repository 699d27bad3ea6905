"""Forward pass and backpropagation as training runs them: `pipeline.nn.mlp`, but faster and exact.

Faster: buffers that are allocated once, and laid out as BLAS likes them. Exact: every factor of a matrix
product is rounded to a grid first, so that the product's bits depend on no library (`pipeline.nn.exact`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.nn.batch_norm import Normalised, normalise, pass_back
from pipeline.nn.dropout import Dropout
from pipeline.nn.exact import product_bits, to_grid
from pipeline.nn.losses import Loss
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array

WIDE = 256  # units of a layer from which on δ⁽ˡ⁾ W⁽ˡ⁾ is computed row by row in memory: see `_pass_down`
PREDICTION_ROWS = 500  # rows predicted at a time: their activations stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Buffers:
    """What one layer computes of a mini-batch, each of shape (rows, n_l).

    In memory they are column by column, so that their transposes are what the products W⁽ˡ⁾ a⁽ˡ⁻¹⁾ᵀ are
    written to: for 20 rows a third faster than a⁽ˡ⁻¹⁾ W⁽ˡ⁾ᵀ.

    Attributes:
        z: the pre-activations.
        a: the activations.
        passed_on: what the next layer takes in: `a` itself, or with dropout the part of it that is left.
        delta: ∂C/∂z, times the factor that backpropagation was given, such as the learning rate.
        row_by_row: room for `delta` row by row in memory, if the next layer is wide; None otherwise.
    """

    z: Array
    a: Array
    passed_on: Array
    delta: Array
    row_by_row: Array | None


class Backpropagation:
    """The loss and its gradient for mini-batches.

    Args:
        mlp: the network.
        loss: C.
        rows: of the largest mini-batch.
        dropout: what leaves hidden units out, if anything does.

    Attributes:
        gradient: ∂C/∂W⁽ˡ⁾ and ∂C/∂b⁽ˡ⁾ of the last mini-batch.
    """

    def __init__(self, mlp: MLP, loss: Loss, rows: int, dropout: Dropout | None = None) -> None:
        self.mlp = mlp
        self.loss = loss
        self.dropout = dropout
        self._output = mlp.functions[-1]
        self.gradient = mlp.parameters.zeros_like()
        self._exact = mlp.arithmetic.exact
        self._bits = product_bits(max(rows, *mlp.widths))
        self._weights = [np.empty_like(w) for w in mlp.weights] if self._exact else mlp.weights
        # By the number of rows: some mini-batches of an epoch may have one row less.
        self._buffers: dict[int, list[Buffers]] = {}
        self._normalised: dict[int, Normalised] = {}  # by the number of a hidden layer, with batch_norm

    def __call__(self, x: Array, y: Array, scale: float = 1.0) -> float:
        """Compute scale · ∂C/∂θ as the gradient and return C, the mean over the mini-batch.

        Args:
            x: inputs, shape (n, n_0), of the network's dtype; in exact arithmetic they are rounded in place.
            y: targets, shape (n, n_L), of the same dtype; they stay as they are.
            scale: factor of the gradient; it is applied to δ⁽ᴸ⁾, a small array.
        """
        layers = self._forward(x)
        top = layers[-1]
        self.loss.delta(self._output, top.z, top.a, y, out=top.delta)
        if scale != 1:
            np.multiply(top.delta, scale, out=top.delta)
        self._backward(layers, x)
        return self.loss.value(self._output, top.z, top.a, y)

    def outputs(self, x: Array) -> Array:
        """Return a⁽ᴸ⁾, shape (n, n_L), until the next call; in exact arithmetic `x` is rounded in place."""
        return self._forward(x)[-1].a

    def input_gradient(self, x: Array, y: Array) -> Array:
        """Return ∂C/∂a⁽⁰⁾ = δ⁽¹⁾ W⁽¹⁾, shape (n, n_0); `x` and `y` are as for a call."""
        layers = self._forward(x)
        top = layers[-1]
        self.loss.delta(self._output, top.z, top.a, y, out=top.delta)
        for i in reversed(range(1, len(layers))):
            self._pass_down(i, self._through_norm(i, self._factor(layers[i].delta)), layers[i - 1])
        return np.dot(self._through_norm(0, self._factor(layers[0].delta)), self._weights[0])

    def _forward(self, x: Array) -> list[Buffers]:
        layers = self._buffers_for(len(x))
        if self._exact:
            for weights, rounded in zip(self.mlp.weights, self._weights, strict=True):
                to_grid(weights, self._bits, out=rounded)
        below = self._factor(x)
        for i, layer in enumerate(layers):
            np.dot(self._weights[i], below.T, out=layer.z.T)
            before = layer.z
            if self.mlp.batch_norm and layer is not layers[-1]:
                self._normalised[i] = normalise(layer.z, self.mlp.arithmetic)
                before = self._normalised[i].u
            if self.mlp.bias:  # which batch normalisation needs
                np.add(before, self.mlp.biases[i], out=layer.z)
            self.mlp.functions[i].forward(layer.z, out=layer.a)
            if layer is not layers[-1]:
                if self.dropout:
                    self.dropout.leave_out(i, layer.a, out=layer.passed_on)
                below = self._factor(layer.passed_on)
        return layers

    def _backward(self, layers: list[Buffers], x: Array) -> None:
        ones = np.ones(len(x), x.dtype)
        for i in reversed(range(len(layers))):
            delta = self._factor(layers[i].delta)
            if self.mlp.bias:
                np.dot(delta.T, ones, out=self.gradient.biases[i])  # the sum over the rows
            delta = self._through_norm(i, delta)
            np.dot(delta.T, layers[i - 1].passed_on if i else x, out=self.gradient.weights[i])
            if i:
                self._pass_down(i, delta, layers[i - 1])

    def _through_norm(self, i: int, delta: Array) -> Array:
        """Return `delta` as it is before the normalisation of the layer number `i`, if there is one."""
        if i not in self._normalised:
            return delta
        pass_back(delta, self._normalised[i], self.mlp.arithmetic)
        return self._factor(delta)

    def _pass_down(self, i: int, delta: Array, below: Buffers) -> None:
        """Compute the δ of the layer `below` from the `delta` of the layer with the weights number `i`.

        BLAS packs wide weights up to a third faster for a product that is row by row in memory, and copying
        that costs far less than it saves.
        """
        weights = self._weights[i]
        if below.row_by_row is None:
            np.dot(weights.T, delta.T, out=below.delta.T)
        else:
            np.dot(delta, weights, out=below.row_by_row)
            below.delta[:] = below.row_by_row
        if self.dropout:
            self.dropout.leave_out_again(i - 1, below.delta)
        self.mlp.functions[i - 1].backward(below.z, below.a, below.delta)

    def _factor(self, a: Array) -> Array:
        """Return `a` as a factor of products: in exact arithmetic rounded to a grid, in place."""
        return to_grid(a, self._bits, out=a) if self._exact else a

    def _buffers_for(self, rows: int) -> list[Buffers]:
        if rows not in self._buffers:
            self._buffers[rows] = [self._new_buffers(rows, i) for i in range(1, len(self.mlp.widths))]
        return self._buffers[rows]

    def _new_buffers(self, rows: int, layer: int) -> Buffers:
        units, dtype = self.mlp.widths[layer], self.mlp.parameters.vector.dtype
        z, a, delta = (np.empty((rows, units), dtype, order="F") for _ in range(3))
        is_below_wide = layer < len(self.mlp.widths) - 1 and self.mlp.widths[layer + 1] >= WIDE
        return Buffers(
            z=z,
            a=a,
            passed_on=np.empty_like(a) if self.dropout else a,
            delta=delta,
            row_by_row=np.empty_like(delta, order="C") if is_below_wide else None,
        )


def forward_in_blocks(mlp: MLP, x: Array) -> Iterator[tuple[slice, list[Array], list[Array]]]:
    """Run `x`, shape (n, n_0), through the network a block of rows at a time; `x` may be memory-mapped.

    In exact arithmetic each row has a grid of its own: what is predicted of it does not depend on the others.

    Yields:
        The rows of the block, their z⁽¹⁾ … z⁽ᴸ⁾, and their a⁽¹⁾ … a⁽ᴸ⁾.
    """
    weights = [as_factor(mlp, w) for w in mlp.weights]
    for start in range(0, len(x), PREDICTION_ROWS):
        below = np.asarray(x[start : start + PREDICTION_ROWS], mlp.arithmetic.dtype)
        rows = slice(start, start + len(below))
        z, a = [], []
        for i, function in enumerate(mlp.functions):
            z.append(pre_activations(mlp, i, weights[i], below))
            below = function.forward(z[-1])
            a.append(below)
        yield rows, z, a


def pre_activations(mlp: MLP, i: int, weights: Array, below: Array) -> Array:
    """Return z of the layer with the `weights` number `i`, which are given as factors, from the a `below`."""
    z: Array = np.dot(as_factor(mlp, below, by_row=True), weights.T)
    z += mlp.biases[i] if mlp.bias else 0.0  # no −0, which one kernel makes and another does not
    return z


def as_factor(mlp: MLP, a: Array, by_row: bool = False) -> Array:
    """Return `a` as a factor of products of predictions: in exact arithmetic rounded to a grid."""
    return to_grid(a, product_bits(max(mlp.widths)), by_row=by_row) if mlp.arithmetic.exact else a


def predict(mlp: MLP, x: Array) -> Array:
    """Return a⁽ᴸ⁾, shape (n, n_L), for the rows of `x`, shape (n, n_0); `x` may be memory-mapped."""
    outputs = np.empty((len(x), mlp.widths[-1]), mlp.arithmetic.dtype)
    for rows, _, a in forward_in_blocks(mlp, x):
        outputs[rows] = a[-1]
    return outputs


def probabilities(mlp: MLP, outputs: Array) -> Array:
    """Return the outputs a⁽ᴸ⁾ of `mlp`, shape (n, k), as probabilities of the classes.

    Of softmax outputs these are the outputs themselves, but for rounding. Others, trained towards one-hot
    targets, estimate probabilities without being bound to sum to 1: negative ones count as 0, a sum above 1
    is scaled down to it, and what is missing to 1 is spread evenly.
    """
    positive = np.maximum(outputs, 0)
    total = mlp.arithmetic.sum(positive, axis=1)[:, None]
    return positive / np.maximum(total, 1) + np.maximum(1 - total, 0) / outputs.shape[1]
