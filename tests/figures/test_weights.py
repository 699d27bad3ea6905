from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.figures.weights import Weights
from tests.pictures import CLASSES, TITLE, assert_legible

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: Weights.draw(TITLE, "Weights", RNG.normal(size=(100, 784)), (28, 28)).figure,
        lambda: Weights.draw(TITLE, "Weights", RNG.normal(size=(10, 784)), (28, 28), CLASSES).figure,
        lambda: Weights.draw(TITLE, "Weights", RNG.normal(size=(50, 2)), (1, 2)).figure,
    ],
)
def test_texts_lie_within_the_picture_and_not_on_one_another(draw: Callable[[], Figure]) -> None:
    assert_legible(draw)


def test_weights_have_one_scale_with_0_in_its_middle() -> None:
    matrix = RNG.normal(1, 0.1, size=(9, 784))
    figure = Weights.draw("Digits", "Weights", matrix, (28, 28)).figure
    low, high = figure.axes[0].images[0].get_clim()
    assert low == -high
    assert high == pytest.approx(matrix.max(), rel=0.1)


def test_weights_of_colour_images_are_grey_at_0_and_have_no_scale() -> None:
    matrix = np.zeros((2, 4 * 5 * 3))
    matrix[1, 0] = 1.0  # of the first pixel's red
    figure = Weights.draw("Discs", "Weights", matrix, (4, 5, 3)).figure
    [axes] = figure.axes
    found = {tuple(pixel) for pixel in np.asarray(axes.images[0].get_array()).reshape(-1, 3).tolist()}
    assert found == {(0.5, 0.5, 0.5), (1.0, 0.5, 0.5), (1.0, 1.0, 1.0)}
