"""The figures of sweeps: what stands on their axes, and whether it can be read."""

from contextlib import redirect_stdout
from io import StringIO
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from pipeline.figures import network as figures
from pipeline.figures import sweeps as sweep_figures
from pipeline.sweeps.job import Outcome
from pipeline.sweeps.ranking import Ranking

Key = TypeVar("Key")


def shares(groups: dict[Key, list[float]]) -> dict[Key, list[float]]:
    """Return `groups` of errors in percent as fractions."""
    return {key: [error / 100 for error in errors] for key, errors in groups.items()}


def heat_map(groups: dict[tuple[str, str], list[float]]) -> Figure:
    """Return the heat map of `groups`, in percent, laid out in the project's style."""
    with figures.style():
        figure = sweep_figures.heat_map("title", "subtitle", ("width", "rate"), "error (%)", shares(groups))
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
    with figures.style():
        line = sweep_figures.line(
            "title", "subtitle", "rate", "error (%)", shares({"1": errors, "2": errors})
        )
        line.draw_without_rendering()
    [axes] = line.axes
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
    with figures.style():
        line = sweep_figures.line("title", "subtitle", "hidden", "error (%)", {v: [0.01] for v in values})
    columns = line.axes[0].xaxis
    assert shown(columns) == ["[32]" if value == "32" else value for value in ordered]


def test_a_heat_map_shows_a_sweeps_means_over_seeds_and_which_combination_failed() -> None:
    shares = {"1": {"3": (0.06, 0.08), "4": (0.01, 0.03)}, "2": {"3": (0.1, 0.105)}}
    jobs = [
        Outcome("", "", {"m.width": width, "rate": rate, "seed": str(seed)}, "", None, "test_error", error)
        for width, rates in shares.items()
        for rate, errors in rates.items()
        for seed, error in enumerate(errors)
    ]
    lost = Outcome("", "", {"m.width": "2", "rate": "4", "seed": "1"}, "", failure="Diverged")
    ranking = Ranking([*jobs, lost], ["m.width", "rate", "seed"], "Digits")
    assert ranking.rows()[-1] == ["", "2", "4", "", "", "", "FAILED", "seed 1: Diverged"]

    with figures.style():
        figure = ranking.figure()
    assert [text.get_text() for text in figure.texts] == [
        "Test error on Digits by width and rate",
        "Mean ± standard deviation over 2 seeds; the lowest is framed",
    ]
    axes, bar = figure.axes
    assert bar.get_ylabel() == "test error (%)"
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "7.00\n± 1.41",
        (1, 0): "2.00\n± 1.41",
        (0, 1): "10.25\n± 0.35",
        (1, 1): "failed",
    }
    assert luminance(axes.texts[-1].get_color()) < 0.2  # it stands on white
    [frame] = axes.patches
    assert frame.get_xy() == (0.5, -0.5)  # type: ignore[attr-defined]


def test_a_line_goes_through_the_means_in_a_band_of_the_standard_deviation() -> None:
    figure = sweep_figures.line(
        "title", "subtitle", "rate", "error (%)", {"2": [0.04, 0.08], "1": [0.01, 0.03]}
    )
    [axes] = figure.axes
    [band] = axes.collections
    assert np.array(axes.lines[0].get_xydata()).tolist() == [[1, 2], [2, 6]]
    assert band.get_datalim(axes.transData).intervaly == pytest.approx([2 - 2**0.5, 6 + 8**0.5], abs=1e-4)


def test_parallel_axes_lead_from_each_value_to_the_mean_error_with_the_best_on_top() -> None:
    groups: dict[tuple[str, ...], list[float]] = {
        ("8", "0.1"): [2.0, 4.0],
        ("16", "0.1"): [9.0],
        ("32", "0.3"): [5.0],
    }
    figure = sweep_figures.parallel("title", "subtitle", ["width", "rate"], "error (%)", shares(groups))
    [axes] = figure.axes
    lines = np.array([line.get_ydata() for line in axes.lines])
    assert lines == pytest.approx(np.array([[0.5, 0, 1], [1, 1, 1 / 3], [0, 0, 0]]))
    places = {text.get_text(): text.get_position()[1] for text in axes.texts if text.get_position()[1] <= 1}
    assert places == {"8": 0, "16": 0.5, "32": 1, "0.1": 0, "0.3": 1, "3.00": 0, "9.00": 1}


@settings(deadline=None, max_examples=20)
@example([[782, 744], [594, 596, 595]])
@given(st.lists(st.lists(st.integers(0, 20_000), min_size=1, max_size=5), min_size=1, max_size=4))
def test_a_heat_map_and_the_table_round_the_same_numbers_in_the_same_way(wrong: list[list[int]]) -> None:
    """Of 20,000 test images so many are wrong, in each of a few jobs: 3.335 % is no exact float."""
    jobs = [
        Outcome(
            "", "", {"width": str(i), "rate": "1", "seed": str(seed)}, "", None, "test_error", count / 20_000
        )
        for i, counts in enumerate(wrong)
        for seed, count in enumerate(counts)
    ]
    ranking = Ranking(jobs, ["width", "rate", "seed"], "Digits")
    out = StringIO()
    with redirect_stdout(out), figures.style():
        ranking.show()
        figure = ranking.figure()
    texts = {text.get_position()[1]: text.get_text() for text in figure.axes[0].texts}
    for line in out.getvalue().splitlines():
        if line.startswith("│"):
            _, _, width, _, _, error, *spread, _ = [cell.strip() for cell in line.split("│")]
            shown = [cell.rstrip("%") for cell in (error, *spread) if cell]
            assert texts[int(width)] == "\n± ".join(shown)


def test_seeds_alone_are_shown_with_their_mean_and_spread_and_are_not_ranked(
    capsys: pytest.CaptureFixture,
) -> None:
    errors = {"10": 0.02, "0": 0.06, "2": 0.01}
    jobs = [Outcome("", "", {"seed": seed}, "", None, "test_error", error) for seed, error in errors.items()]
    ranking = Ranking(jobs, ["seed"], "Digits")
    assert [(row[0], row[1]) for row in ranking.rows()] == [("", "0"), ("", "2"), ("", "10")]
    ranking.show()
    told = capsys.readouterr().out
    assert "mean 3.00%, standard deviation 2.65% over 3 seeds" in told
    assert "best" not in told and "rank" not in told

    with figures.style():
        figure = ranking.figure()
    assert [text.get_text() for text in figure.texts] == [
        "Test error on Digits",
        "Mean 3.00%, standard deviation 2.65% over 3 seeds",
    ]
    [axes] = figure.axes
    mean, points = axes.lines
    assert np.array(mean.get_xdata()) == pytest.approx([3, 3])
    assert points.get_linestyle() == "None"
    assert points.get_xydata() == pytest.approx(np.array([[6, 0], [1, 1], [2, 2]]))
    [band] = axes.patches
    assert band.get_extents().transformed(axes.transData.inverted()).intervalx == pytest.approx(
        [3 - 7**0.5, 3 + 7**0.5], abs=1e-3
    )
    assert shown(axes.yaxis) == ["seed 0", "seed 2", "seed 10"]
