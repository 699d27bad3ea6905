"""The page's network computes what the Python code computes: forward pass, loss, δ and gradients."""

import re
from itertools import product
from typing import Any

import numpy as np
import pytest

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.fast import probabilities
from pipeline.nn.losses import LOSSES, smooth
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array
from tests.browser import PAGE, Browser
from tests.nn.examples import in_both_places, random_batch, random_network

NETWORK = PAGE / "network.js"
RELATIVE = 1e-6  # of the largest number of an array

COMPUTE = """arguments[0].map(({network, loss, inputs, targets, rate}) => {
  network.weights = network.weights.map((W) => Float64Array.from(W));
  network.biases = network.biases.map((b) => Float64Array.from(b));
  const result = backpropagate(network, loss, inputs, targets.map((y) => Float64Array.from(y)));
  const changed = copyOf(network);
  step(changed, result.gradient, rate);
  const array = (v) => v && Array.from(v);
  return {
    loss: result.loss,
    z: result.examples.map((each) => each.z.slice(1).map(array)),
    a: result.examples.map((each) => each.a.map(array)),
    weights: result.gradient.weights.map(array),
    biases: result.gradient.biases.map(array),
    changed: [...changed.weights, ...changed.biases].map(array),
    unchanged: [...network.weights, ...network.biases].map(array),
    byInput: result.examples.map((each) => array(inputGradient(network, each, network.widths.at(-1) - 1))),
    probabilities: result.examples.map((each) => probabilities(each.a.at(-1))),
  };
})"""


@pytest.mark.parametrize(("table", "names"), [("ACTIVATIONS", [*ACTIVATIONS]), ("LOSSES", [*LOSSES])])
def test_the_page_has_the_activations_and_losses_of_python(table: str, names: list[str]) -> None:
    [held] = re.findall(
        rf"^const {table} = {{$(.*?)^}};$", NETWORK.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    found = re.findall(r"^  (\w+): ", held, re.MULTILINE)
    lacking, unknown = sorted({*names} - {*found}), sorted({*found} - {*names})
    assert not lacking, f"pipeline/page/network.js: {table} lacks {lacking}, which Python has: add them there"
    assert not unknown, f"pipeline/page/network.js: {table} has {unknown}, which Python lacks"


def case(mlp: MLP, loss: str, x: Array, y: Array) -> dict[str, Any]:
    """Return what `COMPUTE` is given: `mlp` as network.js has a network, and a mini-batch."""
    network = {
        "widths": mlp.widths,
        "activation": mlp.activation,
        "output": mlp.output,
        "weights": [weights.ravel().tolist() for weights in mlp.weights],
        "biases": [biases.tolist() for biases in mlp.biases],
    }
    return {"network": network, "loss": loss, "inputs": x.tolist(), "targets": y.tolist(), "rate": 0.1}


def assert_close(found: Any, right: Array, what: str) -> None:
    found = np.array(found, dtype=np.float64)
    assert found.shape == right.shape, what
    assert np.isfinite(right).all(), what
    difference = np.abs(found - right).max(initial=0)
    assert difference <= RELATIVE * max(np.abs(right).max(initial=0), 1e-12), f"{what}: {difference}"


CASES = [
    (*in_both_places(activation, loss), loss, hidden, bias, scale)
    for activation, loss, hidden, bias, scale in product(
        ACTIVATIONS, LOSSES, [[], [5], [7, 5, 6]], [False, True], [1, 40]
    )
]


def test_forward_pass_loss_deltas_and_gradients_are_those_of_python(browser: Browser) -> None:
    networks, cases = [], []
    for activation, output, loss, hidden, bias, scale in CASES:
        # A case has the same mini-batch whichever other activations and losses there are.
        seed = len(hidden) + 2 * bias + scale
        mlp = random_network(activation, output, hidden, bias=bias)
        x, y = random_batch(1 + seed % 3, mlp, seed)
        x, y = scale * x, smooth(y, 0.1 * (seed % 2))
        networks.append((mlp, x, y))
        cases.append(case(mlp, loss, x, y))
    results = browser.run(NETWORK, COMPUTE, cases)
    for parts, (mlp, x, y), found in zip(CASES, networks, results, strict=True):
        what = str(parts)
        value, gradient = mlp.backpropagate(LOSSES[parts[2]](), x, y)
        z, a = mlp.forward(x)
        assert_close(found["loss"], np.array(value), f"loss of {what}")
        for layer in range(len(z)):
            assert_close([each[layer] for each in found["z"]], z[layer], f"z of {what}")
        for layer in range(len(a)):
            assert_close([each[layer] for each in found["a"]], a[layer], f"a of {what}")
        for layer, weights in enumerate(gradient.weights):
            assert_close(found["weights"][layer], weights.ravel(), f"∂C/∂W of {what}")
        for layer, biases in enumerate(gradient.biases):
            assert_close(found["biases"][layer], biases, f"∂C/∂b of {what}")
        assert_close(found["probabilities"], probabilities(mlp, a[-1]), f"probabilities of {what}")
        before = mlp.copy()
        mlp.step(gradient, 0.1)
        for network, kept in ((mlp, "changed"), (before, "unchanged")):
            arrays = [*(weights.ravel() for weights in network.weights), *network.biases]
            assert_close(np.concatenate(found[kept]), np.concatenate(arrays), f"{kept} θ of {what}")


@pytest.mark.parametrize("activation", ["tanh", "gelu", "mish"])
def test_the_gradient_by_the_input_is_that_of_finite_differences(activation: str, browser: Browser) -> None:
    mlp = random_network(activation, "softmax", [7, 5])
    x, y = random_batch(1, mlp)
    [found] = browser.run(NETWORK, COMPUTE, [case(mlp, "canonical", x, y)])
    shift = 1e-5 * np.eye(4)
    ahead, behind = (mlp.forward(x + sign * shift)[0][-1][:, -1] for sign in (1, -1))
    np.testing.assert_allclose(found["byInput"][0], (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-9)


def test_the_error_function_is_right_to_the_last_digits(browser: Browser) -> None:
    special = pytest.importorskip("scipy.special")
    points = np.linspace(-7, 7, 1401)
    found = browser.run(NETWORK, "arguments[0].map(erf)", points.tolist())
    np.testing.assert_allclose(found, special.erf(points), rtol=1e-14, atol=0)


def test_a_single_output_is_the_probability_of_the_second_class(browser: Browser) -> None:
    found = browser.run(NETWORK, "[[0.25], [-1], [3]].map(probabilities)")
    assert found == [[0.75, 0.25], [1, 0], [0, 1]]


def test_the_network_can_be_read_at_one_sitting() -> None:
    assert len(NETWORK.read_text(encoding="utf-8").splitlines()) <= 250
