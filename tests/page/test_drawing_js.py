"""A drawing becomes an image as MNIST's authors made theirs, and as NumPy makes it here."""

import numpy as np
import pytest

from pipeline.data.strokes import choose_digits, draw
from pipeline.nn.types import Array
from tests.browser import PAGE, Browser

DRAWING = PAGE / "drawing.js"
ROWS = COLUMNS = 28


def box_mean(many: int, few: int) -> Array:
    """Return the matrix (few, many) that takes the mean of `many` pixels in each of `few` equal intervals."""
    fine = np.arange(many * few)  # parts of which each pixel has `few`, each interval `many`
    matrix = np.zeros((few, many))
    np.add.at(matrix, (fine // many, fine // few), 1 / many)
    return matrix


def in_data_form(ink: Array, rows: int = ROWS, columns: int = COLUMNS) -> Array:
    """Return what drawing.js makes of `ink`, (height, width): (rows, columns)."""
    inked = ink > 0
    y, x = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    cut = ink[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
    scale = min(20 / 28 * rows / cut.shape[0], 20 / 28 * columns / cut.shape[1])
    height, width = (max(int(np.floor(scale * side + 0.5)), 1) for side in cut.shape)
    small = box_mean(cut.shape[0], height) @ cut @ box_mean(cut.shape[1], width).T
    mass = small.sum()
    centre = (small.sum(axis=1) @ np.arange(height) / mass, small.sum(axis=0) @ np.arange(width) / mass)
    top, left = (int(np.floor(side / 2 - at + 0.5)) for side, at in zip((rows, columns), centre, strict=True))
    room = np.zeros((3 * rows, 3 * columns))  # what goes over the edge is cut off
    room[rows + top : rows + top + height, columns + left : columns + left + width] = small
    return room[rows : 2 * rows, columns : 2 * columns]


def drawings() -> list[Array]:
    """Return ink of many sizes: drawn digits, enlarged by whole factors, on larger paper; and odd ones."""
    rng = np.random.default_rng(3)
    [digits] = draw(choose_digits(15, "official"), "official")
    found = []
    for digit in digits:
        factors = rng.integers(1, 6, size=2)
        enlarged = np.kron(digit / 255, np.ones(factors))
        found.append(np.pad(enlarged, rng.integers(0, 60, size=(2, 2))))
    dot, line = np.zeros((140, 140)), np.zeros((140, 140))
    dot[3, 130] = 0.5
    line[20:130, 70] = 1
    return [*found, dot, line, np.ones((90, 140))]


def bring(browser: Browser, ink: Array, rows: int = ROWS, columns: int = COLUMNS) -> Array:
    expression = "Array.from(inDataForm(...arguments))"
    found = browser.run(DRAWING, expression, ink.ravel().tolist(), *ink.shape, rows, columns)
    return np.array(found).reshape(rows, columns)


def test_a_drawing_comes_to_the_form_that_numpy_brings_it_to(browser: Browser) -> None:
    for number, ink in enumerate(drawings()):
        np.testing.assert_allclose(bring(browser, ink), in_data_form(ink), atol=1e-6, err_msg=str(number))


@pytest.mark.parametrize("shape", [(8, 8), (14, 20), (1, 64)])
def test_so_it_does_for_images_of_other_sizes(shape: tuple[int, int], browser: Browser) -> None:
    for ink in drawings()[:4]:
        np.testing.assert_allclose(bring(browser, ink, *shape), in_data_form(ink, *shape), atol=1e-6)


def test_a_digit_fills_a_box_of_20_pixels_with_its_centre_of_mass_in_the_middle(browser: Browser) -> None:
    for ink in drawings()[:15]:
        image = bring(browser, ink)
        y, x = np.nonzero(image)
        assert max(np.ptp(y), np.ptp(x)) + 1 == 20
        centre = (
            np.array([image.sum(axis=1) @ np.arange(28), image.sum(axis=0) @ np.arange(28)]) / image.sum()
        )
        assert (np.abs(centre - 14) <= 0.5 + 1e-9).all()


def test_nothing_drawn_is_an_empty_image(browser: Browser) -> None:
    assert not bring(browser, np.zeros((50, 40))).any()
