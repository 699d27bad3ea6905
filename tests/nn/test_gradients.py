"""Backpropagation against two judges: finite differences, and PyTorch's autograd where it is installed."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.dropout import Dropout, drop_out
from pipeline.nn.initialisers import initialise
from pipeline.nn.losses import LOSSES, smooth
from pipeline.nn.mlp import MLP, Backpropagation
from pipeline.nn.optimizers import OPTIMIZERS

HIDDEN = sorted(set(ACTIVATIONS) - {"softmax"})
DEPTHS: dict[str, list[int]] = {"no hidden layer": [], "one": [6], "two": [6, 5], "three": [6, 5, 7]}


def make(activation: str, output: str, hidden: list[int], bias: bool) -> tuple[MLP, np.ndarray, np.ndarray]:
    """Return a small float64 network with random parameters, and a batch of 8 for it."""
    rng = np.random.default_rng(1)
    mlp = MLP((4, *hidden, 3), activation=activation, output=output, bias=bias, dtype="float64")
    initialise(mlp, rng, "normal", scale=0.7)
    for biases in mlp.biases:
        biases[:] = rng.normal(scale=0.3, size=biases.shape)
    x = rng.normal(size=(8, 4))
    y = np.eye(3)[rng.integers(0, 3, size=8)]
    return mlp, x, y


def numerical_gradient(value: Callable[[], float], vector: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Return the central difference of `value` by each number of `vector`, which is changed and restored."""
    gradient = np.empty_like(vector)
    for i, number in enumerate(vector.copy()):
        vector[i] = number + step
        above = value()
        vector[i] = number - step
        below = value()
        vector[i] = number
        gradient[i] = (above - below) / (2 * step)
    return gradient


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_is_that_of_finite_differences(activation: str, loss: str, bias: bool, depth: str) -> None:
    """Each activation stands in the output layer, and in every hidden one but for softmax."""
    hidden = "tanh" if activation == "softmax" else activation
    mlp, x, y = make(hidden, activation, DEPTHS[depth], bias)
    backpropagation = Backpropagation(mlp, LOSSES[loss], len(x))
    backpropagation(x, y)
    gradient = backpropagation.gradient.vector.copy()
    numerical = numerical_gradient(lambda: backpropagation(x, y), mlp.parameters.vector)
    np.testing.assert_allclose(gradient, numerical, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
def test_gradient_of_wide_layers_is_that_of_finite_differences(bias: bool) -> None:
    """Along random directions: wide layers hand it back by other products than narrow ones do."""
    mlp, x, y = make("relu", "softmax", [300, 40, 280, 260], bias)
    initialise(mlp, np.random.default_rng(1), "he")
    backpropagation = Backpropagation(mlp, LOSSES["canonical"], len(x))
    backpropagation(x, y)
    gradient = backpropagation.gradient.vector.copy()
    theta = mlp.parameters.vector.copy()
    for direction in np.random.default_rng(2).normal(size=(10, len(theta))):
        losses = []
        for step in (1e-6, -1e-6):
            mlp.parameters.vector[:] = theta + step * direction
            losses.append(backpropagation(x, y))
        np.testing.assert_allclose((losses[0] - losses[1]) / 2e-6, gradient @ direction, rtol=1e-5)


def test_scale_multiplies_the_gradient_and_not_the_loss() -> None:
    mlp, x, y = make("tanh", "softmax", [6], bias=True)
    backpropagation = Backpropagation(mlp, LOSSES["canonical"], len(x))
    loss = backpropagation(x, y)
    gradient = backpropagation.gradient.vector.copy()
    assert backpropagation(x, y, scale=0.25) == loss
    np.testing.assert_allclose(backpropagation.gradient.vector, 0.25 * gradient, rtol=1e-12)


@pytest.mark.parametrize("hidden", DEPTHS.values(), ids=DEPTHS)
def test_the_gradient_is_added_to_parameters_which_it_does_not_change_under_way(hidden: list[int]) -> None:
    """Also where they are the network's own: that is how plain descent makes its step."""
    mlp, x, y = make("tanh", "softmax", hidden, bias=True)
    before = mlp.parameters.vector.copy()
    plain = Backpropagation(mlp, LOSSES["canonical"], len(x))
    loss = plain(x, y)
    stepping = Backpropagation(mlp, LOSSES["canonical"], len(x), mlp.parameters)
    assert stepping(x, y, scale=-0.3, keep=0.9) == loss
    expected = 0.9 * before - 0.3 * plain.gradient.vector
    np.testing.assert_allclose(mlp.parameters.vector, expected, rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "relu"])
def test_smoothing_the_labels_mixes_the_gradients_of_all_classes(output: str, loss: str) -> None:
    """The loss's part (1 − ε) is the label's own and ε that of a class drawn evenly; so with gradients."""
    mlp, x, y = make("tanh", output, [6], bias=True)
    backpropagation = Backpropagation(mlp, LOSSES[loss], len(x))

    def gradient_towards(targets: np.ndarray) -> np.ndarray:
        backpropagation(x, targets)
        return backpropagation.gradient.vector.copy()

    evenly = np.mean([gradient_towards(np.tile(one, (len(x), 1))) for one in np.eye(3)], axis=0)
    smoothed = gradient_towards(smooth(y, 0.3))
    np.testing.assert_allclose(smoothed, 0.7 * gradient_towards(y) + 0.3 * evenly, rtol=1e-9, atol=1e-15)
    numerical = numerical_gradient(lambda: backpropagation(x, smooth(y, 0.3)), mlp.parameters.vector)
    np.testing.assert_allclose(smoothed, numerical, rtol=1e-6, atol=1e-9)


def test_smoothed_labels_are_still_shares_of_one() -> None:
    np.testing.assert_allclose(smooth(np.eye(4)[:1], 0.2), [[0.85, 0.05, 0.05, 0.05]])
    np.testing.assert_allclose(smooth(np.array([[0.0], [1.0]]), 0.2), [[0.1], [0.9]])  # of two classes


@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("activation", HIDDEN)
def test_gradient_with_dropout_is_that_of_finite_differences(activation: str, bias: bool) -> None:
    mlp, x, y = make(activation, "softmax", [6, 5], bias)
    backpropagation = Backpropagation(mlp, LOSSES["canonical"], len(x))
    forward = backpropagation.forward
    whole = backpropagation(x, y)
    forward.layers = drop_out(forward.layers, 0.5, np.random.default_rng(0))
    backpropagation(x, y)
    for layer in forward.layers[:-1]:
        assert isinstance(layer.function, Dropout)
        layer.function.draw = lambda: None  # type: ignore[method-assign] # the same units are left out again
        assert {0.0, 2.0} == set(layer.function.factors.ravel())
    assert backpropagation(x, y) != whole
    gradient = backpropagation.gradient.vector.copy()
    numerical = numerical_gradient(lambda: backpropagation(x, y), mlp.parameters.vector)
    np.testing.assert_allclose(gradient, numerical, rtol=1e-6, atol=1e-9)


def test_dropout_leaves_out_units_with_its_probability_and_keeps_the_mean() -> None:
    like = np.ones((400, 500), np.float32, order="F")
    dropout = Dropout(ACTIVATIONS["identity"], like, 0.2, np.random.default_rng(0))
    out = np.empty_like(like)
    dropout.forward(like, out)
    first = out.copy()
    assert np.mean(first == 0) == pytest.approx(0.2, abs=0.005)
    assert first.mean() == pytest.approx(1, abs=0.005)
    dropout.forward(like, out)
    assert np.mean((first == 0) != (out == 0)) == pytest.approx(0.32, abs=0.01)  # anew every time


@pytest.mark.parametrize("output", ["relu", "identity", "softmax"])
def test_canonical_loss_has_the_delta_of_the_sheet(output: str) -> None:
    """Its gradient by the output layer's pre-activations is a − y, whatever the activation."""
    mlp, x, y = make("relu", output, [], bias=False)
    backpropagation = Backpropagation(mlp, LOSSES["canonical"], len(x))
    backpropagation(x, y)
    expected = (mlp.predict(x) - y).T @ x / len(x)
    np.testing.assert_allclose(backpropagation.gradient.weights[0], expected, rtol=1e-12)


# Parity with PyTorch ------------------------------------------------------------------------------------


def torch_activation(torch: Any, name: str) -> Callable[[Any], Any]:
    functional = torch.nn.functional
    return {
        "identity": lambda z: z,
        "relu": torch.relu,
        "leaky_relu": functional.leaky_relu,
        "elu": functional.elu,
        "gelu": functional.gelu,
        "silu": functional.silu,
        "softplus": functional.softplus,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "softmax": lambda z: torch.softmax(z, dim=1),
    }[name]


def torch_loss(torch: Any, loss: str, output: str, z: Any, y: Any) -> Any:
    """Return the loss as PyTorch has it; for `canonical` where PyTorch has that loss, else a surrogate.

    The surrogate (a − y)·z, with the first factor held constant, has the canonical loss's gradient.
    """
    a = torch_activation(torch, output)(z)
    functional = torch.nn.functional
    if loss == "squared_error":
        return 0.5 * ((a - y) ** 2).sum() / len(y)
    if output == "softmax":
        return functional.cross_entropy(z, y)
    if output == "sigmoid":
        return functional.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(y)
    return ((a - y).detach() * z).sum() / len(y)


def torch_forward(torch: Any, mlp: MLP, parameters: list[Any], x: Any) -> Any:
    """Return the output layer's pre-activations, computed by PyTorch from `parameters`."""
    depth = len(mlp.weights)
    a = x
    for layer in range(depth):
        z = a @ parameters[layer].T
        if mlp.bias:
            z = z + parameters[depth + layer]
        a = torch_activation(torch, mlp.activation)(z)
    return z


def torch_parameters(torch: Any, mlp: MLP) -> list[Any]:
    return [torch.tensor(array.copy(), requires_grad=True) for array in (*mlp.weights, *mlp.biases)]


PAIRS = [*product(HIDDEN, ["softmax", "sigmoid"]), *((name, name) for name in HIDDEN)]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("activation", "output"), PAIRS)
def test_gradient_is_that_of_pytorch(activation: str, output: str, loss: str) -> None:
    torch = pytest.importorskip("torch")
    mlp, x, y = make(activation, output, [6, 5], bias=True)
    backpropagation = Backpropagation(mlp, LOSSES[loss], len(x))
    backpropagation(x, y)
    parameters = torch_parameters(torch, mlp)
    z = torch_forward(torch, mlp, parameters, torch.tensor(x))
    torch_loss(torch, loss, output, z, torch.tensor(y)).backward()
    ours = [*backpropagation.gradient.weights, *backpropagation.gradient.biases]
    for mine, theirs in zip(ours, parameters, strict=True):
        scale = float(theirs.grad.abs().max())
        np.testing.assert_allclose(mine, theirs.grad.numpy(), rtol=1e-6, atol=1e-6 * scale)


TORCH_OPTIMIZERS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "sgd": ("sgd", {}, "SGD", {}),
    "momentum": ("momentum", {"momentum": 0.9, "nesterov": False}, "SGD", {"momentum": 0.9}),
    "nesterov": (
        "momentum",
        {"momentum": 0.9, "nesterov": True},
        "SGD",
        {"momentum": 0.9, "nesterov": True},
    ),
    "adam": ("adam", {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}, "Adam", {}),
    "adamw": ("adamw", {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}, "AdamW", {}),
}


@pytest.mark.parametrize("decay", [0.0, 0.01], ids=["no decay", "decay"])
@pytest.mark.parametrize("optimizer", TORCH_OPTIMIZERS)
def test_a_hundred_steps_are_those_of_pytorch(optimizer: str, decay: float) -> None:
    torch = pytest.importorskip("torch")
    mlp, x, y = make("tanh", "softmax", [6], bias=True)
    ours, settings, theirs, torch_settings = TORCH_OPTIMIZERS[optimizer]
    parameters = torch_parameters(torch, mlp)
    groups = [
        {"params": parameters[: len(mlp.weights)], "weight_decay": decay},
        {"params": parameters[len(mlp.weights) :], "weight_decay": 0.0},
    ]
    torch_optimizer = getattr(torch.optim, theirs)(groups, lr=0.05, **torch_settings)
    numpy_optimizer = OPTIMIZERS[ours](mlp.parameters, learning_rate=0.05, weight_decay=decay, **settings)
    backpropagation = Backpropagation(mlp, LOSSES["canonical"], len(x), numpy_optimizer.gradient)
    for _ in range(100):
        loss = backpropagation(x, y, numpy_optimizer.scale, numpy_optimizer.keep)
        numpy_optimizer.step()
        torch_optimizer.zero_grad()
        z = torch_forward(torch, mlp, parameters, torch.tensor(x))
        torch_value = torch_loss(torch, "canonical", "softmax", z, torch.tensor(y))
        torch_value.backward()
        torch_optimizer.step()
        assert loss == pytest.approx(torch_value.item(), rel=1e-9)
    for mine, their in zip((*mlp.weights, *mlp.biases), parameters, strict=True):
        np.testing.assert_allclose(mine, their.detach().numpy(), rtol=1e-6, atol=1e-9)
