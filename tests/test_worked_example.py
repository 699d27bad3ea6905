"""The worked example in docs/backpropagation.md and the answers there are what the code computes."""

import re
from math import exp

import numpy as np
import pytest

from pipeline.nn.losses import LOSSES
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array
from tests.commands import ROOT

PAGE = (ROOT / "docs/backpropagation.md").read_text(encoding="utf-8")
[EXAMPLE] = re.findall(r"## A worked example\n(.+?)### Exercises", PAGE, re.DOTALL)
ANSWERS = re.findall(r"<summary>Answer \d</summary>\n(.+?)</details>", PAGE, re.DOTALL)
X, Y = np.array([[1.0, 2.0]]), np.array([[1.0]])
OTHER_X, OTHER_Y = np.array([[0.0, 1.0]]), np.array([[0.0]])  # the second example of exercise 3
GRADIENT = r"\partial C / \partial "


def network(activation: str = "sigmoid", output: str = "sigmoid") -> MLP:
    """Return the network of the worked example, before its step."""
    mlp = MLP((2, 2, 1), activation=activation, output=output, bias=True, arithmetic="float64")
    mlp.weights[0][:] = [[0.5, -0.25], [-0.5, 0.75]]
    mlp.biases[0][:] = [0.5, 0]
    mlp.weights[1][:] = [[1, -2]]
    mlp.biases[1][:] = [0.5]
    return mlp


def make_step(mlp: MLP, learning_rate: float) -> None:
    _, gradient = mlp.backpropagate(LOSSES["squared_error"](), X, Y)
    mlp.step(gradient, learning_rate)


def computed(mlp: MLP, x: Array = X, y: Array = Y, loss: str = "squared_error") -> dict[str, float]:
    """Return what the code computes, each number by the symbol that the page has for it, without its $."""
    z, a = mlp.forward(x)
    value, gradient = mlp.backpropagate(LOSSES[loss](), x, y)
    arrays = {"W": mlp.weights, "b": mlp.biases}
    arrays |= {f"{GRADIENT}W": gradient.weights, f"{GRADIENT}b": gradient.biases}
    if len(x) == 1:
        arrays |= {"z": [row for [row] in z], "a": [row for [row] in a[1:]], r"\delta": gradient.biases}
    numbers = {"C": value}
    for letter, layers in arrays.items():
        for layer, array in enumerate(layers, start=1):
            for index, number in np.ndenumerate(array):
                units = "".join(str(i + 1) for i in index)
                below = units if len(units) == 1 else f"{{{units}}}"
                numbers[f"{letter}_{below}^{{({layer})}}"] = float(number)
    return numbers


def rows(text: str) -> list[list[str]]:
    """Return the cells of each row of numbers of the tables in `text`, without the $ around formulas."""
    lines = re.findall(r"^\| (.+) \|$", text.replace("$", ""), re.MULTILINE)
    return [line.split(" | ") for line in lines if re.search(r"\d$", line)]


def check(written: str, number: float) -> None:
    """Check a number of the page; it has four digits after the point, or more, and ends earlier if exact."""
    digits = len(written.partition(".")[2])
    assert round(number, max(4, digits)) == float(written)


def test_the_passes_of_the_worked_example() -> None:
    numbers = computed(network())
    table = [row for row in rows(EXAMPLE) if len(row) == 3]
    assert {row[0] for row in table} == {
        name for name in numbers if name == "C" or name[0] in "za" or "delta" in name
    }
    for symbol, formula, value in table:
        check(value, numbers[symbol])
        python = formula.replace(r"\tfrac{1}{2}", "0.5 *").replace(r"\cdot", "*").replace("^", "**")
        result = eval(python.replace(r"\sigma", "sigmoid"), {"sigmoid": lambda z: 1 / (1 + exp(-z))})
        assert result == pytest.approx(float(value), abs=1e-4), formula


def test_the_step_of_the_worked_example() -> None:
    mlp = network()
    before = computed(mlp)
    make_step(mlp, learning_rate=1)
    after = computed(mlp)
    table = [row for row in rows(EXAMPLE) if len(row) == 5]
    assert {row[0] for row in table} == {name for name in before if name[0] in "Wb"}
    for parameter, old, _, gradient, new in table:
        check(old, before[parameter])
        check(gradient, before[GRADIENT + parameter])
        check(new, after[parameter])
    output, loss = "a_1^{(2)}", "C"
    told = re.findall(r"(\d\.\d+) instead\s+of (\d\.\d+)", EXAMPLE)
    for (new, old), name in zip(told, (output, loss), strict=True):
        check(new, after[name])
        check(old, before[name])


def by_hand_alone() -> dict[str, float]:
    mlp = network("relu", "identity")
    numbers = computed(mlp)
    make_step(mlp, learning_rate=0.1)
    return numbers | {f"{name} after the step": number for name, number in computed(mlp).items()}


def the_other_loss() -> dict[str, float]:
    squared, canonical = computed(network()), computed(network(), loss="canonical")
    changed = [name for name in squared if "delta" in name or "partial" in name]
    [factor] = {round(canonical[name] / squared[name], 9) for name in changed}  # it is the same for all
    return canonical | {"the factor": factor}


def a_mini_batch() -> dict[str, float]:
    alone = computed(network(), OTHER_X, OTHER_Y)
    both = computed(network(), np.vstack([X, OTHER_X]), np.vstack([Y, OTHER_Y]))
    return both | {f"{name} of the second example alone": number for name, number in alone.items()}


def is_the_derivative_right() -> dict[str, float]:
    numbers = computed(network())
    losses = []
    for weight in ("0.6", "0.4"):
        mlp = network()
        mlp.weights[0][0, 0] = float(weight)
        losses.append(computed(mlp)["C"])
        numbers[f"C with W_{{11}}^{{(1)}} = {weight}"] = losses[-1]
    return numbers | {"the difference quotient": (losses[0] - losses[1]) / 0.2}


def why_at_random() -> dict[str, float]:
    mlp = network()
    mlp.parameters.vector[:] = 0
    numbers = computed(mlp)
    for _ in range(100):
        make_step(mlp, learning_rate=1)
    np.testing.assert_array_equal(mlp.weights[0][0], mlp.weights[0][1])  # the hidden units are still alike
    assert mlp.weights[0].any()
    return numbers


EXERCISES = (by_hand_alone, the_other_loss, a_mini_batch, is_the_derivative_right, why_at_random)


@pytest.mark.parametrize("exercise", range(5), ids=lambda i: EXERCISES[i].__name__)
def test_the_answers_to_the_exercises(exercise: int) -> None:
    numbers = EXERCISES[exercise]()
    table = rows(ANSWERS[exercise])
    assert len(table) >= 4
    for name, value in table:
        check(value, numbers[name])
