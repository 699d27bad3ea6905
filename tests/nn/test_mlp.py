from typing import Any

import numpy as np
import pytest

from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.initialisers import INITIALISERS, He
from pipeline.nn.losses import Canonical
from pipeline.nn.mlp import MLP
from tests.nn.examples import blobs, network


def test_forward_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    mlp = MLP((5, 4, 3), activation="relu", output="tanh", bias=True, arithmetic="float64")
    He().initialise(mlp, rng)
    mlp.biases[0][:] = rng.normal(size=4)
    x = rng.normal(size=(7, 5))
    z, a = mlp.forward(x)
    np.testing.assert_array_equal(a[0], x)
    np.testing.assert_allclose(z[0], x @ mlp.weights[0].T + mlp.biases[0], rtol=1e-12)
    np.testing.assert_allclose(a[1], np.maximum(z[0], 0), rtol=1e-12)
    np.testing.assert_allclose(z[1], a[1] @ mlp.weights[1].T + mlp.biases[1], rtol=1e-12)
    np.testing.assert_allclose(a[2], np.tanh(z[1]), rtol=1e-12)
    assert (len(z), len(a)) == (2, 3)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_plain_steps_down_the_gradient_learn(arithmetic: str) -> None:
    """What a student would write: forward, backward, step; nothing else."""
    mlp, part = network(arithmetic=arithmetic), blobs(200)
    x, y = part.inputs.astype(mlp.arithmetic.dtype), part.targets.astype(mlp.arithmetic.dtype)
    losses = []
    for _ in range(30):
        loss, gradient = mlp.backpropagate(Canonical(), x, y)
        before = mlp.parameters.vector.copy()
        mlp.step(gradient, 0.2)
        np.testing.assert_allclose(mlp.parameters.vector, before - 0.2 * gradient.vector, rtol=1e-6)
        losses.append(loss)
    assert losses[-1] < 0.2 * losses[0]
    outputs = mlp.forward(x)[1][-1]
    assert np.mean(outputs.argmax(axis=1) == y.argmax(axis=1)) > 0.95


def test_the_copy_is_independent() -> None:
    mlp = MLP((2, 1), activation="relu", output="identity", bias=True, arithmetic="float32")
    mlp.parameters.vector[:] = [1, 2, 3]
    twin = mlp.copy()
    mlp.parameters.vector[:] = 0
    assert twin.weights[0].tolist() == [[1, 2]]
    assert twin.biases[0].tolist() == [3]
    assert twin.arithmetic is mlp.arithmetic


@pytest.mark.parametrize(
    ("name", "settings", "mean", "deviation"),
    [
        ("normal", {"scale": 0.1}, 0, 0.1),
        ("uniform", {"low": 0.0, "high": 1.0}, 0.5, np.sqrt(1 / 12)),
        ("he", {}, 0, np.sqrt(2 / 300)),
        ("glorot", {}, 0, np.sqrt(2 / 500)),
    ],
)
def test_initialisers_have_their_mean_and_spread(
    name: str, settings: dict[str, Any], mean: float, deviation: float
) -> None:
    mlp = MLP((300, 200), activation="relu", output="relu", bias=True)
    mlp.biases[0][:] = 1
    INITIALISERS[name](**settings).initialise(mlp, np.random.default_rng(0))
    assert mlp.weights[0].mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(60_000))
    assert mlp.weights[0].std() == pytest.approx(deviation, rel=0.02)
    assert not mlp.biases[0].any()
    if name in {"uniform", "glorot"}:
        assert np.abs(mlp.weights[0] - mean).max() == pytest.approx(np.sqrt(3) * deviation, rel=0.01)


def test_every_arithmetic_starts_from_the_same_numbers() -> None:
    networks = {}
    for name in ARITHMETICS:
        networks[name] = MLP((20, 10), activation="relu", output="relu", bias=False, arithmetic=name)
        He().initialise(networks[name], np.random.default_rng(3))
    expected = networks["float64"].weights[0]
    np.testing.assert_array_equal(networks["exact"].weights[0], expected)
    np.testing.assert_array_equal(networks["float32"].weights[0], expected.astype("float32"))


@pytest.mark.parametrize("bias", [False, True])
def test_parameters_are_one_vector_of_weights_and_then_biases(bias: bool) -> None:
    parameters = MLP((3, 2, 4), activation="relu", output="relu", bias=bias).parameters
    parameters.vector[:] = np.arange(len(parameters.vector))
    assert [w.shape for w in parameters.weights] == [(2, 3), (4, 2)]
    assert [b.shape for b in parameters.biases] == ([(2,), (4,)] if bias else [])
    in_order = [*parameters.weights, *parameters.biases]
    np.testing.assert_array_equal(np.concatenate([a.ravel() for a in in_order]), parameters.vector)
    assert parameters.weight_count == 14
    zeros = parameters.zeros_like()
    assert not zeros.vector.any()
    assert [w.shape for w in zeros.weights] == [(2, 3), (4, 2)]
