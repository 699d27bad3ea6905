"""What a sweep found: the order of its jobs, what is shown of those that failed, and which figure fits."""

import csv
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.figures.style import BLUE, QUIET, VERMILION, style
from pipeline.runs.history import write_history
from pipeline.runs.run import Run
from pipeline.sweeps.outcome import Outcome
from pipeline.sweeps.ranking import TOP, Ranking, best_metrics


def ended(error: float | None, **overrides: str) -> Outcome:
    """Return how a job with these `overrides` ended, which failed if there is no error on the test images."""
    failure = "no memory" if error is None else None
    measure = None if error is None else "test_error"
    return Outcome(overrides, Run(), measure=measure, error=error, failure=failure)


def csv_of(ranking: Ranking, folder: Path) -> list[list[str]]:
    """Return the fields of the CSV file that `ranking` writes to `folder`."""
    ranking.write(folder)
    with (folder / "sweep.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_lowest_mean_over_the_seeds_is_the_best(tmp_path: Path) -> None:
    """Here neither the lowest error nor the lowest median."""
    errors = {"lucky": (0.1, 0.5, 0.6), "steady": (0.3, 0.3, 0.3), "unlucky": (0.2, 0.2, 0.9)}
    jobs = [
        ended(error, luck=luck, seed=str(seed))
        for luck, seeds in errors.items()
        for seed, error in enumerate(seeds)
    ]
    assert csv_of(Ranking(jobs, ["luck", "seed"], "Digits"), tmp_path) == [
        ["rank", "luck", "jobs", "test_error", "spread", "status", "reason"],
        ["1", "steady", "3", "0.300000", "0.000000", "", ""],
        ["2", "lucky", "3", "0.400000", "0.264575", "", ""],
        ["3", "unlucky", "3", "0.433333", "0.404145", "", ""],
    ]


def test_folds_are_averaged_over_as_seeds_are(tmp_path: Path) -> None:
    jobs = [
        ended(
            None if (rate, fold) == ("1", 2) else fold / 10 + float(rate),
            rate=rate,
            **{"split.fold": str(fold)},
        )
        for rate in ("1", "2")
        for fold in range(3)
    ]
    ranking = Ranking(jobs, ["split.fold", "rate"], "Digits")
    assert csv_of(ranking, tmp_path)[1:] == [
        ["1", "1", "2", "1.050000", "0.070711", "", ""],
        ["2", "2", "3", "2.100000", "0.100000", "", ""],
        ["", "1", "", "", "", "FAILED", "fold 2: no memory"],
    ]
    assert ranking.figure().texts[1].get_text() == "Mean ± standard deviation over 3 folds"
    alone = Ranking(jobs[3:], ["split.fold"], "Digits")
    assert alone.over_all() == "mean 210.00%, standard deviation 10.00% over 3 folds"
    assert [row[0] for row in csv_of(alone, tmp_path)[1:]] == ["", "", ""]

    both = [ended(int(fold + seed) / 10, **{"split.fold": fold}, seed=seed) for fold in "10" for seed in "23"]
    ranking = Ranking(both, ["split.fold", "seed"], "Digits")
    assert csv_of(ranking, tmp_path)[1:] == [
        ["", "0", "2", "0.250000", "0.070711", "", ""],
        ["", "1", "2", "1.250000", "0.070711", "", ""],
    ]
    assert ranking.over_all().endswith("over 4 folds and seeds") and ranking.best() == both
    assert ranking.figure().texts[1].get_text() == "Mean ± standard deviation over 2 seeds"


def test_the_terminal_shows_the_best_jobs_and_all_that_failed(capsys: pytest.CaptureFixture) -> None:
    good = [ended(0.01 * rate, rate=str(rate)) for rate in range(TOP + 2)]
    bad = [ended(None, rate=rate) for rate in ("100", "200")]
    Ranking([*bad, *good], ["rate"], "Digits").show()
    lines = capsys.readouterr().out.splitlines()
    rates = [line.split("│")[2].strip() for line in lines if line.startswith("│")]
    assert rates == [*map(str, range(TOP)), "100", "200"]
    assert lines[-3:] == [
        "… and 2 more in the CSV file",
        "rate 100: FAILED: no memory",
        "rate 200: FAILED: no memory",
    ]


def test_columns_without_anything_in_them_are_not_shown(capsys: pytest.CaptureFixture) -> None:
    Ranking([ended(0.25, rate="0.123456789"), ended(0.125, rate="[8]")], ["rate"], "Digits").show()
    _, _, heading, _, *rows, _ = capsys.readouterr().out.splitlines()
    assert heading.split("┃")[1:-1] == [" rank ", " rate   ", " jobs ", " test error "]
    assert [[cell.strip() for cell in row.split("│")[1:-1]] for row in rows] == [
        ["1", "[8]", "1", "12.50%"],
        ["2", "0.1235", "1", "25.00%"],
    ]


def test_where_all_jobs_failed_there_is_a_table_of_reasons_and_a_figure_that_says_so(tmp_path: Path) -> None:
    ranking = Ranking([ended(None, rate="1", seed=seed) for seed in "01"], ["rate", "seed"], "Digits")
    assert csv_of(ranking, tmp_path)[1:] == [
        ["", "1", "", "", "", "FAILED", "seed 0: no memory"],
        ["", "1", "", "", "", "FAILED", "seed 1: no memory"],
    ]
    ranking.show()
    assert ranking.figure().texts[1].get_text() == "A sweep without a result"


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([{}], ("", "test error (%)")),
        ([{"rate": rate} for rate in "123"], ("rate", "test error (%)")),
        ([{"rate": rate, "seed": seed} for rate in "123" for seed in "01"], ("rate", "test error (%)")),
        ([{"rate": rate, "width": width} for rate in "12" for width in "34"], ("width", "rate")),
        ([{"rate": "1", "width": "3"}, {"rate": "2", "width": "4"}], ("", "")),  # not all combinations
        ([{"rate": rate, "width": "3", "depth": "5"} for rate in "12"], ("", "")),
    ],
    ids=["one job", "a line", "a line over seeds", "a heat map", "parallel axes", "parallel axes of three"],
)
def test_the_figure_fits_what_was_swept(values: list[dict[str, str]], labels: tuple[str, str]) -> None:
    jobs = [ended(0.1 * number, **overrides) for number, overrides in enumerate(values, start=1)]
    axes = Ranking(jobs, list(values[0]), "Digits").figure().axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == labels


def test_a_regressions_jobs_are_ranked_by_rmse_in_the_targets_own_unit(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    errors = {"8": 53210.7, "16": 51004.2, "32": 1234567.8}
    jobs = [
        Outcome({"width": width}, Run(), measure="validation_rmse", error=rmse)
        for width, rmse in errors.items()
    ]
    assert jobs[0].describe(["width"]) == "width 8: validation RMSE 53,211"
    ranking = Ranking(jobs, ["width"], "Houses")
    assert [row[1:4] for row in csv_of(ranking, tmp_path)] == [
        ["width", "jobs", "validation_rmse"],
        ["16", "1", "51004.2"],
        ["8", "1", "53210.7"],
        ["32", "1", "1.23457e+06"],
    ]
    ranking.show()
    told = capsys.readouterr().out
    assert "Validation RMSE on Houses, best first" in told
    assert [line.split("│")[4].strip() for line in told.splitlines() if "│" in line] == [
        *("51,004", "53,211", "1,234,570"),
    ]
    axes = ranking.figure().axes[0]
    assert axes.get_ylabel() == "validation RMSE"
    assert axes.lines[0].get_ydata() == pytest.approx([53210.7, 51004.2, 1234570])


def test_a_grid_in_which_jobs_failed_is_a_heat_map_that_shows_them() -> None:
    errors = {"1": {"3": 0.1, "4": 0.2, "5": None}, "2": {"3": 0.3, "4": None, "5": None}}
    jobs = [ended(error, rate=rate, width=width) for rate in "12" for width, error in errors[rate].items()]
    axes = Ranking(jobs, ["rate", "width"], "Digits").figure().axes[0]
    shown = [text.get_text() for text in axes.texts]
    assert shown == ["10.00", "20.00", "failed", "30.00", "failed", "failed"]


def test_a_heat_map_shows_a_sweeps_means_over_seeds_and_which_combination_failed(tmp_path: Path) -> None:
    shares = {"1": {"3": (0.06, 0.08), "4": (0.01, 0.03)}, "2": {"3": (0.1, 0.105)}}
    jobs = [
        ended(error, **{"m.width": width, "rate": rate, "seed": str(seed)})
        for width, rates in shares.items()
        for rate, errors in rates.items()
        for seed, error in enumerate(errors)
    ]
    lost = ended(None, **{"m.width": "2", "rate": "4", "seed": "1"})
    ranking = Ranking([*jobs, lost], ["m.width", "rate", "seed"], "Digits")
    assert csv_of(ranking, tmp_path)[-1] == ["", "2", "4", "", "", "", "FAILED", "seed 1: no memory"]

    with style():
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
    [frame] = axes.patches
    assert frame.get_xy() == (0.5, -0.5)  # type: ignore[attr-defined]


def test_of_a_search_the_best_is_the_best_of_those_that_were_trained_to_the_end(tmp_path: Path) -> None:
    """Here the lowest error of all is that of a job that was stopped, and that another sweep took further."""
    jobs = []
    for rate, until, errors in (
        ("1", 1, [0.1, 0.01, 0.01]),
        ("2", 3, [0.5, 0.4, 0.3]),
        ("3", 3, [0.4, 0.3, 0.2]),
    ):
        run = Run(tmp_path / rate)
        run.history.parent.mkdir(parents=True)
        rows = [
            {"epoch": epoch, "loss": 1.0, "train_accuracy": 0.5, "validation_accuracy": 1 - error}
            for epoch, error in enumerate(errors, start=1)
        ]
        write_history(rows, run.history)
        error = errors[until - 1]
        jobs.append(Outcome({"rate": rate}, run, measure="validation_error", error=error, until=until))
    jobs.append(Outcome({"rate": "4"}, Run(tmp_path / "4"), failure="no memory", until=1))
    assert best_metrics(jobs) == pytest.approx(
        {"validation_error": 0.2, "loss": 1, "train_accuracy": 0.5, "validation_accuracy": 0.8}
    )
    ranking = Ranking(jobs, ["rate"], "Digits", rungs=[1, 3])
    assert [(row[1], row[2]) for row in csv_of(ranking, tmp_path)[1:]] == [
        *(("3", "2 of 2"), ("2", "2 of 2"), ("1", "1 of 2"), ("4", "1 of 2")),
    ]
    lines = ranking.figure().axes[0].lines
    assert [(line.get_color(), pytest.approx(np.asarray(line.get_ydata()).tolist())) for line in lines] == [
        (QUIET, [10]),
        (BLUE, [50, 40, 30]),
        (VERMILION, [40, 30, 20]),
    ]


@settings(deadline=None, max_examples=20)
@example([[782, 744], [594, 596, 595]])
@given(st.lists(st.lists(st.integers(0, 20_000), min_size=1, max_size=5), min_size=1, max_size=4))
def test_a_heat_map_and_the_table_round_the_same_numbers_in_the_same_way(wrong: list[list[int]]) -> None:
    """Of 20,000 test images so many are wrong, in each of a few jobs: 3.335 % is no exact float."""
    jobs = [
        ended(count / 20_000, width=str(i), rate="1", seed=str(seed))
        for i, counts in enumerate(wrong)
        for seed, count in enumerate(counts)
    ]
    ranking = Ranking(jobs, ["width", "rate", "seed"], "Digits")
    out = StringIO()
    with redirect_stdout(out), style():
        ranking.show()
        figure = ranking.figure()
    texts = {text.get_position()[1]: text.get_text() for text in figure.axes[0].texts}
    rows = [line for line in out.getvalue().splitlines() if line.startswith("│")]
    assert len(rows) == len(texts) == len(wrong)
    for row in rows:
        _, _, width, _, _, error, *spread, _ = [cell.strip() for cell in row.split("│")]
        shown = [cell.rstrip("%") for cell in (error, *spread) if cell]
        assert texts[int(width)] == "\n± ".join(shown)


def test_seeds_alone_are_shown_with_their_mean_and_spread_and_are_not_ranked(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    jobs = [ended(error, seed=seed) for seed, error in {"10": 0.02, "0": 0.06, "2": 0.01}.items()]
    ranking = Ranking(jobs, ["seed"], "Digits [/b]")
    _, *rows = csv_of(ranking, tmp_path)
    assert [row[:3] for row in rows] == [["", "0", ""], ["", "2", ""], ["", "10", ""]]
    ranking.show()
    told = capsys.readouterr().out
    assert "Test error on Digits [/b] by seed" in " ".join(told.split())
    assert "mean 3.00%, standard deviation 2.65% over 3 seeds" in told
    assert "best" not in told and "rank" not in told
    assert [text.get_text() for text in ranking.figure().texts] == [
        "Test error on Digits [/b]",
        "Mean 3.00%, standard deviation 2.65% over 3 seeds",
    ]
