import numpy as np
import pytest

from pipeline.nn.mlp import Parameters
from pipeline.nn.optimizers import SGD, AdamW, Momentum, Optimizer


def parameters(bias: bool = True) -> Parameters:
    return Parameters((2, 2), bias=bias, dtype="float64")


@pytest.mark.parametrize(("norm", "factor"), [(5.0, 1.0), (10.0, 0.5), (500.0, 0.01)])
def test_a_gradient_longer_than_the_limit_is_scaled_down_to_it(norm: float, factor: float) -> None:
    """Over all parameters at once, and by the gradient's own length though SGD takes it times the rate."""
    theta, gradient = parameters(), parameters()
    direction = np.array([3.0, 0, 0, 0, 4.0, 0]) / 5
    gradient.vector[:] = 0.1 * norm * direction
    SGD(theta, learning_rate=0.1, clip_norm=5.0).step(gradient)
    np.testing.assert_allclose(theta.vector, -0.1 * norm * factor * direction, rtol=1e-12)


def test_clipping_leaves_the_penalty_alone() -> None:
    theta, gradient = parameters(bias=False), parameters(bias=False)
    theta.vector[:] = 1
    gradient.vector[:] = [30.0, 0, 0, 40.0]
    optimizer = Momentum(
        theta, learning_rate=0.1, clip_norm=1.0, weight_decay=0.5, momentum=0.9, nesterov=False
    )
    optimizer.step(gradient)
    np.testing.assert_allclose(theta.vector, [1 - 0.11, 1 - 0.05, 1 - 0.05, 1 - 0.13], rtol=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_keeps_each_gradient_times_the_rate_of_its_own_step(nesterov: bool) -> None:
    theta, gradient = parameters(), parameters()
    optimizer = Momentum(theta, learning_rate=0.1, momentum=0.5, nesterov=nesterov)
    for rate in (0.1, 0.01):
        optimizer.learning_rate = rate
        gradient.vector[:] = optimizer.gradient_scale * 3.0
        optimizer.step(gradient)
    v = [0.3, 0.5 * 0.3 + 0.03]
    change = [0.3 + 0.5 * v[0], 0.03 + 0.5 * v[1]] if nesterov else v
    np.testing.assert_allclose(theta.vector, -sum(change), rtol=1e-12)


def adamw(theta: Parameters, decay: float) -> Optimizer:
    return AdamW(theta, learning_rate=0.1, weight_decay=decay, beta1=0.9, beta2=0.999, epsilon=1e-8)


def test_adamw_shrinks_the_weights_beside_the_gradient_and_leaves_the_biases() -> None:
    """Without a gradient it is all that it does; where there is one, Adam's averages do not see the decay."""
    theta, gradient = parameters(), parameters()
    theta.vector[:] = 2
    adamw(theta, 0.5).step(gradient)
    np.testing.assert_allclose(theta.vector, [1.9, 1.9, 1.9, 1.9, 2, 2], rtol=1e-12)

    plain, decayed = parameters(), parameters()
    for network, decay in ((plain, 0.0), (decayed, 0.5)):
        gradient.vector[:] = [1.0, -2, 3, -4, 5, -6]
        network.vector[:] = 2
        adamw(network, decay).step(gradient)
    np.testing.assert_allclose(plain.vector - decayed.vector, [0.1, 0.1, 0.1, 0.1, 0, 0], atol=1e-12)
