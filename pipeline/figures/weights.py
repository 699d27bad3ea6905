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

    Attributes:
        figure: what is drawn.
    """

    figure: Figure
    subtitle: Text
    image: AxesImage
    image_shape: tuple[int, int]
    tiling: Tiling | None

    @classmethod
    def draw(
        cls,
        title: str,
        subtitle: str,
        matrix: np.ndarray,
        image_shape: tuple[int, int],
        names: Sequence[str] = (),
        value: str = "weight",
    ) -> "Weights":
        """Draw the weights in colours that they share with all that is shown later.

        Args:
            title: the first line above the picture.
            subtitle: the second line, which units these are.
            matrix: (units, inputs).
            image_shape: height and width of an input image; with a height or width of 1, or another number of
                pixels than inputs, the matrix itself is drawn.
            names: the units' names, or none.
            value: what the numbers in `matrix` are, written beside the colours.
        """
        limit = max(float(np.quantile(np.abs(matrix), BELOW_LIMIT)), 1e-6)
        colours = {"cmap": DIVERGING, "vmin": -limit, "vmax": limit}
        tiling = None
        if min(image_shape) > 1 and math.prod(image_shape) == matrix.shape[1]:
            few = len(matrix) <= FEW_UNITS
            scale = (1.2 if few else 0.62) / max(image_shape)  # inches a pixel
            between = 0.25 / scale if names else 2  # pixels
            tiling = Tiling(
                min(5 if few else 10, len(matrix)), (image_shape[0] + between, image_shape[1] + 2)
            )
            width, height = tiling.size(len(matrix), scale)
            figure, axes = new_figure(width + 1, height, title, subtitle)
            corners = tiling.show(axes, matrix.reshape(-1, *image_shape), **colours)
            for (x, y), name in zip(corners, names, strict=False):
                write(axes, x + image_shape[1] / 2, y + image_shape[0], name, va="top")
        else:
            figure, axes = new_figure(6, 4, title, subtitle)
            _show_matrix(axes, matrix, **colours)
        (image,) = axes.images
        figure.colorbar(image, ax=axes, label=value, extend="both", aspect=30, panchor=False)
        animate(axes)
        return cls(figure, figure.texts[1], image, image_shape, tiling)

    def show(self, subtitle: str, matrix: np.ndarray) -> Figure:
        """Put in the weights `matrix`, (units, inputs), of the same units at another time."""
        self.subtitle.set_text(subtitle)
        tiled = self.tiling.sheet(matrix.reshape(-1, *self.image_shape)) if self.tiling else matrix
        self.image.set_data(tiled)
        return self.figure


def _show_matrix(axes: Axes, matrix: np.ndarray, **colours: Any) -> None:
    axes.imshow(matrix, aspect="auto", **colours)
    axes.grid(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("input")
    axes.set_ylabel("unit")
