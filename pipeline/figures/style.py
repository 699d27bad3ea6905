"""How all figures look: one style, a title with a line under it, and a font that is the same everywhere.

The figures are built from `Figure` alone, without pyplot and its global state.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.rcsetup import cycler

from pipeline.support.files import replacing

INK, QUIET, FAINT = "#222222", "#666666", "#e4e4e4"
BLUE, VERMILION = "#0072b2", "#d55e00"
# Okabe and Ito, "Color Universal Design" (2008): colours that colour-blind readers tell apart.
COLOURS = [BLUE, VERMILION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]

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

HEADER_INCHES = 0.7  # above the axes, for the title and the line under it
CHARACTER_INCHES = 0.08  # about the width of a character at the default size


@contextmanager
def style() -> Iterator[None]:
    """Draw and save the figures of the block in our style, whatever the user's own settings are."""
    # `matplotlib.rcdefaults` would read the user's style files. The backend stays what a notebook has chosen.
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"}
    with matplotlib.rc_context(defaults | STYLE):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to the PNG file at `path`, without the version of matplotlib in it."""
    with replacing(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})


def new_figure(width: float, height: float, title: str, subtitle: str, **axes: Any) -> tuple[Figure, Axes]:
    """Return a figure with room for axes of `width` × `height` inches below two lines of text.

    Each character of the title and the subtitle that the font lacks becomes a question mark. `axes` go to
    `Figure.add_subplot`.
    """
    figure = _titled(width, height, title, subtitle)
    return figure, figure.add_subplot(**axes)


def new_panels(
    count: int, columns: int, size: tuple[float, float], title: str, subtitle: str
) -> tuple[Figure, list[Axes]]:
    """Return a figure as `new_figure` does, with so many panels of `size`, width and height in inches.

    They lie in rows of at most `columns`.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = _titled(columns * size[0], rows * size[1], title, subtitle)
    return figure, [figure.add_subplot(rows, columns, place) for place in range(1, count + 1)]


def _titled(width: float, height: float, title: str, subtitle: str) -> Figure:
    title, subtitle = legible(title), legible(subtitle)
    width = max(width, 0.118 * len(title), 0.071 * len(subtitle)) + 0.3
    height += HEADER_INCHES
    below = (0, 0, 1, 1 - HEADER_INCHES / height)
    figure = Figure((width, height), layout=ConstrainedLayoutEngine(rect=below, w_pad=0.1, h_pad=0.1))
    left, top = 0.15 / width, 1 - 0.15 / height
    figure.text(left, top, title, size=12, weight="bold", va="top")
    figure.text(left, top - 0.25 / height, subtitle, color=QUIET, va="top")
    return figure


def write(axes: Axes, x: float, y: float, text: str, **look: Any) -> None:
    """Write `text` at a point of the data's coordinates, centred unless `look` says otherwise."""
    axes.text(x, y, text, **{"ha": "center", "va": "center", **look})


def write_instead(axes: Axes, sentence: str) -> None:
    """Write one sentence in place of the axes, where there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, transform=axes.transAxes, ha="center", va="center", size=11)


def longest(texts: Sequence[str]) -> int:
    """Return the number of characters of the longest of `texts`."""
    return max(map(len, texts))


def legible(text: str) -> str:
    """Return `text` with a question mark for each character that the figures' font lacks."""
    return "".join(character if ord(character) in _characters() else "?" for character in text)


@cache
def _characters() -> frozenset[int]:
    """Return the code points that the font has in both weights, normal and bold."""
    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    normal, bold = (FT2Font(folder / name) for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"))
    return frozenset(normal.get_charmap()) & frozenset(bold.get_charmap())
