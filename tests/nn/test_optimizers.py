from typing import Any

import numpy as np
import pytest

from pipeline.nn import optimizers
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import FLUSH_EVERY_STEPS, OPTIMIZERS, SGD, Descent, Momentum


def network(bias: bool = True, arithmetic: str = "float64") -> MLP:
    return MLP((2, 2), activation="relu", output="identity", bias=bias, arithmetic=arithmetic)


def step(descent: Descent, gradient: np.ndarray | float) -> None:
    """Have `descent` make a step along `gradient`."""
    along = descent.mlp.parameters.zeros_like()
    along.vector[:] = descent.scale * gradient
    descent.step(along)


class Textbook:
    """The optimizers as their sources write them, for weights or for biases; what is set is not repeated."""

    def __init__(self, theta: np.ndarray, decay: float) -> None:
        self.theta, self.decay = theta.copy(), decay
        self.v = self.m = np.zeros_like(theta)
        self.t = 0

    def sgd(self, g: np.ndarray) -> None:
        self.theta = self.theta - 0.05 * (g + self.decay * self.theta)

    def momentum(self, g: np.ndarray) -> None:
        self.v = 0.8 * self.v + 0.05 * (g + self.decay * self.theta)
        self.theta = self.theta - self.v

    def adam(self, g: np.ndarray) -> None:
        g = g + self.decay * self.theta
        self.t += 1
        self.m = 0.7 * self.m + (1 - 0.7) * g
        self.v = 0.9 * self.v + (1 - 0.9) * g**2
        m_hat, v_hat = self.m / (1 - 0.7**self.t), self.v / (1 - 0.9**self.t)
        self.theta = self.theta - 0.05 * m_hat / (np.sqrt(v_hat) + 0.3)

    def adamw(self, g: np.ndarray) -> None:
        decay, self.decay = self.decay, 0
        self.theta = self.theta - 0.05 * decay * self.theta
        self.adam(g)
        self.decay = decay

    def rmsprop(self, g: np.ndarray) -> None:
        g = g + self.decay * self.theta
        self.v = 0.9 * self.v + (1 - 0.9) * g**2
        self.theta = self.theta - 0.05 * g / (np.sqrt(self.v) + 0.3)


SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "momentum": {"momentum": 0.8, "nesterov": False},
    "adam": {"beta1": 0.7, "beta2": 0.9, "epsilon": 0.3},
    "adamw": {"beta1": 0.7, "beta2": 0.9, "epsilon": 0.3},
    "rmsprop": {"rho": 0.9, "epsilon": 0.3},
}


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("decay", [0.0, 0.5], ids=["no decay", "decay"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_steps_are_the_textbooks(
    name: str, decay: float, arithmetic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many blocks the parameters are updated in; the biases do not decay."""
    monkeypatch.setattr(optimizers, "BLOCK", 4)
    rng = np.random.default_rng(0)
    mlp = network(arithmetic=arithmetic)
    theta = mlp.parameters.vector
    theta[:] = rng.normal(size=6)
    weights, biases = Textbook(theta[:4], decay), Textbook(theta[4:], 0)
    descent = Descent(mlp, OPTIMIZERS[name](learning_rate=0.05, weight_decay=decay, **SETTINGS[name]))
    rtol, atol = (1e-4, 1e-5) if arithmetic == "float32" else (1e-10, 0)
    for _ in range(150):  # in which denormal numbers are looked for
        g = rng.normal(size=6)
        step(descent, g)
        getattr(weights, name)(g[:4])
        getattr(biases, name)(g[4:])
        np.testing.assert_allclose(theta, [*weights.theta, *biases.theta], rtol=rtol, atol=atol)


@pytest.mark.parametrize(("norm", "factor"), [(2.0, 1.0), (5.0, 1.0), (10.0, 0.5), (500.0, 0.01)])
def test_a_gradient_longer_than_the_limit_is_scaled_down_to_it(norm: float, factor: float) -> None:
    """Over all parameters at once, and by the length of the gradient, not of the step."""
    mlp = network()
    direction = np.array([3.0, 0, 0, 0, 4.0, 0]) / 5
    step(Descent(mlp, SGD(learning_rate=0.1, clip_norm=5.0)), norm * direction)
    np.testing.assert_allclose(mlp.parameters.vector, -0.1 * norm * factor * direction, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:overflow")  # as training does
@pytest.mark.parametrize(
    ("arithmetic", "norm"), [("float32", 1e30), ("float64", 1e200), ("exact", 1e70), ("exact", 1e110)]
)
def test_a_gradient_is_clipped_however_long_it_is(arithmetic: str, norm: float) -> None:
    """Also where the square of its length is no number of its dtype any more."""
    mlp = network(arithmetic=arithmetic)
    direction = np.array([3.0, 0, 0, 0, 4.0, 0]) / 5
    step(Descent(mlp, SGD(learning_rate=0.1, clip_norm=5.0)), norm * direction)
    np.testing.assert_allclose(mlp.parameters.vector, -0.1 * 5 * direction, rtol=1e-6)


def test_clipping_leaves_the_penalty_alone() -> None:
    mlp = network(bias=False)
    mlp.parameters.vector[:] = 1
    optimizer = Momentum(learning_rate=0.1, clip_norm=1.0, weight_decay=0.5, momentum=0.9, nesterov=False)
    descent = Descent(mlp, optimizer)
    step(descent, np.array([300.0, 0, 0, 400.0]))
    np.testing.assert_allclose(mlp.parameters.vector, [1 - 0.11, 1 - 0.05, 1 - 0.05, 1 - 0.13], rtol=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_keeps_each_gradient_times_the_rate_of_its_own_step(nesterov: bool) -> None:
    mlp = network()
    descent = Descent(mlp, Momentum(learning_rate=0.1, momentum=0.5, nesterov=nesterov))
    for rate in (0.1, 0.01):
        descent.rate = rate
        step(descent, 3.0)
    v = [0.3, 0.5 * 0.3 + 0.03]
    change = [0.3 + 0.5 * v[0], 0.03 + 0.5 * v[1]] if nesterov else v
    np.testing.assert_allclose(mlp.parameters.vector, -sum(change), rtol=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 1e-12, 0.5, 0.9999999])
def test_momentum_may_be_little_or_much(momentum: float, nesterov: bool) -> None:
    mlp = network(arithmetic="float32")
    descent = Descent(mlp, Momentum(learning_rate=0.1, momentum=momentum, nesterov=nesterov))
    v, expected = 0.0, 0.0
    for g in np.random.default_rng(0).normal(size=250):
        step(descent, g)
        v = momentum * v + 0.1 * g
        expected -= 0.1 * g + momentum * v if nesterov else v
        np.testing.assert_allclose(mlp.parameters.vector, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["momentum", "adam", "rmsprop"])
def test_averages_of_gradients_that_have_ended_end_in_zero_and_not_in_denormal_numbers(name: str) -> None:
    """They can cost a processor a hundred times as long, and averaging alone would stay at the smallest."""
    mlp = network(arithmetic="float32")
    descent = Descent(mlp, OPTIMIZERS[name](learning_rate=0.05, **SETTINGS[name]))
    step(descent, 1.0)
    for _ in range(20 * FLUSH_EVERY_STEPS):
        step(descent, 0.0)
    for average in descent.state.values():
        assert (average == 0).all()
