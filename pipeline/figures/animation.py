"""Figures that move: frames of one matplotlib figure as a GIF.

matplotlib's own `PillowWriter` draws the whole figure for each frame, which takes six times as long, and its
files are almost twice as large, since each frame has a palette of its own.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from pipeline.support.files import replacing

DPI = 100
FRAME_MS, LAST_FRAME_MS = 120, 2500
COLOURS = 256
MOST_FRAMES = 40


def animate(axes: Axes) -> None:
    """Mark what is within `axes` now as moving: `save_gif` draws it, and no more, anew in each frame."""
    for artist in (*axes.images, *axes.lines, *axes.collections, *axes.texts, *axes.spines.values()):
        artist.set_animated(True)


def save_gif(path: Path, frames: Iterable[Figure]) -> None:
    """Write `frames` to the GIF file at `path`. The last frame stays longer. Equal frames give equal bytes.

    Args:
        path: where.
        frames: one figure, changed from frame to frame: its own texts, and what is marked by `animate`.
    """
    drawn = list(pictures(frames))
    palette = drawn[-1].quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in drawn]
    durations = [FRAME_MS] * len(others) + [LAST_FRAME_MS]
    with replacing(path) as temporary:
        first.save(temporary, format="GIF", save_all=True, append_images=others, duration=durations, loop=0)


def pictures(frames: Iterable[Figure]) -> Iterator[Image.Image]:
    """Yield each of `frames` in pixels. What stays the same is drawn once, as it takes most of the time."""
    canvas = None
    for figure in frames:
        if not canvas:
            # `animate` leaves the figure's own texts alone: matplotlib saves what is animated within axes,
            # but not animated texts of the figure, so its PNG file would lack the title.
            for text in figure.texts:
                text.set_animated(True)
            figure.set_dpi(DPI)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            still = canvas.copy_from_bbox(figure.bbox)
        canvas.restore_region(still)
        for artist in sorted(figure.findobj(Artist.get_animated), key=Artist.get_zorder):
            artist.draw(canvas.get_renderer())
        yield Image.fromarray(np.array(canvas.buffer_rgba())[..., :3])
