"""What a sweep found: in which order its jobs stand, and what is shown of those that failed."""

import pytest

from pipeline.sweeps.job import Outcome
from pipeline.sweeps.ranking import TOP, Ranking


def ended(error: float | None, **overrides: str) -> Outcome:
    """Return how a job with these `overrides` ended, which failed if there is no error on the test images."""
    failure = "no memory" if error is None else None
    return Outcome("key", "token", overrides, "folder", measure="test_error", error=error, failure=failure)


def test_the_lowest_mean_over_the_seeds_is_the_best() -> None:
    """Here neither the lowest error nor the lowest median."""
    errors = {"lucky": (0.1, 0.5, 0.6), "steady": (0.3, 0.3, 0.3), "unlucky": (0.2, 0.2, 0.9)}
    jobs = [
        ended(error, luck=luck, seed=str(seed))
        for luck, seeds in errors.items()
        for seed, error in enumerate(seeds)
    ]
    assert Ranking(jobs, ["luck", "seed"], "Digits").rows() == [
        ["1", "steady", "3", "0.300000", "0.000000", "", ""],
        ["2", "lucky", "3", "0.400000", "0.264575", "", ""],
        ["3", "unlucky", "3", "0.433333", "0.404145", "", ""],
    ]


def test_the_terminal_shows_the_best_jobs_and_all_that_failed(capsys: pytest.CaptureFixture) -> None:
    good = [ended(0.01 * rate, rate=str(rate)) for rate in range(TOP + 2)]
    bad = [ended(None, rate=rate) for rate in ("100", "200")]
    Ranking([*bad, *good], ["rate"], "Digits").show()
    lines = capsys.readouterr().out.splitlines()
    rates = [line.split("│")[2].strip() for line in lines if line.startswith("│")]
    assert rates == [*map(str, range(TOP)), "100", "200"]
    assert lines[-3:] == [
        "… and 2 more in the CSV file",
        "FAILED: rate 100: no memory",
        "FAILED: rate 200: no memory",
    ]


def test_a_grid_in_which_jobs_failed_is_a_heat_map_that_shows_them() -> None:
    errors = {"1": {"3": 0.1, "4": 0.2, "5": None}, "2": {"3": 0.3, "4": None, "5": None}}
    jobs = [ended(error, rate=rate, width=width) for rate in "12" for width, error in errors[rate].items()]
    axes = Ranking(jobs, ["rate", "width"], "Digits").figure().axes[0]
    shown = [text.get_text() for text in axes.texts]
    assert shown == ["10.00", "20.00", "failed", "30.00", "failed", "failed"]
