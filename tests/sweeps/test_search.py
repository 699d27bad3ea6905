"""What a search tries and when it compares; and which searches are refused before any job."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.splitting import Split
from pipeline.runs.run import Run
from pipeline.support.errors import UserError
from pipeline.sweeps.halving import better
from pipeline.sweeps.outcome import Outcome
from pipeline.sweeps.plan import Plan, make_plan
from pipeline.sweeps.search import Search, read_settings
from tests.commands import SMALL
from tests.own import arrays, prepare
from tests.sweeping import composed

SETTINGS = {"jobs": 81, "keep": "1/3", "first": 1, "brackets": 1, "seed": 0, "by_test": False}
SEARCHED = "optimizer.learning_rate=tag(log,interval(0.01,1.0))"


@pytest.mark.parametrize(
    ("first", "keep", "epochs", "rungs"),
    [
        (1, "1/3", 20, [1, 3, 9, 20]),
        (1, "1/3", 27, [1, 3, 9, 27]),
        (2, 0.5, 16, [2, 4, 8, 16]),
        (1, "0.9", 4, [1, 2, 3, 4]),
        (4, "1/100", 5, [4, 5]),
        (5, "1/3", 5, [5]),
    ],
)
def test_the_rungs(first: int, keep: str | float, epochs: int, rungs: list[int]) -> None:
    assert read_settings({**SETTINGS, "first": first, "keep": keep}, epochs).rungs(epochs) == rungs


def test_a_third_goes_on_and_the_epochs_are_counted() -> None:
    search = Search([], 2, [1, 3, 9, 20], "1/3", [81, 36])
    assert [search.sizes(bracket) for bracket in (0, 1)] == [[81, 27, 9, 3], [0, 36, 12, 4]]
    one_seed = (81 + 27 * 2 + 9 * 6 + 3 * 11) + (36 * 3 + 12 * 6 + 4 * 11)
    assert search.epochs() == 2 * one_seed
    assert list(search.configurations(1)) == list(range(81, 117))
    assert list(search.numbers(81)) == [162, 163]


@pytest.mark.parametrize(
    ("errors", "going_on"),
    [
        ([(0.3, 0.3), (0.1, 0.4), (0.2, 0.2), (0.9, 0.9)], [2, 1]),  # by the mean, not by the luckiest seed
        ([(0.3, 0.3), (0.2, 0.4), (0.4, 0.2), (0.9, 0.9)], [0, 1]),  # of equal ones, those proposed first
        ([(3e-8, 3e-8), (1e-8, 1e-8), (4e-8, 4e-8), (2e-8, 2e-8)], [1, 3]),  # of targets in a large unit
        ([(0.0, None), (0.8, 0.8), (0.9, 0.9), (0.0, None)], [1, 2]),  # none that has failed with a seed
        ([(0.0, None), (None, None), (0.9, 0.9), (0.0, None)], [2]),  # even if fewer are left
    ],
)
def test_who_goes_on(errors: list[tuple[float | None, float | None]], going_on: list[int]) -> None:
    search = Search([], seeds=2, rungs=[1, 2], keep="1/2", brackets=[4])
    outcomes = {
        number: Outcome({}, Run(), error=error)
        for number, error in enumerate(error for seeds in errors for error in seeds)
    }
    assert better(range(4), search, outcomes) == going_on


def plan(*options: str, base: Sequence[str] = SMALL) -> Plan:
    """Return the plan of the search that `options` start in the current folder."""
    few = ["hydra/sweeper=halving", "hydra.sweeper.jobs=2", "training.epochs=9"]
    with composed(*few, *options, base=base) as config:
        return make_plan(config)


@pytest.fixture(autouse=True)
def in_workspace(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)


def test_a_plan_has_a_job_for_each_seed_of_each_configuration_and_a_bracket_a_rung_later() -> None:
    options = ["split.validation=50", "seed=3,4", "hydra.sweeper.jobs=3", "hydra.sweeper.brackets=2"]
    planned = plan(SEARCHED, *options)
    search = planned.search
    assert search and (search.rungs, search.brackets, search.seeds) == ([1, 3, 9], [3, 2], 2)
    assert len(planned.jobs) == len(search.jobs) == 10
    rates = [dict(text.split("=") for text in job)["optimizer.learning_rate"] for job in search.jobs]
    seeds = [dict(text.split("=") for text in job)["seed"] for job in search.jobs]
    assert rates[::2] == rates[1::2] and len(set(rates)) == 5
    assert seeds == ["3", "4"] * 5
    assert planned.name == "sweep of learning_rate × seed, 10 jobs"
    assert planned.key != plan(SEARCHED, *options, "hydra.sweeper.keep=1/2").key


def test_every_configuration_is_tried_on_all_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(80.0).reshape(40, 2)
    split = Split(0.9, 0.1, order="shuffled", folds=3)
    prepare(tmp_path, arrays(tmp_path, rows, np.arange(40) % 2), split)
    monkeypatch.chdir(tmp_path)
    data = ["dataset=arrays", "dataset.path=arrays.npz", "training.batch_size=8"]
    data += ["split.train=0.9", "split.test=0.1", "split.validation=0"]
    data += ["split.order=shuffled", "split.folds=3"]
    search = plan(SEARCHED, "split.fold=range(3)", base=data).search
    assert search and (search.brackets, search.seeds) == ([2], 3)
    assert [job[-1] for job in search.jobs] == [f"split.fold={fold}" for fold in (0, 1, 2)] * 2
    with pytest.raises(UserError, match="augmentation = affine: should be none for data that are not grey"):
        plan(SEARCHED, "augmentation=affine", base=data)


VALIDATED = [SEARCHED, "split.validation=50"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            [SEARCHED],
            "the search would choose by the test images, which could then not say how good its choice",
        ),
        (["split.validation=50", "seed=0,1"], "there is nothing to search: give a key several values, as in"),
        ([*VALIDATED, "hydra.sweeper.jobs=0"], "hydra.sweeper: jobs = 0: should be greater than 0"),
        ([*VALIDATED, "hydra.sweeper.keep=1"], "hydra.sweeper: keep = 1: should be a share above 0, at most"),
        ([*VALIDATED, "hydra.sweeper.keep=0.9999"], "hydra.sweeper: keep = 0.9999: should be a share above"),
        ([*VALIDATED, "hydra.sweeper.keep=1/0"], "hydra.sweeper: keep = '1/0': should be a share above"),
        (
            [*VALIDATED, "hydra.sweeper.keep=third"],
            "hydra.sweeper: keep = 'third': should be a share above",
        ),
        (
            [*VALIDATED, "+hydra.sweeper.job=9"],
            "hydra.sweeper: there is no key job: the configuration has jobs",
        ),
        (
            [*VALIDATED, "hydra.sweeper.first=10"],
            "hydra.sweeper.first = 10: should be less than training.epochs",
        ),
        (
            [*VALIDATED, "hydra.sweeper.brackets=4"],
            "hydra.sweeper.brackets = 4: should be at most 3, as many as there are rungs",
        ),
        (
            [*VALIDATED, "training.measure_every=2"],
            "training.measure_every = 2: nothing is measured after epoch 1",
        ),
        ([*VALIDATED, "training.epochs=9,10"], "training.epochs = 10 and 9: should be the same for all jobs"),
        ([*VALIDATED, "seed=interval(0,3)"], "seed=interval(0,3): should be a list or a range"),
        ([*VALIDATED, "model.hidden="], "configuration: model.hidden = '': should be a valid list"),
        (
            ["split.validation=50", "seed=0,1", "model.hidden=range(0,0)"],
            "model.hidden=range(0,0): nothing to",
        ),
        (
            ["split.validation=50", "optimizer.learning_rate=interval(1,-1)"],
            "optimizer.learning_rate=interval(",
        ),
        (
            ["split.validation=50", "optimizer.learning_rate=interval(-1.0,-0.5)"],
            "configuration: optimizer.learning_rate = -",
        ),
    ],
)
def test_searches_that_cannot_work_are_refused(options: list[str], told: str) -> None:
    with pytest.raises(UserError) as caught:
        plan(*options)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


def test_a_search_may_choose_by_the_test_images_if_it_is_told() -> None:
    assert plan(SEARCHED, "hydra.sweeper.by_test=true").search
