from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.figures.curves import accuracy, dead_units, errors
from tests.pictures import TITLE, assert_legible, text_boxes

ENDS_TOGETHER = {"train": np.array([0.3, 0.9, 0.97]), "test": np.array([0.2, 0.91, 0.9699])}
NO_ERRORS = {"train": np.array([0.5, 1.0]), "test": np.array([0.75, 1.0])}
LAYERS = {f"hidden layer {i}": np.array([0.5, 0.25 * (i > 2)]) for i in range(1, 6)}


def epochs(lines: dict[str, np.ndarray]) -> np.ndarray:
    """Return the epochs of the lines' values: 1, 2, …."""
    return np.arange(1, max(map(len, lines.values()), default=0) + 1)


def of_accuracy(lines: dict[str, np.ndarray]) -> Figure:
    return accuracy(TITLE, "Accuracy", lines, epochs(lines))


def of_errors(lines: dict[str, np.ndarray]) -> Figure:
    return errors(TITLE, "Loss or RMSE", "loss", lines, epochs(lines))


def of_dead_units(lines: dict[str, np.ndarray]) -> Figure:
    return dead_units(TITLE, "Dead units", lines, epochs(lines))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: of_accuracy(ENDS_TOGETHER),
        lambda: of_accuracy(NO_ERRORS),
        lambda: of_accuracy({"train": np.array([0.1])}),
        lambda: of_errors({"loss 0.02": np.array([2.0, 0.3, 0.02])}),
        lambda: of_errors(
            {"train 52.1": np.array([77.0, 53.0, 52.1]), "test 52.2": np.array([80, 55, 52.2])}
        ),
        lambda: of_errors({"loss -0.4": np.array([-0.3, -0.4])}),
        lambda: of_errors({"loss 0": np.zeros(1)}),
        lambda: of_dead_units(LAYERS),
        lambda: of_dead_units({}),
    ],
)
def test_texts_lie_within_the_picture_and_not_on_one_another(draw: Callable[[], Figure]) -> None:
    assert_legible(draw)


def test_the_value_after_the_last_epoch_is_written_beside_its_line() -> None:
    texts = dict(text_boxes(lambda: of_accuracy(ENDS_TOGETHER)))
    assert {"train 97.00 %", "test 96.99 %", "90 %", "95 %"} <= set(texts)
    assert texts["train 97.00 %"].y0 > texts["test 96.99 %"].y0
    texts = dict(text_boxes(lambda: of_dead_units(LAYERS)))
    assert {"hidden layer 1: 0 %", "hidden layer 3: 25 %"} <= set(texts)


def test_perfect_accuracy_is_drawn_though_its_error_has_no_logarithm() -> None:
    texts = dict(text_boxes(lambda: of_accuracy(NO_ERRORS)))
    assert {"train 100.00 %", "test 100.00 %", "100 %"} <= set(texts)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ({}, "This network has no hidden layer."),
        ({"hidden layer 1": np.zeros(5)}, "No unit was dead after any epoch."),
    ],
)
def test_where_no_unit_is_dead_the_picture_says_so(layers: dict[str, np.ndarray], sentence: str) -> None:
    assert sentence in dict(text_boxes(lambda: of_dead_units(layers)))
