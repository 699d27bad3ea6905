"""Virtual adversarial training against what it is said to be."""

import numpy as np
import pytest

from pipeline.nn.activations import HIDDEN
from pipeline.nn.adversary import Adversary
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.fast import Backpropagation, predict
from pipeline.nn.losses import Canonical
from pipeline.nn.measurement import accuracy
from pipeline.nn.types import Part
from tests.nn.examples import batches_of, blobs, network, random_batch, random_network, trainer_of
from tests.nn.test_gradients import numerical_gradient

EPSILON = 0.3


@pytest.mark.parametrize("activation", HIDDEN)
def test_the_gradient_by_the_inputs_is_the_slope_of_the_loss(activation: str) -> None:
    mlp = random_network(activation, "softmax", [6, 5], bias=True, arithmetic="float64")
    x, y = random_batch(4, mlp, seed=0)
    backpropagation = Backpropagation(mlp, Canonical(), len(x))
    expected = numerical_gradient(lambda: backpropagation(x, y), x.reshape(-1)).reshape(x.shape)
    np.testing.assert_allclose(backpropagation.input_gradient(x, y), expected, atol=1e-7)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity"])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_inputs_move_by_epsilon_to_where_the_outputs_change_more_than_anywhere_at_random(
    output: str, arithmetic: str
) -> None:
    mlp = random_network("tanh", output, [30], bias=True, arithmetic=arithmetic, inputs=40)
    x, y = random_batch(20, mlp, seed=1)
    rng = np.random.default_rng(2)
    before = predict(mlp, x)
    inputs, targets = Adversary(mlp, EPSILON, len(x), rng)(x.copy(), y)
    np.testing.assert_allclose(inputs[:20], x, atol=1e-5)
    np.testing.assert_array_equal(targets[:20], y)
    np.testing.assert_allclose(targets[20:], before, atol=1e-5)
    moves = inputs[20:] - inputs[:20]
    np.testing.assert_allclose(np.linalg.norm(moves, axis=1), EPSILON, rtol=1e-4)

    def change(moves: np.ndarray) -> float:
        return float(np.abs(predict(mlp, x + moves) - before).sum())

    elsewhere = rng.normal(size=(50, *x.shape))
    elsewhere *= EPSILON / np.linalg.norm(elsewhere, axis=2, keepdims=True)
    assert change(moves) > 1.5 * max(map(change, elsewhere))


def test_where_no_move_changes_the_outputs_none_is_made() -> None:
    mlp = random_network("relu", "softmax", [5], bias=True, arithmetic="exact")
    mlp.parameters.vector[:] = 0
    x, y = random_batch(4, mlp, seed=0)
    inputs, _ = Adversary(mlp, EPSILON, len(x), np.random.default_rng(0))(x, y)
    np.testing.assert_array_equal(inputs[4:], inputs[:4])


def test_a_network_trained_with_it_is_fooled_less() -> None:
    """That is by inputs moved by ε against the gradient of their own labels' loss."""
    part, fooled = blobs(60), []
    inputs, targets = part.inputs.astype(float), part.targets.astype(float)
    for epsilon in (0, 2.0):
        mlp = network(arithmetic="exact")
        adversary = Adversary(mlp, epsilon, 10, np.random.default_rng(3)) if epsilon else None
        trainer_of(mlp, adversary=adversary).fit(batches_of(part, mlp, 10), epochs=60)
        assert accuracy(mlp, part) == 1
        slope = Backpropagation(mlp, Canonical(), len(inputs)).input_gradient(inputs.copy(), targets)
        moved = inputs + 3.0 * slope / np.linalg.norm(slope, axis=1, keepdims=True)
        fooled.append(1 - accuracy(mlp, Part(moved, part.targets)))
    assert fooled[1] < 0.75 * fooled[0]
