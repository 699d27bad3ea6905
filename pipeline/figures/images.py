"""Images side by side: digits with their labels, and what augmentation makes of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from pipeline.figures.style import CHARACTER_INCHES, INK, longest, new_figure

PAPER_TO_INK = {
    "cmap": LinearSegmentedColormap.from_list("paper_to_ink", ["#f3f3f3", "#111111"]),
    "vmin": 0,
    "vmax": 1,
}
DISTORTIONS_ROWS = 4


@dataclass(frozen=True)
class Tiling:
    """How images of one size lie side by side in rows.

    Attributes:
        columns: images in a row.
        pitch: pixels from one image's corner to the next one's, downwards and to the right. They are rounded
            where the images are placed.
    """

    columns: int
    pitch: tuple[float, float]

    def size(self, n: int, scale: float) -> tuple[float, float]:
        """Return the width and height, in inches, of `n` images whose pixels are `scale` inches wide."""
        rows = -(-n // self.columns)
        return self.columns * self.pitch[1] * scale, rows * self.pitch[0] * scale

    def corners(self, images: np.ndarray) -> list[tuple[int, int]]:
        """Return the row and the column of each image's upper left pixel."""
        down, across = map(round, self.pitch)
        indent = (across - images.shape[2]) // 2
        return [(i // self.columns * down, i % self.columns * across + indent) for i in range(len(images))]

    def sheet(self, images: np.ndarray) -> np.ndarray:
        """Return `images`, (n, height, width), or in colour (n, height, width, 3), as one image."""
        n, height, width, *channels = images.shape
        down, across = map(round, self.pitch)
        sheet = blank(-(-n // self.columns) * down, self.columns * across, channels=channels)
        for (y, x), image in zip(self.corners(images), images, strict=True):
            sheet[y : y + height, x : x + width] = image
        return sheet

    def show(self, axes: Axes, images: np.ndarray, **colours: Any) -> list[tuple[float, float]]:
        """Show `images`, as for `sheet`, with nothing but them on the axes.

        Args:
            axes: where.
            images: what; NaN is left blank.
            colours: colour map and limits, for `Axes.imshow`.

        Returns:
            x and y of each image's upper left corner.
        """
        axes.imshow(self.sheet(images), **colours)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_anchor("NW")
        return [(x - 0.5, y - 0.5) for y, x in self.corners(images)]


def blank(*shape: int, channels: Sequence[int]) -> np.ndarray:
    """Return blank images: NaN, or white if `channels` is [3]."""
    return np.full((*shape, *channels), 1.0 if channels else np.nan)


def digits(title: str, rows: Sequence[np.ndarray], classes: Sequence[str]) -> Figure:
    """Draw images with their labels, a row a class.

    Args:
        title: the first line above the picture.
        rows: for each class its images, shape (m, height, width) or in colour (m, height, width, 3), in
            [0, 1]; m may differ.
        classes: the classes' names.
    """
    columns = max(len(row) for row in rows)
    _, height, width, *channels = rows[0].shape
    images = blank(len(rows), columns, height, width, channels=channels)
    for i, row in enumerate(rows):
        images[i, : len(row)] = row
    figure, axes = new_figure(
        0.48 * columns + CHARACTER_INCHES * longest(classes) + 0.6,
        0.48 * len(rows) + 0.2,
        title,
        f"The first {columns} training images of each class",
    )
    tiling = Tiling(columns, (height + 2, width + 2))
    tiling.show(axes, images.reshape(-1, height, width, *channels), **PAPER_TO_INK)
    axes.set_yticks(tiling.pitch[0] * np.arange(len(rows)) + (height - 1) / 2, classes)
    axes.tick_params(left=False, labelsize=11, labelcolor=INK)
    axes.set_ylabel("label")
    return figure


def distortions(title: str, original: np.ndarray, distorted: np.ndarray) -> Figure:
    """Draw an image on the left, and beside it what augmentation makes of it.

    Args:
        title: the first line above the picture.
        original: the image, shape (height, width), in [0, 1].
        distorted: its distortions, shape (m, height, width).
    """
    height, width = original.shape
    rows, columns = DISTORTIONS_ROWS, -(-len(distorted) // DISTORTIONS_ROWS) + 2
    images = np.full((rows, columns, height, width), np.nan)
    images[0, 0] = original
    beside = images[:, 2:].reshape(-1, height, width)  # a column is left free
    beside[: len(distorted)] = distorted
    images[:, 2:] = beside.reshape(rows, -1, height, width)
    figure, axes = new_figure(
        0.6 * columns, 0.6 * rows, title, f"A training image and {len(distorted)} distortions of it"
    )
    Tiling(columns, (height + 2, width + 2)).show(axes, images.reshape(-1, height, width), **PAPER_TO_INK)
    return figure
