"""What a regression predicts: against what is true, and by how much it is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.figures.style import BLUE, QUIET, new_panels

MOST_POINTS = 5000  # with more, the points merge
MOST_PANELS = 6  # of further targets nothing is drawn
COLUMNS = 3
MOST_INTERVALS = 3  # between ticks, whose numbers may be long
FEW = 1000  # rows are drawn as larger dots
DOTS: dict[str, Any] = {"color": BLUE, "alpha": 0.5, "linewidth": 0}


@dataclass(frozen=True)
class Panel:
    """What is drawn of one target.

    Attributes:
        name: the target's.
        true: (n,), in the target's own unit.
        predicted: (n,), likewise.
    """

    name: str
    true: np.ndarray
    predicted: np.ndarray


def dot_size(panel: Panel) -> int:
    """Return the area of a row's dot, in square points."""
    return 18 if len(panel.true) < FEW else 6


def predicted(title: str, subtitle: str, panels: Sequence[Panel]) -> Figure:
    """Draw predicted against true numbers, a panel a target; what is right is on the diagonal.

    Args:
        title: the first line above the picture, here and in the other function.
        subtitle: the second line, which rows these are.
        panels: the targets, at least one.
    """
    shown = panels[:MOST_PANELS]
    figure, all_axes = new_panels(len(shown), COLUMNS, (3.6, 3.6), title, subtitle)
    for axes, panel in zip(all_axes, shown, strict=True):
        both = np.concatenate([panel.true, panel.predicted])
        margin = 0.05 * (both.max() - both.min()) or 1.0
        ends = (both.min() - margin, both.max() + margin)
        axes.plot(ends, ends, color=QUIET, linewidth=1)
        axes.scatter(panel.true, panel.predicted, s=dot_size(panel), **DOTS)
        axes.set_xlim(ends)
        axes.set_ylim(ends)
        axes.set_aspect("equal")
        axes.xaxis.set_major_locator(MaxNLocator(MOST_INTERVALS))
        axes.yaxis.set_major_locator(MaxNLocator(MOST_INTERVALS))
        axes.set_xlabel(f"true {panel.name}")
        axes.set_ylabel(f"predicted {panel.name}")
    return figure


def residuals(title: str, subtitle: str, panels: Sequence[Panel]) -> Figure:
    """Draw true less predicted numbers by the predicted ones, a panel a target, each with a histogram."""
    shown = panels[:MOST_PANELS]
    figure, all_axes = new_panels(len(shown), COLUMNS, (3.6, 2.8), title, subtitle)
    for axes, panel in zip(all_axes, shown, strict=True):
        left = panel.true - panel.predicted
        axes.axhline(0, color=QUIET, linewidth=1)
        axes.scatter(panel.predicted, left, s=dot_size(panel), **DOTS)
        axes.xaxis.set_major_locator(MaxNLocator(MOST_INTERVALS))
        axes.set_xlabel(f"predicted {panel.name}")
        axes.set_ylabel("residual")
        beside = axes.inset_axes((1.02, 0, 0.18, 1), sharey=axes)
        beside.hist(
            left, bins=min(30, max(5, len(left) // 10)), orientation="horizontal", color=BLUE, alpha=0.5
        )
        beside.set_axis_off()
    return figure
