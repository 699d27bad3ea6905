"""The figures: each function takes arrays and texts and returns a matplotlib figure, drawn but not saved.

They are built from `Figure` alone, without pyplot and its global state.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.rcsetup import cycler
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pipeline.figures.animation import animate
from pipeline.support.files import replacing

INK, QUIET, FAINT = "#222222", "#666666", "#e4e4e4"
BLUE, VERMILION = "#0072b2", "#d55e00"
# Okabe and Ito, "Color Universal Design" (2008): colours that colour-blind readers tell apart.
COLOURS = [BLUE, VERMILION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
PAPER_TO_INK = LinearSegmentedColormap.from_list("paper_to_ink", ["#f3f3f3", "#111111"])
DIVERGING = matplotlib.colormaps["RdBu_r"]
RIGHT = "#e3eef5"
ERRORS = LinearSegmentedColormap.from_list("errors", ["#ffffff", VERMILION])

STYLE: dict[Any, Any] = {
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same everywhere
    "font.size": 9,
    "grid.color": "#ebebeb",
    "image.interpolation": "nearest",  # what matplotlib interpolates has other last bits on ARM
    "lines.linewidth": 1.8,
    "savefig.dpi": 150,
    "text.color": INK,
    "text.parse_math": False,  # a $ in a class's name is a $
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}

HEADER = 0.7  # inches above the axes, for the title and the line under it
CHARACTER = 0.08  # inches, about the width of a character at the default size


@contextmanager
def style() -> Iterator[None]:
    """Draw and save in one quiet style, on matplotlib's defaults whatever the user's own settings are."""
    # Not `rcdefaults`, which reads the user's style files. The backend stays what a notebook has chosen.
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"}
    with matplotlib.rc_context(defaults | STYLE):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to the PNG file at `path`, without the version of matplotlib beside the picture."""
    with replacing(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})


def digits(title: str, rows: Sequence[np.ndarray], classes: Sequence[str]) -> Figure:
    """Draw images with their labels, a row a class.

    Args:
        title: the first line above the picture, here and in the other functions.
        rows: for each class its images, shape (m, height, width), in [0, 1]; m may differ.
        classes: the classes' names.
    """
    columns = max(len(row) for row in rows)
    _, height, width = rows[0].shape
    tiles = np.full((len(rows), columns, height, width), np.nan)
    for tile, row in zip(tiles, rows, strict=True):
        tile[: len(row)] = row
    figure, axes = new_figure(
        0.48 * columns + CHARACTER * _longest(classes) + 0.6,
        0.48 * len(rows) + 0.2,
        title,
        f"The first {columns} training images of each class",
    )
    pitch = (height + 2, width + 2)
    _show_tiles(axes, tiles.reshape(-1, height, width), columns, pitch, PAPER_TO_INK, 0, 1)
    axes.set_yticks(pitch[0] * np.arange(len(rows)) + (height - 1) / 2, classes)
    axes.tick_params(left=False, labelsize=11, labelcolor=INK)
    axes.set_ylabel("label")
    return figure


def distortions(title: str, original: np.ndarray, distorted: np.ndarray) -> Figure:
    """Draw an image on the left, and beside it what augmentation makes of it.

    Args:
        title: the first line.
        original: the image, shape (height, width), in [0, 1].
        distorted: its distortions, shape (m, height, width).
    """
    height, width = original.shape
    rows = 4
    columns = -(-len(distorted) // rows) + 2
    tiles = np.full((rows, columns, height, width), np.nan)
    tiles[0, 0] = original
    beside = tiles[:, 2:].reshape(-1, height, width)  # a column is left free
    beside[: len(distorted)] = distorted
    tiles[:, 2:] = beside.reshape(rows, -1, height, width)
    figure, axes = new_figure(
        0.6 * columns, 0.6 * rows, title, f"A training image and {len(distorted)} distortions of it"
    )
    pitch = (height + 2, width + 2)
    _show_tiles(axes, tiles.reshape(-1, height, width), columns, pitch, PAPER_TO_INK, 0, 1)
    axes.set_yticks([])
    return figure


def accuracy(title: str, subtitle: str, curves: dict[str, np.ndarray], epochs: np.ndarray) -> Figure:
    """Draw accuracy by epoch on a scale that widens towards 100 %: that of the error's logarithm.

    Args:
        title: the first line.
        subtitle: the second line, what was measured.
        curves: what each line is called, and its accuracy after each epoch, in [0, 1].
        epochs: which epochs those are.
    """
    figure, axes = new_figure(7, 4, title, subtitle)
    errors = {name: 100 * (1 - values) for name, values in curves.items()}
    everything = np.concatenate(list(errors.values()))
    worst, best = everything.max(), everything.min()
    if best > 0:
        axes.set_yscale("log")
        middle, spread = np.sqrt(worst * best), max(1.2 * np.sqrt(worst / best), 2)
        worst, best = min(middle * spread, 100), middle / spread
        digits = (1, 2, 5) if worst > 30 * best else (1, 1.5, 2, 3, 4, 5, 6, 8)
        steps = [digit * 10.0**power for power in range(-4, 3) for digit in digits]
        axes.yaxis.set_major_locator(FixedLocator([step for step in steps if best <= step <= worst]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylabel("accuracy (log scale of the error)")
    else:  # an error of 0 has no logarithm
        margin = max(0.05 * worst, 0.5)
        worst, best = worst + margin, -margin
        axes.set_ylabel("accuracy")
    axes.set_ylim(worst, best)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 - error:.6g} %"))
    names = {name: f"{name} {100 * values[-1]:.2f} %" for name, values in curves.items()}
    _draw_lines(axes, {names[name]: values for name, values in errors.items()}, epochs)
    return figure


def loss(title: str, subtitle: str, values: np.ndarray, epochs: np.ndarray) -> Figure:
    """Draw the loss by epoch, on a log scale where it falls far and stays above 0.

    Args:
        title: the first line.
        subtitle: the second line, what it is the mean of.
        values: the loss of each epoch.
        epochs: which epochs those are.
    """
    figure, axes = new_figure(7, 3.2, title, subtitle)
    low, high = values.min(), values.max()
    if low > 0 and high > 5 * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.2, high * 1.2)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylabel("loss (log scale)")
    else:
        margin = max(0.05 * (high - low), 1e-3 * abs(high), 1e-9)
        axes.set_ylim(low - margin, high + margin)
        axes.set_ylabel("loss")
    _draw_lines(axes, {f"loss {values[-1]:.4g}": values}, epochs)
    return figure


def dead_units(title: str, dead: dict[str, np.ndarray], epochs: np.ndarray) -> Figure:
    """Draw the share of dead units by epoch, a line a layer.

    Args:
        title: the first line.
        dead: each hidden layer's name, and its share of dead units after each epoch, in [0, 1].
        epochs: which epochs those are.
    """
    figure, axes = new_figure(7, 3.2, title, "Dead units: those whose σ′(z) is 0 for every training image")
    if not dead:
        say(axes, "This network has no hidden layer.")
        return figure
    percent = {name: 100 * values for name, values in dead.items()}
    highest = max(values.max() for values in percent.values())
    top = max(1.08 * highest, 5)
    axes.set_ylim(-0.03 * top, top)  # a line along 0 stays clear of the axis
    axes.set_ylabel("dead units (% of the layer)")
    _draw_lines(axes, {f"{name}: {values[-1]:.3g} %": values for name, values in percent.items()}, epochs)
    if highest == 0:
        axes.text(0.5, 0.5, "No unit was dead after any epoch.", transform=axes.transAxes, ha="center")
    return figure


def confusion_matrix(title: str, subtitle: str, confusion: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw counts by label and prediction, the errors in colour, recall and precision at the sides.

    Args:
        title: the first line.
        subtitle: the second line, which images are counted.
        confusion: (k, k) counts; a row a label, a column a prediction.
        classes: the k classes' names.
    """
    k = len(classes)
    cell = min(max(0.52, 2 / k), 10 / k)  # inches
    names = CHARACTER * _longest(classes)
    figure, axes = new_figure(cell * k + names + 1.1, cell * k + 0.7 * names + 0.8, title, subtitle)
    errors = np.ma.masked_array(confusion, np.eye(k, dtype=bool))  # the diagonal is no error
    axes.imshow(errors, cmap=ERRORS, vmin=0, vmax=max(errors.max(), 1))
    axes.set_facecolor(RIGHT)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    between = np.arange(k + 1) - 0.5
    axes.hlines(between, -0.5, k - 0.5, FAINT, linewidth=0.6)
    axes.vlines(between, -0.5, k - 0.5, FAINT, linewidth=0.6)

    size = min(8.5, 16 * cell)
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            weight = "bold" if row == column else "normal"
            _write(axes, column, row, f"{count:,}", size=size, weight=weight)
    right = confusion.diagonal()
    recall = right / np.maximum(confusion.sum(axis=1), 1)
    precision = right / np.maximum(confusion.sum(axis=0), 1)
    gap = 0.08 / cell
    beside, above = k - 0.5 + gap, -0.5 - gap
    for i in range(k):
        _write(axes, beside, i, f"{100 * recall[i]:.1f} %", size=0.85 * size, color=QUIET, ha="left")
        _write(axes, i, beside, f"{100 * precision[i]:.1f} %", size=0.85 * size, color=QUIET, va="top")
    _write(axes, beside, above, "recall", color=QUIET, ha="left", va="bottom")
    _write(axes, above, beside, "precision", color=QUIET, ha="right", va="top")

    axes.set_xticks(range(k), classes)
    axes.set_yticks(range(k), classes)
    axes.tick_params(bottom=False, left=False, labelbottom=False, labeltop=True, labelcolor=INK)
    if _longest(classes) > 5:
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="left", rotation_mode="anchor")
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("prediction", labelpad=8)
    axes.set_ylabel("label")
    return figure


def misread(
    title: str, subtitle: str, images: np.ndarray, pairs: Sequence[tuple[str, str]], notes: Sequence[str]
) -> Figure:
    """Draw misread images, each above its label, what it was taken for, and a note.

    Args:
        title: the first line.
        subtitle: the second line, which images these are.
        images: (n, height, width), in [0, 1]; n may be 0.
        pairs: label and prediction of each.
        notes: what else is said of each.
    """
    if not pairs:
        figure, axes = new_figure(6, 1.2, title, subtitle)
        say(axes, "No image was misread.")
        return figure
    _, height, width = images.shape
    longest = max(_longest(pair) for pair in pairs)
    lines, arrow, characters = (1, " → ", 14) if longest <= 4 else (2, " →\n", max(longest + 3, 14))
    scale = 0.95 / max(height, width)  # inches a pixel
    line = 0.18 / scale
    pitch = (height + (lines + 2) * line, max(width, CHARACTER * characters / scale) + 0.25 / scale)
    columns = min(6, len(images))
    rows = -(-len(images) // columns)
    figure, axes = new_figure(columns * pitch[1] * scale, rows * pitch[0] * scale, title, subtitle)
    corners = _show_tiles(axes, images, columns, pitch, PAPER_TO_INK, 0, 1)
    for (x, y), pair, note in zip(corners, pairs, notes, strict=True):
        middle, below = x + width / 2, y + height + 0.3 * line
        _write(axes, middle, below, arrow.join(pair), va="top", size=10)
        _write(axes, middle, below + lines * line, note, va="top", size=7.5, color=QUIET)
    return figure


@dataclass
class Weights:
    """The weights into units of the first layer, as an image a unit where an input is an image.

    Attributes:
        figure: what is drawn.
    """

    figure: Figure
    subtitle: Text
    image: AxesImage
    arrange: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def draw(
        cls,
        title: str,
        subtitle: str,
        matrix: np.ndarray,
        image_shape: tuple[int, int],
        names: Sequence[str],
        value: str = "weight",
    ) -> "Weights":
        """Draw the weights in colours that they share with all that is shown later.

        Args:
            title: the first line.
            subtitle: the second line, which units these are.
            matrix: (units, inputs).
            image_shape: height and width of an input image; with a height or width of 1, or another number of
                pixels than inputs, the matrix itself is drawn.
            names: the units' names, or none.
            value: what the numbers in `matrix` are, written beside the colours.
        """
        limit = _strongest(matrix)
        height, width = image_shape
        if min(image_shape) > 1 and height * width == matrix.shape[1]:
            columns = min(10 if len(matrix) > 20 else 5, len(matrix))
            rows = -(-len(matrix) // columns)
            scale = (0.62 if len(matrix) > 20 else 1.2) / max(height, width)  # inches a pixel
            pitch = (height + (0.25 / scale if names else 2), width + 2)
            figure, axes = new_figure(
                columns * pitch[1] * scale + 1, rows * pitch[0] * scale, title, subtitle
            )
            tiles = matrix.reshape(-1, height, width)
            corners = _show_tiles(axes, tiles, columns, pitch, DIVERGING, -limit, limit)
            for (x, y), name in zip(corners, names, strict=False):
                _write(axes, x + width / 2, y + height, name, va="top")

            def arrange(matrix: np.ndarray) -> np.ndarray:
                return _sheet(matrix.reshape(-1, height, width), columns, pitch)
        else:
            figure, axes = new_figure(6, 4, title, subtitle)
            axes.imshow(
                matrix, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
            )
            axes.grid(False)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("input")
            axes.set_ylabel("unit")

            def arrange(matrix: np.ndarray) -> np.ndarray:
                return matrix

        (image,) = axes.images
        figure.colorbar(image, ax=axes, label=value, extend="both", aspect=30, panchor=False)
        animate(axes)
        return cls(figure, figure.texts[1], image, arrange)

    def show(self, subtitle: str, matrix: np.ndarray) -> Figure:
        """Put in the weights `matrix`, (units, inputs), of the same units at another time."""
        self.subtitle.set_text(subtitle)
        self.image.set_data(self.arrange(matrix))
        return self.figure


def _strongest(matrix: np.ndarray) -> float:
    """Return the absolute weight that few of `matrix` exceed: outliers shall not pale the rest."""
    return max(float(np.quantile(np.abs(matrix), 0.9995)), 1e-6)


def new_figure(width: float, height: float, title: str, subtitle: str, **axes: Any) -> tuple[Figure, Axes]:
    """Return a figure with room for axes of `width` × `height` inches below two lines of text.

    A character of theirs that the font lacks becomes a question mark.
    """
    title, subtitle = legible(title), legible(subtitle)
    width = max(width, 0.118 * len(title), 0.071 * len(subtitle)) + 0.3
    height += HEADER
    below = (0, 0, 1, 1 - HEADER / height)
    figure = Figure((width, height), layout=ConstrainedLayoutEngine(rect=below, w_pad=0.1, h_pad=0.1))
    left, top = 0.15 / width, 1 - 0.15 / height
    figure.text(left, top, title, size=12, weight="bold", va="top")
    figure.text(left, top - 0.25 / height, subtitle, color=QUIET, va="top")
    return figure, figure.add_subplot(**axes)


def legible(text: str) -> str:
    """Return `text` with a question mark for each character that the figures' font lacks."""
    return "".join(character if ord(character) in _characters() else "?" for character in text)


@cache
def _characters() -> frozenset[int]:
    """Return the code points that the figures' font has, in both of the weights that are used."""
    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    normal, bold = (FT2Font(folder / name) for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"))
    return frozenset(normal.get_charmap()) & frozenset(bold.get_charmap())


def _draw_lines(axes: Axes, lines: dict[str, np.ndarray], epochs: np.ndarray) -> None:
    """Draw each line by epoch, with its name beside its end; close ends keep their names legible."""
    marker = "o" if len(epochs) <= 40 else ""
    curves = [axes.plot(epochs, values, marker=marker, markersize=3.5)[0] for values in lines.values()]
    axes.set_xlim(0.5, epochs[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")

    to_axes = axes.transScale + axes.transLimits  # from the data's coordinates to the axes' own 0 … 1
    ends = [to_axes.transform((1, values[-1]))[1] for values in lines.values()]
    free = -1.0
    for end, name, curve in sorted(zip(ends, lines, curves, strict=True), key=itemgetter(0)):
        height = max(end, free)
        axes.text(1.01, height, name, color=curve.get_color(), va="center", transform=axes.transAxes)
        free = height + 0.06


def _show_tiles(
    axes: Axes,
    tiles: np.ndarray,
    columns: int,
    pitch: tuple[float, float],
    colours: Colormap,
    low: float,
    high: float,
) -> list[tuple[float, float]]:
    """Show images in rows of `columns`, with nothing but them on the axes.

    Args:
        axes: where.
        tiles: (n, height, width); NaN is left blank.
        columns: how many in a row.
        pitch: rows and columns of pixels from one image's corner to the next one's.
        colours: the colour map.
        low: the value of its first colour.
        high: the value of its last.

    Returns:
        x and y of each image's upper left corner.
    """
    sheet = _sheet(tiles, columns, pitch)
    axes.imshow(sheet, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_anchor("NW")
    return [(x - 0.5, y - 0.5) for y, x in _corners(tiles, columns, pitch)]


def _sheet(tiles: np.ndarray, columns: int, pitch: tuple[float, float]) -> np.ndarray:
    """Return the images as one, with NaN around them: see `_show_tiles`."""
    n, height, width = tiles.shape
    rows = -(-n // columns)
    sheet = np.full((rows * round(pitch[0]), columns * round(pitch[1])), np.nan)
    for (y, x), tile in zip(_corners(tiles, columns, pitch), tiles, strict=True):
        sheet[y : y + height, x : x + width] = tile
    return sheet


def _corners(tiles: np.ndarray, columns: int, pitch: tuple[float, float]) -> list[tuple[int, int]]:
    """Return the row and column of each image's upper left pixel."""
    down, across = round(pitch[0]), round(pitch[1])
    indent = (across - tiles.shape[2]) // 2
    return [(i // columns * down, i % columns * across + indent) for i in range(len(tiles))]


def _write(axes: Axes, x: float, y: float, text: str, **look: Any) -> None:
    """Write `text` at a point of the data's coordinates, centred unless `look` says otherwise."""
    axes.text(x, y, text, **{"ha": "center", "va": "center", **look})


def say(axes: Axes, sentence: str) -> None:
    """Write one sentence where there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, transform=axes.transAxes, ha="center", va="center", size=11)


def _longest(texts: Sequence[str]) -> int:
    return max(map(len, texts))
