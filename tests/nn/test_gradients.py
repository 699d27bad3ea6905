"""Backpropagation against two judges: finite differences, and PyTorch's autograd where it is installed."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from pipeline.nn.activations import ACTIVATIONS, CANONICAL, HIDDEN
from pipeline.nn.arithmetic import ARITHMETICS, FLOAT64
from pipeline.nn.dropout import Dropout
from pipeline.nn.fast import Backpropagation
from pipeline.nn.initialisers import He, Normal
from pipeline.nn.losses import LOSSES, Canonical, Loss, smooth
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import OPTIMIZERS, Descent
from pipeline.nn.types import Array
from tests.nn.examples import in_both_places


def make(activation: str, output: str, hidden: list[int], bias: bool) -> tuple[MLP, Array, Array]:
    """Return a small float64 network with random parameters, and a batch of 8 for it."""
    rng = np.random.default_rng(1)
    mlp = MLP((4, *hidden, 3), activation=activation, output=output, bias=bias, arithmetic="float64")
    Normal(scale=0.7).initialise(mlp, rng)
    for biases in mlp.biases:
        biases[:] = rng.normal(scale=0.3, size=biases.shape)
    x = rng.normal(size=(8, 4))
    y = np.eye(3)[rng.integers(0, 3, size=8)]
    return mlp, x, y


def numerical_gradient(value: Callable[[], float], vector: Array, step: float = 1e-5) -> Array:
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


def assert_directional_derivatives_are_those_of_the_gradient(
    mlp: MLP, loss: Loss, x: Array, y: Array, step: float = 1e-6
) -> None:
    """Check what training runs along random directions: there the differences are few, however wide it is."""
    backpropagation = Backpropagation(mlp, loss, len(x))
    backpropagation(x, y)
    gradient = backpropagation.gradient.vector.copy()
    theta = mlp.parameters.vector.copy()
    for direction in np.random.default_rng(2).normal(size=(5, len(theta))):
        losses = []
        for shift in (step, -step):
            mlp.parameters.vector[:] = theta + shift * direction
            losses.append(backpropagation(x, y))
        slope = float(gradient @ direction)
        atol = 1e-8 * float(np.linalg.norm(gradient) * np.linalg.norm(direction))
        np.testing.assert_allclose((losses[0] - losses[1]) / (2 * step), slope, rtol=1e-5, atol=atol)


@pytest.mark.parametrize(
    ("hidden", "bias"), [([], False), ([6, 5, 7], True)], ids=["no hidden layer, no bias", "three, bias"]
)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_is_that_of_finite_differences(
    activation: str, loss: str, hidden: list[int], bias: bool
) -> None:
    """Each activation stands in every hidden layer but for softmax, and as the output wherever it can.

    What training runs computes the same, as test_fast.py checks at other depths too.
    """
    mlp, x, y = make(*in_both_places(activation, loss), hidden, bias)
    function = LOSSES[loss]()
    _, gradient = mlp.backpropagate(function, x, y)
    numerical = numerical_gradient(lambda: mlp.backpropagate(function, x, y)[0], mlp.parameters.vector)
    np.testing.assert_allclose(gradient.vector, numerical, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
def test_gradient_of_wide_layers_is_that_of_finite_differences(bias: bool) -> None:
    """They hand it back by other products than narrow ones do."""
    mlp, x, y = make("relu", "softmax", [300, 40, 280, 260], bias)
    He().initialise(mlp, np.random.default_rng(1))
    assert_directional_derivatives_are_those_of_the_gradient(mlp, Canonical(), x, y)


@pytest.mark.parametrize("loss", ["canonical", "squared_error"])  # whose δ is linear in the targets
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "relu"])
def test_smoothing_the_labels_mixes_the_gradients_of_all_classes(output: str, loss: str) -> None:
    """The loss's part (1 − ε) is the label's own and ε that of a class drawn evenly; so with gradients."""
    mlp, x, y = make("tanh", output, [6], bias=True)
    function = LOSSES[loss]()

    def gradient_towards(targets: Array) -> Array:
        return mlp.backpropagate(function, x, targets)[1].vector

    evenly = np.mean([gradient_towards(np.tile(one, (len(x), 1))) for one in np.eye(3)], axis=0)
    smoothed = gradient_towards(smooth(y, 0.3))
    np.testing.assert_allclose(smoothed, 0.7 * gradient_towards(y) + 0.3 * evenly, rtol=1e-9, atol=1e-15)
    numerical = numerical_gradient(
        lambda: mlp.backpropagate(function, x, smooth(y, 0.3))[0], mlp.parameters.vector
    )
    np.testing.assert_allclose(smoothed, numerical, rtol=1e-6, atol=1e-9)


def test_smoothed_labels_are_still_shares_of_one() -> None:
    np.testing.assert_allclose(smooth(np.eye(4)[:1], 0.2), [[0.85, 0.05, 0.05, 0.05]])
    np.testing.assert_allclose(smooth(np.array([[0.0], [1.0]]), 0.2), [[0.1], [0.9]])  # of two classes


class SameUnits(Dropout):
    """Dropout that draws once, and then leaves the same units out of every mini-batch."""

    def leave_out(self, layer: int, a: Array, out: Array) -> None:
        if layer not in self._factors:
            super().leave_out(layer, a, out)
        np.multiply(a, self._factors[layer], out=out)


@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("activation", HIDDEN)
def test_gradient_with_dropout_is_that_of_finite_differences(activation: str, bias: bool) -> None:
    mlp, x, y = make(activation, "softmax", [6, 5], bias)
    whole = Backpropagation(mlp, Canonical(), len(x))(x, y)
    backpropagation = Backpropagation(mlp, Canonical(), len(x), SameUnits(0.5, np.random.default_rng(0)))
    assert backpropagation(x, y) != whole
    gradient = backpropagation.gradient.vector.copy()
    numerical = numerical_gradient(lambda: backpropagation(x, y), mlp.parameters.vector)
    np.testing.assert_allclose(gradient, numerical, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_leaves_out_units_with_its_probability_and_keeps_the_mean(dtype: str) -> None:
    dropout = Dropout(0.2, np.random.default_rng(0))
    a = np.ones((400, 500), dtype, order="F")
    first, second, delta = np.empty_like(a), np.empty_like(a), np.ones_like(a)
    dropout.leave_out(0, a, out=first)
    dropout.leave_out_again(0, delta)
    np.testing.assert_array_equal(delta, first)
    assert set(np.unique(first)) == {0, np.dtype(dtype).type(1 / 0.8)}
    assert np.mean(first == 0) == pytest.approx(0.2, abs=0.005)
    assert first.mean() == pytest.approx(1, abs=0.005)
    dropout.leave_out(0, a, out=second)
    assert np.mean((first == 0) != (second == 0)) == pytest.approx(0.32, abs=0.01)  # anew every time


@pytest.mark.parametrize("output", CANONICAL)
def test_canonical_loss_has_the_delta_of_the_sheet(output: str) -> None:
    """Its gradient by the output layer's pre-activations is a − y, whatever the activation."""
    mlp, x, y = make("relu", output, [], bias=False)
    _, gradient = mlp.backpropagate(Canonical(), x, y)
    outputs = mlp.forward(x)[1][-1]
    np.testing.assert_allclose(gradient.weights[0], (outputs - y).T @ x / len(x), rtol=1e-12)


LOSSES_OF_OUTPUTS = [*product(["squared_error"], ACTIVATIONS), *product(["canonical"], CANONICAL)]
Z = np.concatenate([np.eye(3), 30 * np.eye(3) - 15, 800 * np.eye(3) - 400, [[0, 0, 0], [-1.5, 0.3, 2]]])


@pytest.mark.parametrize(("loss", "output"), LOSSES_OF_OUTPUTS)
def test_no_loss_is_negative(loss: str, output: str) -> None:
    for arithmetic, smoothing, label, row in product(ARITHMETICS, (0.0, 0.1, 0.5), np.eye(3), Z):
        function = ACTIVATIONS[output](ARITHMETICS[arithmetic])
        z = row[None].astype(ARITHMETICS[arithmetic].dtype)
        y = smooth(label[None], smoothing).astype(z.dtype)
        value = LOSSES[loss]().value(function, z, function.forward(z), y)
        assert value >= 0, (arithmetic, smoothing, label, row)


@pytest.mark.parametrize(("loss", "output"), LOSSES_OF_OUTPUTS)
def test_every_loss_is_zero_where_outputs_equal_targets(loss: str, output: str) -> None:
    """And where they are infinitely near to them: the sigmoid's 0 and 1, say, are those of ±∞."""
    for name, arithmetic in ARITHMETICS.items():
        function = ACTIVATIONS[output](arithmetic)
        z = np.random.default_rng(0).normal(scale=3, size=(50, 3)).astype(arithmetic.dtype)
        if output == "relu" and loss == "canonical":
            z = np.maximum(z, 0)  # below 0 it costs to be wrong, and a target of 0 is right
        a = function.forward(z)
        assert 0 <= LOSSES[loss]().value(function, z, a, a) < 4 * np.finfo(z.dtype).eps, name
        one_hot = np.eye(3, dtype=z.dtype)
        if output in {"sigmoid", "softmax"}:
            assert LOSSES[loss]().value(function, 1000 * (2 * one_hot - 1), one_hot, one_hot) == 0, name


@pytest.mark.parametrize("output", CANONICAL)
def test_the_canonical_loss_is_that_of_its_own_formula(output: str) -> None:
    """Cross-entropy less that of the targets, binary likewise, half the squared error."""
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(8, 3)), smooth(np.eye(3)[rng.integers(0, 3, 8)], 0.3)
    function = ACTIVATIONS[output](FLOAT64)
    a = function.forward(z)
    with np.errstate(all="ignore"):
        expected = {
            "identity": lambda: 0.5 * (z - y) ** 2,
            "relu": lambda: 0.5 * (a - y) ** 2 + y * np.maximum(-z, 0),
            "sigmoid": lambda: y * np.log(y / a) + (1 - y) * np.log((1 - y) / (1 - a)),
            "softmax": lambda: y * np.log(y / a),
        }[output]()
    assert Canonical().value(function, z, a, y) == pytest.approx(expected.sum() / 8, rel=1e-12)


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
        "mish": functional.mish,
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


CASES = [
    *product(HIDDEN, ["softmax", "sigmoid"], LOSSES),
    *((name, name, "squared_error") for name in HIDDEN),
    *((name, name, "canonical") for name in HIDDEN if name in CANONICAL),
]


@pytest.mark.parametrize(("activation", "output", "loss"), CASES)
def test_gradient_is_that_of_pytorch(activation: str, output: str, loss: str) -> None:
    torch = pytest.importorskip("torch")
    mlp, x, y = make(activation, output, [6, 5], bias=True)
    _, gradient = mlp.backpropagate(LOSSES[loss](), x, y)
    parameters = torch_parameters(torch, mlp)
    z = torch_forward(torch, mlp, parameters, torch.tensor(x))
    torch_loss(torch, loss, output, z, torch.tensor(y)).backward()
    ours = [*gradient.weights, *gradient.biases]
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
    "rmsprop": ("rmsprop", {"rho": 0.9, "epsilon": 1e-8}, "RMSprop", {"alpha": 0.9}),
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
    descent = Descent(mlp, OPTIMIZERS[ours](learning_rate=0.05, weight_decay=decay, **settings))
    backpropagation = Backpropagation(mlp, Canonical(), len(x))
    for _ in range(100):
        loss = backpropagation(x, y, descent.scale)
        descent.step(backpropagation.gradient)
        torch_optimizer.zero_grad()
        z = torch_forward(torch, mlp, parameters, torch.tensor(x))
        torch_value = torch_loss(torch, "canonical", "softmax", z, torch.tensor(y))
        torch_value.backward()
        torch_optimizer.step()
        assert loss == pytest.approx(torch_value.item(), rel=1e-9)
    for mine, their in zip((*mlp.weights, *mlp.biases), parameters, strict=True):
        np.testing.assert_allclose(mine, their.detach().numpy(), rtol=1e-6, atol=1e-9)
