"""Where the network errs: how often it takes one class for another, and which images it misreads."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from pipeline.figures.images import PAPER_TO_INK, Tiling
from pipeline.figures.style import (
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
        images: (n, height, width), in [0, 1]; n may be 0.
        pairs: label and prediction of each.
        notes: what else is said of each.
    """
    if not pairs:
        figure, axes = new_figure(6, 1.2, title, subtitle)
        write_instead(axes, "No image was misread.")
        return figure
    _, height, width = images.shape
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
