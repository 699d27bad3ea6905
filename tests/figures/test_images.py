import numpy as np

from pipeline.figures.images import digits, distortions
from tests.pictures import CLASSES, TITLE, assert_legible, sheet, tiles

IMAGES = np.random.default_rng(0).random((20, 28, 28))


def test_texts_lie_within_the_picture_and_not_on_one_another() -> None:
    assert_legible(lambda: digits(TITLE, list(IMAGES.reshape(10, 2, 28, 28)), CLASSES))


def test_digits_are_drawn_in_the_row_of_their_class() -> None:
    zeros, ones = IMAGES[:3], IMAGES[3:5]
    upper, lower = np.array_split(sheet(digits("Bits", [zeros, ones], ["0", "1"])), 2)
    np.testing.assert_array_equal(tiles(upper), zeros)
    np.testing.assert_array_equal(tiles(lower), ones)


def test_an_image_is_drawn_beside_all_its_distortions() -> None:
    figure = distortions("Bits", IMAGES[0], IMAGES[1:8])
    np.testing.assert_array_equal(
        sorted(image.sum() for image in tiles(sheet(figure))), sorted(image.sum() for image in IMAGES[:8])
    )
    np.testing.assert_array_equal(tiles(sheet(figure))[0], IMAGES[0])


def test_colour_images_are_drawn_in_their_colours_on_white() -> None:
    reds = np.zeros((3, 5, 7, 3))
    reds[..., 0] = 1
    shown = sheet(digits("Discs", [reds, reds[:1] / 2], ["red", "dark red"]))
    assert shown.shape[-1] == 3
    found = {tuple(pixel) for pixel in shown.reshape(-1, 3).tolist()}
    assert found == {(1.0, 0.0, 0.0), (0.5, 0.0, 0.0), (1.0, 1.0, 1.0)}
