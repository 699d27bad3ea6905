import numpy as np
import pytest

from pipeline.nn.initialisers import initialise
from pipeline.nn.mlp import MLP, PREDICTION_ROWS, probabilities


def test_predict_is_the_formula_for_any_number_of_rows() -> None:
    rng = np.random.default_rng(0)
    mlp = MLP((5, 4, 3), activation="relu", output="tanh", bias=True, dtype="float64")
    initialise(mlp, rng, "he")
    mlp.biases[0][:] = rng.normal(size=4)
    x = rng.normal(size=(PREDICTION_ROWS + 7, 5))
    expected = np.tanh(np.maximum(x @ mlp.weights[0].T + mlp.biases[0], 0) @ mlp.weights[1].T + mlp.biases[1])
    np.testing.assert_allclose(mlp.predict(x), expected, rtol=1e-12)
    assert mlp.predict(x[:0]).shape == (0, 3)


def test_the_copy_is_independent() -> None:
    mlp = MLP((2, 1), activation="relu", output="identity", bias=True)
    mlp.parameters.vector[:] = [1, 2, 3]
    twin = mlp.copy()
    mlp.parameters.vector[:] = 0
    assert twin.weights[0].tolist() == [[1, 2]]
    assert twin.biases[0].tolist() == [3]


def test_probabilities_sum_to_one_and_keep_the_order() -> None:
    outputs = np.array([[0.2, 0.7, 0.1], [3.0, -1.0, 1.0], [0.4, -1.0, 0.0], [-1.0, 0.0, -2.0]])
    expected = [[0.2, 0.7, 0.1], [0.75, 0, 0.25], [0.6, 0.2, 0.2], [1 / 3] * 3]
    np.testing.assert_allclose(probabilities(outputs), expected)


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
    name: str, settings: dict[str, float], mean: float, deviation: float
) -> None:
    mlp = MLP((300, 200), activation="relu", output="relu", bias=True)
    mlp.biases[0][:] = 1
    initialise(mlp, np.random.default_rng(0), name, **settings)
    assert mlp.weights[0].mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(60_000))
    assert mlp.weights[0].std() == pytest.approx(deviation, rel=0.02)
    assert not mlp.biases[0].any()
    if name in {"uniform", "glorot"}:
        assert np.abs(mlp.weights[0] - mean).max() == pytest.approx(np.sqrt(3) * deviation, rel=0.01)


def test_both_dtypes_start_from_the_same_numbers() -> None:
    networks = {}
    for dtype in ("float32", "float64"):
        networks[dtype] = MLP((20, 10), activation="relu", output="relu", bias=False, dtype=dtype)
        initialise(networks[dtype], np.random.default_rng(3), "he")
    expected = networks["float64"].weights[0].astype("float32")
    np.testing.assert_array_equal(networks["float32"].weights[0], expected)
