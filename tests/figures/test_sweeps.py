"""The figures of sweeps: what stands on their axes, and whether it can be read."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from pipeline.figures import sweeps as sweep_figures
from pipeline.figures.style import style


def table(names: Sequence[str], groups: Mapping[Any, Sequence[float]]) -> pd.DataFrame:
    """Return the table of jobs with these `groups` of errors, in percent, by the values of `names`."""
    rows = [
        [*([values] if isinstance(values, str) else values), error / 100]
        for values, errors in groups.items()
        for error in errors
    ]
    return pd.DataFrame(rows, columns=[*names, "error"])


def heat_map(groups: dict[tuple[str, str], list[float]]) -> Figure:
    """Return the heat map of `groups`, in percent, laid out in the project's style."""
    jobs = table(("width", "rate"), groups)
    with style():
        figure = sweep_figures.heat_map("title", "subtitle", ("width", "rate"), "error", jobs)
        figure.draw_without_rendering()
    return figure


def line(groups: dict[str, list[float]]) -> Figure:
    """Return the line through `groups`, in percent, laid out in the project's style."""
    with style():
        figure = sweep_figures.line("title", "subtitle", "rate", "error", table(["rate"], groups))
        figure.draw_without_rendering()
    return figure


def shown(axis: Axis) -> list[str]:
    """Return the labels along `axis` that are in view."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [
        tick.label1.get_text() or tick.label2.get_text() for tick in ticks if low <= tick.get_loc() <= high
    ]


@pytest.mark.parametrize(
    ("worst", "labels"), [(6.0, ["2", "3", "4", "5", "6"]), (60.0, ["2", "5", "10", "20", "50"])]
)
def test_the_numbers_of_a_heat_maps_colour_bar(worst: float, labels: list[str]) -> None:
    figure = heat_map({("1", "3"): [2.0], ("1", "4"): [4.0], ("2", "3"): [5.0], ("2", "4"): [worst]})
    assert [label for label in shown(figure.axes[1].yaxis) if label] == labels


def luminance(colour: Any) -> float:
    """Return the relative luminance of `colour`, as WCAG 2 defines it."""
    rgb = np.array(to_rgb(colour))
    return float(
        np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)
    )


def test_the_numbers_of_a_heat_map_are_easy_to_read_on_every_colour() -> None:
    means = np.arange(10.0, 41.0)
    axes = heat_map({("1", str(mean)): [mean] for mean in means}).axes[0]
    [image] = axes.images
    for ground, text in zip(image.to_rgba(means), axes.texts, strict=True):
        darker, lighter = sorted([luminance(ground[:3]), luminance(text.get_color())])
        assert (lighter + 0.05) / (darker + 0.05) > 3.9  # 1 is unreadable, 21 black on white


def negative(labels: list[str]) -> list[str]:
    """Return those of `labels` that are negative numbers."""
    return [label for label in labels if label.startswith(("-", "\N{MINUS SIGN}"))]


@pytest.mark.parametrize("errors", [[0.0], [0.0, 0.0], [0.0, 0.0, 3.0], [5.0, 5.1]])
def test_no_figure_shows_negative_errors(errors: list[float]) -> None:
    [axes] = line({"1": errors, "2": errors}).axes
    [band] = axes.collections
    assert band.get_datalim(axes.transData).y0 >= 0
    assert not negative(shown(axes.yaxis))
    assert axes.get_ylim()[0] < min(errors)  # the markers are whole

    _, bar = heat_map({("1", "3"): errors, ("1", "4"): errors}).axes
    assert shown(bar.yaxis) and not negative(shown(bar.yaxis))


def test_values_stand_in_the_order_of_their_numbers() -> None:
    values = ["relu", "[16,16,16]", "[32]", "[8,16]", "1e-1", "[8,8]", "elu", "4"]
    ordered = ["1e-1", "4", "[8,8]", "[8,16]", "[16,16,16]", "32", "elu", "relu"]
    rows = heat_map({(value, "3"): [1.0] for value in values}).axes[0].yaxis
    assert shown(rows) == ordered
    columns = line({value: [1.0] for value in values}).axes[0].xaxis
    assert shown(columns) == ["[32]" if value == "32" else value for value in ordered]


def test_a_line_goes_through_the_means_in_a_band_of_the_standard_deviation() -> None:
    [axes] = line({"2": [4.0, 8.0], "1": [1.0, 3.0]}).axes
    [band] = axes.collections
    assert np.array(axes.lines[0].get_xydata()).tolist() == [[1, 2], [2, 6]]
    assert band.get_datalim(axes.transData).intervaly == pytest.approx([2 - 2**0.5, 6 + 8**0.5], abs=1e-4)


def test_parallel_axes_lead_from_each_value_to_the_mean_error_with_the_best_on_top() -> None:
    groups = {("8", "0.1"): [2.0, 4.0], ("16", "0.1"): [9.0], ("32", "0.3"): [5.0]}
    jobs = table(["width", "rate"], groups)
    figure = sweep_figures.parallel("title", "subtitle", ["width", "rate"], "error", jobs)
    [axes] = figure.axes
    lines = np.array([line.get_ydata() for line in axes.lines])
    assert lines == pytest.approx(np.array([[0.5, 0, 1], [1, 1, 1 / 3], [0, 0, 0]]))
    places = {text.get_text(): text.get_position()[1] for text in axes.texts if text.get_position()[1] <= 1}
    assert places == {"8": 0, "16": 0.5, "32": 1, "0.1": 0, "0.3": 1, "3.00": 0, "9.00": 1}


def test_a_combination_of_which_every_job_failed_is_named_so_in_dark_on_white() -> None:
    axes = heat_map({("1", "3"): [6.0], ("1", "4"): [1.0], ("2", "3"): [10.0], ("2", "4"): [np.nan]}).axes[0]
    [failed] = [text for text in axes.texts if text.get_text() == "failed"]
    assert failed.get_position() == (1, 1)
    assert luminance(failed.get_color()) < 0.2


def test_seeds_are_points_beside_their_mean_and_a_band_of_the_standard_deviation() -> None:
    jobs = table(["seed"], {"10": [2.0], "0": [6.0], "2": [1.0]})
    with style():
        [axes] = sweep_figures.repeats("title", "subtitle", "seed", "error", jobs).axes
    mean, points = axes.lines
    assert np.array(mean.get_xdata()) == pytest.approx([3, 3])
    assert points.get_linestyle() == "None"
    assert points.get_xydata() == pytest.approx(np.array([[6, 0], [1, 1], [2, 2]]))
    [band] = axes.patches
    assert band.get_extents().transformed(axes.transData.inverted()).intervalx == pytest.approx(
        [3 - 7**0.5, 3 + 7**0.5], abs=1e-3
    )
    assert shown(axes.yaxis) == ["seed 0", "seed 2", "seed 10"]
