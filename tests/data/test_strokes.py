import hashlib
from typing import Literal

import numpy as np
import pytest

from pipeline.data.strokes import BLOCK, choose_digits, draw


def draw_all(count: int, part: Literal["train", "official"]) -> tuple[np.ndarray, np.ndarray]:
    digits = choose_digits(count, part)
    return np.concatenate(list(draw(digits, part))), digits


@pytest.fixture(scope="module")
def train() -> tuple[np.ndarray, np.ndarray]:
    return draw_all(3000, "train")


def test_images_and_labels_have_mnist_s_format(train: tuple[np.ndarray, np.ndarray]) -> None:
    images, digits = train
    assert (images.shape, images.dtype) == ((3000, 28, 28), np.uint8)
    assert (digits.shape, digits.dtype) == ((3000,), np.uint8)
    assert images.reshape(3000, -1).max(axis=1).min() > 128  # every image shows something
    assert 0.05 < images.mean() / 255 < 0.25


def test_every_digit_comes_about_as_often() -> None:
    counts = np.bincount(choose_digits(60_000, "train"))
    assert len(counts) == 10
    assert np.all(np.abs(counts - 6000) < 300)  # four standard deviations


def test_the_bits_are_pinned() -> None:
    images, digits = draw_all(1000, "train")
    assert (
        hashlib.sha256(digits.tobytes()).hexdigest()
        == "bc526bd4aa8c4c8e361096949db6519d125ea9f0282b27cde023a7c3a9e1f7df"
    )
    assert (
        hashlib.sha256(images.tobytes()).hexdigest()
        == "73769ddf02a9d208470dbfea864bd9b2e0e3deb9166e15b2616a2a46cb867a10"
    )


def test_a_smaller_draw_is_the_beginning_of_a_larger(train: tuple[np.ndarray, np.ndarray]) -> None:
    for count in [1, BLOCK - 1, BLOCK, BLOCK + 1]:
        images, digits = draw_all(count, "train")
        np.testing.assert_array_equal(digits, train[1][:count])
        np.testing.assert_array_equal(images, train[0][:count])


def test_images_come_in_blocks_so_that_memory_stays_small() -> None:
    sizes = [len(images) for images in draw(choose_digits(2 * BLOCK + 7, "train"), "train")]
    assert sizes == [BLOCK, BLOCK, 7]


def test_no_image_comes_twice(train: tuple[np.ndarray, np.ndarray]) -> None:
    official, _ = draw_all(1000, "official")
    every = np.concatenate([train[0], official]).reshape(4000, -1)
    assert len(np.unique(every, axis=0)) == 4000


def test_digits_can_be_told_apart_but_not_trivially(train: tuple[np.ndarray, np.ndarray]) -> None:
    images, digits = train
    means = np.array([images[digits == digit].mean(axis=0) for digit in range(10)]).reshape(10, -1)
    official, truth = draw_all(1000, "official")
    distances = ((official.reshape(1000, 1, -1) - means) ** 2).sum(axis=2)
    accuracy = (distances.argmin(axis=1) == truth).mean()
    assert 0.5 < accuracy < 0.9  # on MNIST: 0.82
