import itertools
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.figures.mistakes import confusion_matrix, misread
from tests.pictures import CLASSES, TITLE, assert_legible, text_boxes

RNG = np.random.default_rng(0)
IMAGES = RNG.random((24, 28, 28))
CONFUSION = np.diag(RNG.integers(1000, 3000, 10)) + RNG.integers(0, 100, (10, 10))
PAIRS = list(itertools.islice(itertools.permutations(CLASSES, 2), 60, 84))
NOTES = [f"100.0 %, no. {i}" for i in range(19_000, 19_024)]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: confusion_matrix(TITLE, "Labels", CONFUSION, CLASSES),
        lambda: confusion_matrix("Bits", "Labels", CONFUSION[:2, :2], ["0", "1"]),
        lambda: misread(TITLE, "Misread", IMAGES, PAIRS, NOTES),
        lambda: misread("Bits", "Misread", IMAGES, [("7", "1")] * 24, NOTES),
        lambda: misread("Bits", "Misread", IMAGES[:1], [("7", "1")], NOTES[:1]),
    ],
)
def test_texts_lie_within_the_picture_and_not_on_one_another(draw: Callable[[], Figure]) -> None:
    assert_legible(draw)


def test_the_confusion_matrix_gives_counts_recall_and_precision() -> None:
    counts = np.array([[1500, 500], [0, 100]])
    texts = dict(text_boxes(lambda: confusion_matrix("Bits", "Labels", counts, ["0", "1"])))
    assert {"1,500", "500", "100", "75.0 %", "100.0 %", "16.7 %"} <= set(texts)
    assert texts["500"].x0 > texts["1,500"].x0  # a column a prediction
    assert texts["500"].y0 > texts["100"].y0  # a row a label


def test_where_no_image_was_misread_the_picture_says_so() -> None:
    texts = text_boxes(lambda: misread("Digits", "0 of 9", IMAGES[:0], [], []))
    assert "No image was misread." in dict(texts)
