"""Figures that move: frames of one matplotlib figure as a GIF."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

DPI = 100
FRAME, LAST = 120, 2500  # milliseconds
COLOURS = 256
FRAMES = 40

T = TypeVar("T")


def some(snapshots: Sequence[T], count: int = FRAMES) -> list[T]:
    """Return at most `count` of `snapshots`, the first and the last among them, evenly spaced."""
    rows = np.linspace(0, len(snapshots) - 1, min(count, len(snapshots))).round().astype(int)
    return [snapshots[row] for row in rows]


def save_gif(path: Path, frames: Iterable[Figure]) -> None:
    """Write `frames`, of equal size, to `path`; the last one stays longer. Equal frames give equal bytes."""
    pictures = [picture(figure) for figure in frames]
    palette = pictures[-1].quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in pictures]
    durations = [FRAME] * len(others) + [LAST]
    first.save(path, format="GIF", save_all=True, append_images=others, duration=durations, loop=0)


def picture(figure: Figure) -> Image.Image:
    """Return `figure` as it is now, in pixels."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # what the first frame was laid out as serves the others, and saves time
    return Image.fromarray(np.array(canvas.buffer_rgba())[..., :3])
