"""The weights of the first layer, which may move."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from pipeline.figures.animation import animate
from pipeline.figures.images import Tiling
from pipeline.figures.style import new_figure, write

DIVERGING = matplotlib.colormaps["RdBu_r"]
FEW_UNITS = 20  # more units than that are drawn smaller
BELOW_LIMIT = 0.9995  # of the weights; the few beyond get the strongest colour, or they would pale the rest


@dataclass
class Weights:
    """The weights into units of the first layer, as an image a unit where an input is an image.

    Of colour images, grey is a weight of 0 and each channel brighter or darker by the weights of its own.

    Attributes:
        figure: what is drawn.
    """

    figure: Figure
    subtitle: Text
    image: AxesImage
    image_shape: tuple[int, ...]
    limit: float
    tiling: Tiling | None

    @classmethod
    def draw(
        cls,
        title: str,
        subtitle: str,
        matrix: np.ndarray,
        image_shape: tuple[int, ...],
        names: Sequence[str] = (),
        value: str = "weight",
    ) -> "Weights":
        """Draw the weights in colours that they share with all that is shown later.

        Args:
            title: the first line above the picture.
            subtitle: the second line, which units these are.
            matrix: (units, inputs).
            image_shape: height and width of an input image, and 3 of a colour image; with a height or width
                of 1, or another number of pixels than inputs, the matrix itself is drawn.
            names: the units' names, or none.
            value: what the numbers in `matrix` are, written beside the colours.
        """
        limit = max(float(np.quantile(np.abs(matrix), BELOW_LIMIT)), 1e-6)
        colours = {"cmap": DIVERGING, "vmin": -limit, "vmax": limit}
        tiling = None
        height, width, *channels = image_shape
        if min(height, width) > 1 and math.prod(image_shape) == matrix.shape[1]:
            few = len(matrix) <= FEW_UNITS
            scale = (1.2 if few else 0.62) / max(height, width)  # inches a pixel
            between = 0.25 / scale if names else 2  # pixels
            tiling = Tiling(min(5 if few else 10, len(matrix)), (height + between, width + 2))
            across, down = tiling.size(len(matrix), scale)
            figure, axes = new_figure(across + 1, down, title, subtitle)
            corners = tiling.show(axes, as_images(matrix, image_shape, limit), **colours)
            for (x, y), name in zip(corners, names, strict=False):
                write(axes, x + width / 2, y + height, name, va="top")
        else:
            figure, axes = new_figure(6, 4, title, subtitle)
            _show_matrix(axes, matrix, **colours)
        (image,) = axes.images
        if not (tiling and channels):
            figure.colorbar(image, ax=axes, label=value, extend="both", aspect=30, panchor=False)
        animate(axes)
        return cls(figure, figure.texts[1], image, image_shape, limit, tiling)

    def show(self, subtitle: str, matrix: np.ndarray) -> Figure:
        """Put in the weights `matrix`, (units, inputs), of the same units at another time."""
        self.subtitle.set_text(subtitle)
        tiled = matrix
        if self.tiling:
            tiled = self.tiling.sheet(as_images(matrix, self.image_shape, self.limit))
        self.image.set_data(tiled)
        return self.figure


def as_images(matrix: np.ndarray, image_shape: tuple[int, ...], limit: float) -> np.ndarray:
    """Return the weights `matrix`, (units, inputs), as an image a unit; in colour −limit … limit is 0 … 1."""
    if len(image_shape) == 2:
        return matrix.reshape(-1, *image_shape)
    return np.clip(0.5 + matrix.reshape(-1, *image_shape) / (2 * limit), 0, 1)


def _show_matrix(axes: Axes, matrix: np.ndarray, **colours: Any) -> None:
    axes.imshow(matrix, aspect="auto", **colours)
    axes.grid(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("input")
    axes.set_ylabel("unit")
