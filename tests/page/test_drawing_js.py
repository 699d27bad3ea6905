"""A drawing becomes an image as MNIST's authors made theirs, and as NumPy makes it here."""

import numpy as np
import pytest

from pipeline.data.photos import in_data_form
from pipeline.data.strokes import choose_digits, draw
from pipeline.nn.types import Array
from tests.browser import PAGE, Browser

DRAWING = PAGE / "drawing.js"
ROWS = COLUMNS = 28


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
        np.testing.assert_allclose(
            bring(browser, ink), in_data_form(ink, (ROWS, COLUMNS)), atol=1e-6, err_msg=str(number)
        )


@pytest.mark.parametrize("shape", [(8, 8), (14, 20), (1, 64)])
def test_so_it_does_for_images_of_other_sizes(shape: tuple[int, int], browser: Browser) -> None:
    for ink in drawings()[:4]:
        np.testing.assert_allclose(bring(browser, ink, *shape), in_data_form(ink, shape), atol=1e-6)


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
