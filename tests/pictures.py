"""What a figure shows, read back from it: its texts, where they are, and the images on it."""

import itertools
from collections.abc import Callable

import numpy as np
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from pipeline.figures.style import style

TITLE = "A dataset with a title of some length: official test accuracy 97.25 % after 20 epochs"
CLASSES = [
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
]


def assert_legible(draw: Callable[[], Figure]) -> None:
    """Assert that each text lies within the picture and on no other one."""
    boxes = text_boxes(draw)
    assert len(boxes) > 1
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 1 and box.y1 <= 1, f"{text} is cut off"
    for (one, box), (other, another) in itertools.combinations(boxes, 2):
        assert not box.overlaps(another), f"{one} and {other} overlap"


def text_boxes(draw: Callable[[], Figure]) -> list[tuple[str, Bbox]]:
    """Return each text with its box, as shares of the figure; slanted ones are left out."""
    with style():
        figure = draw()
        FigureCanvasAgg(figure).draw()
        beyond = {
            label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in _undrawn(axis)
        }
        texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text not in beyond]
        to_shares = figure.transFigure.inverted()
        return [
            (text.get_text(), to_shares.transform_bbox(text.get_window_extent()))
            for text in texts
            if text.get_visible() and text.get_text() and text.get_rotation() in {0, 90}
        ]


def _undrawn(axis: Axis) -> list[Text]:
    """Return the labels of the ticks that lie beyond the axis's ends."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    beyond = [tick for tick in ticks if not low <= tick.get_loc() <= high]
    return [label for tick in beyond for label in (tick.label1, tick.label2)]


def sheet(figure: Figure) -> np.ndarray:
    """Return the image of images that `figure` shows."""
    [image] = figure.axes[0].images
    return np.asarray(np.ma.filled(np.ma.asarray(image.get_array()), np.nan))


def tiles(sheet: np.ndarray) -> np.ndarray:
    """Return the images that stand on `sheet`, (n, height, width), in the order of reading."""
    rows, columns = (_bands(~np.isnan(sheet).all(axis=axis)) for axis in (1, 0))
    found = [sheet[row, column] for row in rows for column in columns]
    return np.array([tile for tile in found if not np.isnan(tile).all()])


def _bands(filled: np.ndarray) -> list[slice]:
    """Return where `filled`, (n,), is true, from each beginning to the end."""
    edges = np.flatnonzero(np.diff(filled, prepend=False, append=False))
    return [slice(start, end) for start, end in edges.reshape(-1, 2)]
