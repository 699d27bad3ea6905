"""Where the network errs: how often it takes one class for another, when it is too sure, what it misreads."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pipeline.figures.images import PAPER_TO_INK, Tiling
from pipeline.figures.style import (
    BLUE,
    CHARACTER_INCHES,
    FAINT,
    INK,
    QUIET,
    VERMILION,
    longest,
    new_figure,
    write,
    write_instead,
)

RIGHT = "#e3eef5"
ERRORS = LinearSegmentedColormap.from_list("errors", ["#ffffff", VERMILION])
MISREAD_COLUMNS = 6
BINS = 10  # of probabilities
PERCENT = PercentFormatter(1, symbol=" %")


def confusion_matrix(title: str, subtitle: str, confusion: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw counts by label and prediction, the errors in colour, recall and precision at the sides.

    Args:
        title: the first line above the picture.
        subtitle: the second line, which images are counted.
        confusion: (k, k) counts; a row a label, a column a prediction.
        classes: the k classes' names.
    """
    k = len(classes)
    cell = min(max(0.52, 2 / k), 10 / k)  # inches
    names = CHARACTER_INCHES * longest(classes)
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
            write(axes, column, row, f"{count:,}", size=size, weight=weight)
    right = confusion.diagonal()
    recall = right / np.maximum(confusion.sum(axis=1), 1)
    precision = right / np.maximum(confusion.sum(axis=0), 1)
    gap = 0.08 / cell
    beside, above = k - 0.5 + gap, -0.5 - gap
    for i in range(k):
        write(axes, beside, i, f"{100 * recall[i]:.1f} %", size=0.85 * size, color=QUIET, ha="left")
        write(axes, i, beside, f"{100 * precision[i]:.1f} %", size=0.85 * size, color=QUIET, va="top")
    write(axes, beside, above, "recall", color=QUIET, ha="left", va="bottom")
    write(axes, above, beside, "precision", color=QUIET, ha="right", va="top")

    axes.set_xticks(range(k), classes)
    axes.set_yticks(range(k), classes)
    axes.tick_params(bottom=False, left=False, labelbottom=False, labeltop=True, labelcolor=INK)
    if longest(classes) > 5:
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
        title: the first line above the picture.
        subtitle: the second line, which images these are.
        images: (n, height, width) or in colour (n, height, width, 3), in [0, 1]; n may be 0.
        pairs: label and prediction of each.
        notes: what else is said of each.
    """
    if not pairs:
        figure, axes = new_figure(6, 1.2, title, subtitle)
        write_instead(axes, "No image was misread.")
        return figure
    _, height, width, *_ = images.shape
    characters = max(longest(pair) for pair in pairs)
    if characters <= 4:
        lines, arrow, characters = 1, " → ", 14
    else:
        lines, arrow, characters = 2, " →\n", max(characters + 3, 14)
    scale = 0.95 / max(height, width)  # inches a pixel
    line = 0.18 / scale
    pitch = (height + (lines + 2) * line, max(width, CHARACTER_INCHES * characters / scale) + 0.25 / scale)
    tiling = Tiling(min(MISREAD_COLUMNS, len(images)), pitch)
    figure, axes = new_figure(*tiling.size(len(images), scale), title, subtitle)
    corners = tiling.show(axes, images, **PAPER_TO_INK)
    for (x, y), pair, note in zip(corners, pairs, notes, strict=True):
        middle, below = x + width / 2, y + height + 0.3 * line
        write(axes, middle, below, arrow.join(pair), va="top", size=10)
        write(axes, middle, below + lines * line, note, va="top", size=7.5, color=QUIET)
    return figure


def calibration(title: str, subtitle: str, probabilities: np.ndarray, there: np.ndarray, name: str) -> Figure:
    """Draw how often a class is there, by how probable the network says that it is.

    Args:
        title: the first line above the picture.
        subtitle: the second line, which examples these are; the mean distance from the diagonal is added.
        probabilities: (n,) of the class.
        there: (n,) of bool, whether the example is of it.
        name: the class's.
    """
    bins = np.minimum((BINS * probabilities).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    some = counts > 0
    said, true = (
        np.bincount(bins, values, minlength=BINS)[some] / counts[some]
        for values in (probabilities, there.astype(float))
    )
    distance = float(np.abs(said - true) @ counts[some]) / len(bins)
    figure, axes = new_figure(
        4.6, 4.6, title, f"{subtitle}: {100 * distance:.1f} % from the diagonal in the mean"
    )
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1)
    axes.bar((np.arange(BINS) + 0.5) / BINS, 0.3 * counts / counts.max(), 0.9 / BINS, color=FAINT, zorder=0)
    axes.plot(said, true, "o-", color=BLUE, markersize=5)
    for x, y, count in zip(said, true, counts[some], strict=True):
        axes.annotate(f"{count:,}", (x, y), (6, -10), textcoords="offset points", size=7.5, color=QUIET)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.xaxis.set_major_formatter(PERCENT)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_xlabel(f"probability of {name}, as the network says")
    axes.set_ylabel(f"share that is {name}")
    return figure
