"""The figures of sweeps: each function takes names and errors and returns a matplotlib figure.

Errors are fractions, shown in percent.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullLocator

from pipeline.figures.network import BLUE, INK, QUIET, VERMILION, new_figure, say
from pipeline.sweeps.job import short

TICKS = 10  # more values than that get a scale instead of a tick each
ROWS = 30  # more seeds than that are not named one by one
EVEN = 0.21  # the relative luminance on which white and `INK` are equally easy to read


def mean(errors: Sequence[float]) -> float:
    """Return the mean, to the six decimals that every table and figure goes on with."""
    return round(statistics.fmean(errors), 6)


def spread(errors: Sequence[float]) -> float:
    """Return the standard deviation, to as many decimals; 0 of a single error."""
    return round(statistics.stdev(errors), 6) if len(errors) > 1 else 0.0


def percent(share: float) -> str:
    """Return `share` in percent with two decimals, as every table and figure of a sweep does."""
    return f"{share:.2%}"


def seeds(title: str, subtitle: str, error: str, errors: Mapping[str, float]) -> Figure:
    """Draw the error with each seed as a point, their mean as a line, and their spread as a band.

    Args:
        title: the first line.
        subtitle: the second line.
        error: the error's name, with its unit.
        errors: that of each seed.
    """
    values = in_order(errors)
    figure, axes = new_figure(7, 0.8 + 0.2 * min(max(len(values), 3), ROWS), title, subtitle)
    points = 100 * np.array([errors[value] for value in values])
    middle, width = 100 * mean(list(errors.values())), 100 * spread(list(errors.values()))
    axes.axvspan(max(middle - width, 0), middle + width, color=BLUE, alpha=0.15, linewidth=0)
    axes.axvline(middle, color=BLUE)
    axes.plot(points, range(len(values)), "o", color=INK, markersize=4)
    if len(values) <= ROWS:
        axes.set_yticks(range(len(values)), [f"seed {value}" for value in values])
    else:
        axes.set_ylabel(f"{len(values)} seeds")
        axes.set_yticks([])
    axes.set_ylim(len(values) - 0.5, -0.5)  # the first on top
    axes.grid(False)
    axes.set_xlabel(error)
    return figure


def line(title: str, subtitle: str, name: str, error: str, groups: dict[str, list[float]]) -> Figure:
    """Draw the error by the one value that was swept: its mean as a line, its spread as a band.

    Args:
        title: the first line.
        subtitle: the second line, what is averaged.
        name: the value's name.
        error: the error's name, with its unit.
        groups: for each value the errors of its jobs.
    """
    figure, axes = new_figure(7, 4, title, subtitle)
    values = in_order(groups)
    x = _scale(axes, values)
    errors = [100 * np.array(groups[value]) for value in values]
    means = 100 * np.array([mean(groups[value]) for value in values])
    spreads = 100 * np.array([spread(groups[value]) for value in values])
    lower = np.maximum(means - spreads, 0)  # no error is negative
    axes.fill_between(x, lower, means + spreads, color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(x, means, color=BLUE, marker="o", markersize=4)
    for position, group in zip(x, errors, strict=True):
        axes.plot(np.full(len(group), position), group, ".", color=QUIET, markersize=4)
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, -0.02 * top))  # so far below 0 that the markers there are whole
    axes.set_xlabel(name)
    axes.set_ylabel(error)
    return figure


def heat_map(
    title: str, subtitle: str, names: tuple[str, str], error: str, groups: dict[tuple[str, str], list[float]]
) -> Figure:
    """Draw the mean error by the two values that were swept, the lowest in a frame.

    Args:
        title: the first line.
        subtitle: the second line, what is averaged.
        names: the values' names, rows first.
        error: the error's name, with its unit.
        groups: for each pair of values the errors of its jobs; none where all failed.
    """
    rows, columns = (in_order({pair[i] for pair in groups}) for i in (0, 1))
    means = np.full((len(rows), len(columns)), np.nan)
    texts = {}
    for (row, column), errors in groups.items():
        if errors:
            cell = rows.index(row), columns.index(column)
            means[cell] = 100 * mean(errors)
            numbers = [mean(errors), spread(errors)][: len(errors)]  # a single error has no spread
            texts[cell] = "\n± ".join(percent(number).rstrip("%") for number in numbers)
    figure, axes = new_figure(0.9 * len(columns) + 2.2, 0.5 * len(rows) + 0.9, title, subtitle)
    low, high = np.nanmin(means), np.nanmax(means)
    norm = Normalize(low, max(high, low + 0.01))  # longer than 0 where all are the same, too
    if low > 0 and high > 10 * low:  # one bad corner shall not hide the differences elsewhere
        norm = LogNorm(low, high)
    image = axes.imshow(means, cmap="viridis_r", norm=norm, aspect="auto")
    for (i, j), shown in np.ndenumerate(means):
        luminance = np.array(image.cmap(image.norm(shown))[:3]) ** 2.2 @ (0.2126, 0.7152, 0.0722)
        colour = QUIET if np.isnan(shown) else "white" if luminance < EVEN else INK
        axes.text(j, i, texts.get((i, j), "failed"), color=colour, ha="center", va="center")
    i, j = np.unravel_index(np.nanargmin(means), means.shape)
    axes.add_patch(
        Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=VERMILION, linewidth=2.5, clip_on=False)
    )
    axes.set_xticks(range(len(columns)), map(_label, columns))
    axes.set_yticks(range(len(rows)), map(_label, rows))
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(bottom=False, left=False)
    axes.set_ylabel(names[0])
    axes.set_xlabel(names[1])
    bar = figure.colorbar(image, ax=axes, label=error)
    bar.outline.set_visible(False)
    bar.minorticks_off()
    if isinstance(norm, LogNorm):
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    bar.ax.yaxis.set_major_formatter("{x:g}")  # a log scale's own would be TeX, which `style` turns off
    return figure


def parallel(
    title: str, subtitle: str, names: Sequence[str], error: str, groups: dict[tuple[str, ...], list[float]]
) -> Figure:
    """Draw parallel coordinates: an axis a swept value and one for the error, a line a combination.

    Args:
        title: the first line.
        subtitle: the second line, what is averaged.
        names: the values' names.
        error: the error's name, with its unit.
        groups: for each combination of values the errors of its jobs.
    """
    figure, axes = new_figure(1.6 * len(names) + 2, 4, title, subtitle)
    means = np.array([mean(errors) for errors in groups.values()])
    low, high = means.min(), max(means.max(), means.min() + 1e-9)
    heights = [(means - low) / (high - low)]
    for i, name in enumerate(names):
        values = in_order({combination[i] for combination in groups})
        places = np.linspace(0, 1, len(values)) if len(values) > 1 else np.array([0.5])
        heights.insert(i, np.array([places[values.index(combination[i])] for combination in groups]))
        for value, place in zip(values, places, strict=True):
            ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
            axes.text(
                i - 0.04, place, _label(value), ha="right", va="center", color=QUIET, bbox=ground, zorder=3
            )
        axes.text(i, 1.07, name, ha="center")
    last = len(names)
    axes.text(last, 1.07, error, ha="center")
    for place in (0.0, 1.0):
        axes.text(
            last + 0.04, place, percent(low + place * (high - low)).rstrip("%"), va="center", color=QUIET
        )
    colours = matplotlib.colormaps["viridis_r"]
    for line in np.argsort(-means):  # the best on top
        path = [height[line] for height in heights]
        axes.plot(range(last + 1), path, color=colours(heights[-1][line]), alpha=0.8)
    axes.vlines(range(last + 1), 0, 1, QUIET, linewidth=0.8)
    axes.set_axis_off()
    axes.set_xlim(-0.6, last + 0.6)
    axes.set_ylim(-0.05, 1.12)
    return figure


def failed(title: str, subtitle: str) -> Figure:
    """Say that no job of the sweep ended well."""
    figure, axes = new_figure(6, 1.2, title, subtitle)
    say(axes, "No job has ended well.")
    return figure


def _scale(axes: Axes, values: Sequence[str]) -> np.ndarray:
    """Set up the x axis for `values`, numbers if they all are, and return their positions."""
    numbers = [as_number(value) for value in values]
    if None in numbers:
        axes.set_xticks(range(len(values)), values)
        return np.arange(len(values), dtype=float)
    positions = np.array(numbers, dtype=float)
    if positions.min() > 0 and positions.max() >= 8 * positions.min():
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    if len(values) <= TICKS:
        axes.set_xticks(positions, map(_label, values))
    else:
        axes.xaxis.set_major_formatter("{x:g}")
    return positions


def _label(value: str) -> str:
    """Return `value` as a label: a list of one number, `[100]`, is that number."""
    return value if as_number(value) is None else short(value.strip("[]"))


def as_number(value: str) -> float | None:
    """Return the number that `value` is, also as the only one of a list: `0.1`, `[100]`."""
    numbers = _numbers(value)
    return numbers[0] if len(numbers) == 1 else None


def in_order(values: Iterable[str]) -> list[str]:
    """Return `values` by their numbers, `[8,8]` before `[16]`, and those without by alphabet, last."""
    return sorted(values, key=lambda value: (not _numbers(value), _numbers(value), value))


def _numbers(value: str) -> list[float]:
    """Return the number that `value` is, or those of the list that it is; none where it is something else."""
    try:
        return [float(number) for number in value.strip("[]").split(",")]
    except ValueError:
        return []
