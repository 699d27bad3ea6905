"""The figures of sweeps, each a function from a table of jobs to a matplotlib figure.

The table, `jobs`, has a row for each job: a column of text for each swept value, and a column `error`, which
is missing where the job failed. Of the other arguments, `title` and `subtitle` are the first two lines of the
figure, `measure` is what the column `error` holds, such as `test_error`, a fraction that is shown in percent,
or `test_rmse`, and `name` or `names` are the columns of the swept values. Only `heat_map` shows jobs that
failed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullLocator

from pipeline.config.overrides import last_part, short
from pipeline.figures.style import BLUE, INK, QUIET, VERMILION, new_figure, write_instead
from pipeline.nn.metrics import SHARES, formatted, in_words, metric_in

MOST_TICKS = 10  # an axis with more values gets a scale instead of a tick for each
MOST_NAMES = 30  # more seeds than that are not named one by one
EQUAL_CONTRAST = 0.21  # the relative luminance on which white and `INK` are equally easy to read


def summarise(jobs: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return how many jobs ended well for each combination of the values of `names`, and their errors.

    Returns:
        A table with the columns `jobs`, `mean` and `spread`, the standard deviation, which is missing for a
        single job, by the values in the order of the jobs. Errors are rounded to six digits, so that every
        table and figure shows the same numbers.
    """
    errors = jobs.groupby([jobs[name] for name in names] or (lambda _: ""), sort=False)["error"]
    mean, spread = (
        values.map(lambda value: float(f"{value:.6g}")) for values in (errors.mean(), errors.std())
    )
    return pd.DataFrame({"jobs": errors.count(), "mean": mean, "spread": spread})


def factor(measure: str) -> int:
    """Return by what a figure multiplies the values of `measure`."""
    return 100 if metric_in(measure) in SHARES else 1


def axis_label(measure: str) -> str:
    """Return what stands along an axis of the `measure`."""
    return in_words(measure) + (" (%)" if factor(measure) == 100 else "")


def number(measure: str, value: float) -> str:
    """Return a `value` of the `measure` as the figures write it, without a percent sign."""
    return formatted(measure, value).rstrip("%")


def repeats(title: str, subtitle: str, key: str, measure: str, jobs: pd.DataFrame) -> Figure:
    """Draw the error with each seed or fold as a point, their mean as a line, and their spread as a band."""
    errors, name = jobs.set_index(key)["error"], last_part(key)
    values = in_order(errors.index)
    figure, axes = new_figure(7, 0.8 + 0.2 * min(max(len(values), 3), MOST_NAMES), title, subtitle)
    [(_, mean, spread)] = (factor(measure) * summarise(jobs, [])).fillna(0).to_numpy()
    axes.axvspan(max(mean - spread, 0), mean + spread, color=BLUE, alpha=0.15, linewidth=0)
    axes.axvline(mean, color=BLUE)
    axes.plot(factor(measure) * errors[values], range(len(values)), "o", color=INK, markersize=4)
    if len(values) <= MOST_NAMES:
        axes.set_yticks(range(len(values)), [f"{name} {value}" for value in values])
    else:
        axes.set_ylabel(f"{len(values)} {name}s")
        axes.set_yticks([])
    axes.set_ylim(len(values) - 0.5, -0.5)  # the first on top
    axes.grid(False)
    axes.set_xlabel(axis_label(measure))
    return figure


def line(title: str, subtitle: str, name: str, measure: str, jobs: pd.DataFrame) -> Figure:
    """Draw the error by the one value that was swept: its mean as a line, its spread as a band."""
    figure, axes = new_figure(7, 4, title, subtitle)
    values = in_order(jobs[name])
    x = _scale(axes, values)
    summary = factor(measure) * summarise(jobs, [name]).loc[values].fillna(0)
    lower = np.maximum(summary["mean"] - summary["spread"], 0)  # no error is negative
    axes.fill_between(x, lower, summary["mean"] + summary["spread"], color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(x, summary["mean"], color=BLUE, marker="o", markersize=4)
    at = x[[values.index(value) for value in jobs[name]]]
    axes.plot(at, factor(measure) * jobs["error"], ".", color=QUIET, markersize=4)
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, -0.02 * top))  # just enough below 0 for whole markers
    axes.set_xlabel(name)
    axes.set_ylabel(axis_label(measure))
    return figure


def heat_map(title: str, subtitle: str, names: tuple[str, str], measure: str, jobs: pd.DataFrame) -> Figure:
    """Draw the mean error by the two values that were swept, the lowest in a frame."""
    rows, columns = (in_order(jobs[name]) for name in names)
    summary = summarise(jobs, names)
    means, spreads = (summary[what].unstack().loc[rows, columns].to_numpy() for what in ("mean", "spread"))
    shown = factor(measure) * means
    figure, axes = new_figure(0.9 * len(columns) + 2.2, 0.5 * len(rows) + 0.9, title, subtitle)
    low, high = np.nanmin(shown), np.nanmax(shown)
    norm = Normalize(low, high if high > low else low + 0.01)  # longer than 0 where all are the same, too
    if low > 0 and high > 10 * low:  # one bad corner shall not hide the differences elsewhere
        norm = LogNorm(low, high)
    image = axes.imshow(shown, cmap="viridis_r", norm=norm, aspect="auto")
    for (i, j), mean in np.ndenumerate(shown):
        luminance = np.array(image.cmap(image.norm(mean))[:3]) ** 2.2 @ (0.2126, 0.7152, 0.0722)
        colour = QUIET if np.isnan(mean) else "white" if luminance < EQUAL_CONTRAST else INK
        values = [float(means[i, j]), float(spreads[i, j])]
        text = "\n± ".join(number(measure, value) for value in values if not np.isnan(value))
        axes.text(j, i, text or "failed", color=colour, ha="center", va="center")
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
    bar = figure.colorbar(image, ax=axes, label=axis_label(measure))
    bar.outline.set_visible(False)
    bar.minorticks_off()
    if isinstance(norm, LogNorm):
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    bar.ax.yaxis.set_major_formatter("{x:g}")  # a log scale's own would be TeX, which `style` turns off
    return figure


def parallel(title: str, subtitle: str, names: Sequence[str], measure: str, jobs: pd.DataFrame) -> Figure:
    """Draw parallel coordinates: an axis for each swept value and one for the error, a line a combination."""
    figure, axes = new_figure(1.6 * len(names) + 2, 4, title, subtitle)
    summary = summarise(jobs, names).sort_values("mean", ascending=False, kind="stable").reset_index()
    low, high = summary["mean"].min(), summary["mean"].max()
    high = high if high > low else low + 1e-9
    heights = []
    for i, name in enumerate(names):
        values = in_order(summary[name])
        places = np.linspace(0, 1, len(values)) if len(values) > 1 else np.array([0.5])
        heights.append(places[[values.index(value) for value in summary[name]]])
        for value, place in zip(values, places, strict=True):
            ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
            axes.text(
                i - 0.04, place, _label(value), ha="right", va="center", color=QUIET, bbox=ground, zorder=3
            )
        axes.text(i, 1.07, name, ha="center")
    heights.append(((summary["mean"] - low) / (high - low)).to_numpy())
    last = len(names)
    axes.text(last, 1.07, axis_label(measure), ha="center")
    for place in (0.0, 1.0):
        axes.text(last + 0.04, place, number(measure, low + place * (high - low)), va="center", color=QUIET)
    colours = matplotlib.colormaps["viridis_r"]
    for path in np.array(heights).T:
        axes.plot(range(last + 1), path, color=colours(path[-1]), alpha=0.8)
    axes.vlines(range(last + 1), 0, 1, QUIET, linewidth=0.8)
    axes.set_axis_off()
    axes.set_xlim(-0.6, last + 0.6)
    axes.set_ylim(-0.05, 1.12)
    return figure


def search(
    title: str,
    subtitle: str,
    measure: str,
    rungs: Sequence[int],
    curves: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]],
) -> Figure:
    """Draw the error by epoch of each job of a search.

    Args:
        title: as in the other functions, and `subtitle` and `measure` too.
        subtitle: the second line.
        measure: what the errors are.
        rungs: after which epochs the jobs were compared.
        curves: the epochs and the errors of the jobs that `stopped` before the last rung, of those that
            `finished`, and of the `best` configuration.
    """
    figure, axes = new_figure(7, 4, title, subtitle)
    looks: dict[str, dict[str, Any]] = {
        "stopped": {"color": QUIET, "alpha": 0.5, "linewidth": 0.8},
        "finished": {"color": BLUE, "linewidth": 1.2},
        "best": {"color": VERMILION},
    }
    for how, look in looks.items():
        for epochs, errors in curves[how]:
            axes.plot(epochs, factor(measure) * np.array(errors), marker=".", markersize=4, **look)
    everything = np.concatenate([errors for lines in curves.values() for _, errors in lines])
    if everything.min() > 0 and everything.max() > 5 * everything.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(rungs)
    axes.set_xlabel("epoch")
    axes.set_ylabel(axis_label(measure))
    return figure


def failed(title: str, subtitle: str) -> Figure:
    """Say that no job of the sweep ended well."""
    figure, axes = new_figure(6, 1.2, title, subtitle)
    write_instead(axes, "No job has ended well.")
    return figure


def _scale(axes: Axes, values: Sequence[str]) -> np.ndarray:
    """Set up the x axis for `values` and return their positions; a scale of numbers if all are numbers."""
    lists = [_numbers(value) for value in values]
    if any(len(numbers) != 1 for numbers in lists):
        axes.set_xticks(range(len(values)), values)
        return np.arange(len(values), dtype=float)
    positions = np.array(lists)[:, 0]
    if positions.min() > 0 and positions.max() >= 8 * positions.min():
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    if len(values) <= MOST_TICKS:
        axes.set_xticks(positions, map(_label, values))
    else:
        axes.xaxis.set_major_formatter("{x:g}")
    return positions


def _label(value: str) -> str:
    """Return `value` as a label: a list of one number, `[100]`, is that number."""
    return short(value.strip("[]")) if len(_numbers(value)) == 1 else value


def in_order(values: Iterable[str]) -> list[str]:
    """Return each of `values` once: by their numbers, `[8,8]` before `[16]`, then the others by alphabet."""
    return sorted(set(values), key=lambda value: (not _numbers(value), _numbers(value), value))


def _numbers(value: str) -> list[float]:
    """Return the number or the list of numbers that `value` is, `0.1` or `[8,8]`; empty if it is neither."""
    try:
        return [float(number) for number in value.strip("[]").split(",")]
    except ValueError:
        return []
