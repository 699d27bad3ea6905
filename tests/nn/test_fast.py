"""What training runs computes what `pipeline.nn.mlp` does, which is there to be read."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest

from pipeline.nn import fast
from pipeline.nn.activations import ACTIVATIONS, HIDDEN
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.dropout import Dropout
from pipeline.nn.fast import WIDE, Backpropagation, forward_in_blocks, predict, probabilities
from pipeline.nn.losses import LOSSES, Canonical, Loss
from pipeline.nn.mlp import MLP
from pipeline.nn.parameters import Parameters
from pipeline.nn.types import Array
from tests.nn.examples import in_both_places, random_batch, random_network

DEPTHS: list[list[int]] = [[], [6], [6, 5], [6, 5, 7]]
ARITHMETIC_OF = [
    *((name, "float64") for name in ACTIVATIONS),
    *product(["relu", "softmax"], ["float32", "exact"]),  # whose activations test_activations.py has
]
ERRORS = {"float64": 1e-12, "float32": 2e-5, "exact": 2e-5}  # of what is largest


def assert_close(ours: Array, expected: Array, arithmetic: str) -> None:
    assert ours.dtype == expected.dtype == ARITHMETICS[arithmetic].dtype
    np.testing.assert_allclose(ours, expected, rtol=0, atol=ERRORS[arithmetic] * np.abs(expected).max())


def assert_gradients_are_close(ours: Parameters, expected: Parameters, arithmetic: str) -> None:
    """Layer by layer, so that the small numbers of one are not compared with the large ones of another."""
    pairs = zip(ours.weights + ours.biases, expected.weights + expected.biases, strict=True)
    for array, expected_array in pairs:
        assert_close(array, expected_array, arithmetic)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("activation", "arithmetic"), ARITHMETIC_OF)
def test_backpropagation_is_the_one_to_be_read(activation: str, loss: str, arithmetic: str) -> None:
    """At any depth, with and without biases, in mini-batches of any size, also after a step."""
    for hidden, bias in product(DEPTHS, [False, True]):
        mlp = random_network(*in_both_places(activation, loss), hidden, bias=bias, arithmetic=arithmetic)
        backpropagation = Backpropagation(mlp, LOSSES[loss](), 8)
        for seed, rows in enumerate((8, 3, 8, 1)):
            x, y = random_batch(rows, mlp, seed)
            value, gradient = mlp.backpropagate(LOSSES[loss](), x, y)
            assert backpropagation(x, y) == pytest.approx(value, rel=10 * ERRORS[arithmetic])
            assert_gradients_are_close(backpropagation.gradient, gradient, arithmetic)
            mlp.step(gradient, 0.1)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize(
    ("hidden", "bias"),
    [([WIDE], False), ([5, WIDE + 1], True), ([WIDE + 44, 5, WIDE, 7, WIDE + 3, WIDE + 1], True)],
    ids=str,
)
def test_so_it_is_where_layers_are_wide(hidden: list[int], bias: bool, arithmetic: str) -> None:
    """δ of the layers below is computed by other calls there."""
    mlp = random_network("relu", "softmax", hidden, bias=bias, arithmetic=arithmetic)
    backpropagation = Backpropagation(mlp, Canonical(), 20)
    for rows in (20, 9):
        x, y = random_batch(rows, mlp)
        value, gradient = mlp.backpropagate(Canonical(), x, y)
        assert backpropagation(x, y) == pytest.approx(value, rel=10 * ERRORS[arithmetic])
        assert_gradients_are_close(backpropagation.gradient, gradient, arithmetic)


def backpropagate_with_dropout(
    mlp: MLP, loss: Loss, x: Array, y: Array, factors: Sequence[Array]
) -> tuple[float, Parameters]:
    """Return C and its gradient, where the activations of each hidden layer are multiplied by `factors`."""
    z: list[Array] = []
    a: list[Array] = []
    passed_on = [x]
    for layer, weights in enumerate(mlp.weights):
        z.append(passed_on[-1] @ weights.T + (mlp.biases[layer] if mlp.bias else 0))
        a.append(mlp.functions[layer].forward(z[-1]))
        if layer < len(factors):
            passed_on.append(a[-1] * factors[layer])
    gradient = mlp.parameters.zeros_like()
    delta = loss.delta(mlp.functions[-1], z[-1], a[-1], y)
    for layer in reversed(range(len(mlp.weights))):
        gradient.weights[layer][:] = delta.T @ passed_on[layer]
        if mlp.bias:
            gradient.biases[layer][:] = delta.sum(axis=0)
        if layer > 0:
            delta = delta @ mlp.weights[layer] * factors[layer - 1]
            mlp.functions[layer - 1].backward(z[layer - 1], a[layer - 1], delta)
    return loss.value(mlp.functions[-1], z[-1], a[-1], y), gradient


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("activation", HIDDEN)
def test_with_dropout_it_is_that_of_the_same_units_left_out(activation: str, arithmetic: str) -> None:
    dtype = ARITHMETICS[arithmetic].dtype
    for hidden, bias in product(DEPTHS, [False, True]):
        mlp = random_network(activation, "softmax", hidden, bias=bias, arithmetic=arithmetic)
        dropout = Dropout(0.4, np.random.default_rng(3))
        backpropagation = Backpropagation(mlp, Canonical(), 8, dropout)
        rng = np.random.default_rng(3)
        for seed, rows in enumerate((8, 3, 8)):
            x, y = random_batch(rows, mlp, seed)
            left = [rng.random((units, rows), dtype).T >= 0.4 for units in hidden]
            factors = [(kept / 0.6).astype(dtype) for kept in left]
            value, gradient = backpropagate_with_dropout(mlp, Canonical(), x, y, factors)
            assert backpropagation(x, y) == pytest.approx(value, rel=10 * ERRORS[arithmetic])
            assert_gradients_are_close(backpropagation.gradient, gradient, arithmetic)


@pytest.mark.parametrize(("activation", "arithmetic"), ARITHMETIC_OF)
def test_prediction_is_the_forward_pass_to_be_read(
    activation: str, arithmetic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any number of rows, of any type, a block at a time."""
    monkeypatch.setattr(fast, "PREDICTION_ROWS", 8)
    for hidden, bias in product(DEPTHS, [False, True]):
        mlp = random_network(
            *in_both_places(activation, "squared_error"), hidden, bias=bias, arithmetic=arithmetic
        )
        x = random_batch(20, mlp)[0].astype(np.float32)
        z, a = mlp.forward(x.astype(mlp.arithmetic.dtype))
        seen: list[int] = []
        for rows, z_of_block, a_of_block in forward_in_blocks(mlp, x):
            seen += range(20)[rows]
            for ours, expected in zip(z_of_block + a_of_block, z + a[1:], strict=True):
                assert ours.dtype == mlp.arithmetic.dtype
                atol = ERRORS[arithmetic] * np.abs(expected).max()
                np.testing.assert_allclose(ours, expected[rows], rtol=0, atol=atol)
        assert seen == list(range(20))
        assert_close(predict(mlp, x), a[-1], arithmetic)
        assert predict(mlp, x[:0]).shape == (0, 3)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_probabilities_sum_to_one_and_keep_the_order(arithmetic: str) -> None:
    mlp = random_network("relu", "identity", [], arithmetic=arithmetic)
    outputs = np.array([[0.2, 0.7, 0.1], [3.0, -1.0, 1.0], [0.4, -1.0, 0.0], [-1.0, 0.0, -2.0]])
    expected = [[0.2, 0.7, 0.1], [0.75, 0, 0.25], [0.6, 0.2, 0.2], [1 / 3] * 3]
    ours = probabilities(mlp, outputs.astype(mlp.arithmetic.dtype))
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-7)
    assert ours.dtype == mlp.arithmetic.dtype


def test_the_probabilities_of_one_row_depend_on_no_other() -> None:
    mlp = random_network("relu", "identity", [], arithmetic="exact")
    outputs = np.array([[0.2, 0.3, 0.1], [1e30, 0.0, 1.0], [0.7, 0.1, 0.0]])
    alone = np.concatenate([probabilities(mlp, row[None]) for row in outputs])
    np.testing.assert_array_equal(probabilities(mlp, outputs), alone)
