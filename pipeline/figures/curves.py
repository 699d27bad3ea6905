"""What training measured, by epoch: accuracy, errors such as loss and RMSE, dead units."""

from operator import itemgetter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pipeline.figures.style import new_figure, write_instead

MOST_MARKERS = 40  # with more epochs than that, the points merge into the line


def accuracy(title: str, subtitle: str, curves: dict[str, np.ndarray], epochs: np.ndarray) -> Figure:
    """Draw accuracy by epoch, on a log scale of the error, so that 99 % is as far from 90 % as from 99.9 %.

    Args:
        title: the first line above the picture, here and in the other functions.
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


def errors(title: str, subtitle: str, what: str, lines: dict[str, np.ndarray], epochs: np.ndarray) -> Figure:
    """Draw errors by epoch, on a log scale where they fall far and stay above 0.

    Args:
        title: the first line.
        subtitle: the second line, what they are the mean of.
        what: what they are: loss or RMSE.
        lines: what each line is called, and its value after each epoch.
        epochs: which epochs those are.
    """
    figure, axes = new_figure(7, 3.2, title, subtitle)
    everything = np.concatenate(list(lines.values()))
    low, high = everything.min(), everything.max()
    if low > 0 and high > 5 * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.2, high * 1.2)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylabel(f"{what} (log scale)")
    else:
        margin = max(0.05 * (high - low), 1e-3 * abs(high), 1e-9)
        axes.set_ylim(low - margin, high + margin)
        axes.set_ylabel(what)
    _draw_lines(axes, lines, epochs)
    return figure


def dead_units(title: str, subtitle: str, dead: dict[str, np.ndarray], epochs: np.ndarray) -> Figure:
    """Draw the share of dead units by epoch, a line a layer.

    Args:
        title: the first line.
        subtitle: the second line, which units count as dead.
        dead: each hidden layer's name, and its share of dead units after each epoch, in [0, 1].
        epochs: which epochs those are.
    """
    figure, axes = new_figure(7, 3.2, title, subtitle)
    if not dead:
        write_instead(axes, "This network has no hidden layer.")
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


def _draw_lines(axes: Axes, lines: dict[str, np.ndarray], epochs: np.ndarray) -> None:
    """Draw each line by epoch, with its name beside its end; names of lines that end close do not overlap."""
    marker = "o" if len(epochs) <= MOST_MARKERS else ""
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
