"""The plan of a sweep: what it says of the jobs, and which sweeps are refused before any job."""

from pathlib import Path

import pytest

from pipeline.support.errors import UserError
from pipeline.sweeps.plan import Plan, make_plan
from tests.commands import SMALL
from tests.forked import run_each
from tests.sweeping import JOBLIB, composed


def plan(*options: str) -> Plan:
    """Return the plan of the sweep that `options` start in the current folder."""
    with composed(*options) as config:
        return make_plan(config)


@pytest.mark.parametrize(
    ("options", "name", "swept"),
    [
        ([], "sweep of one job", []),
        (["seed=0"], "sweep of one job", []),
        (["seed=0,1,2"], "sweep of seed, 3 jobs", ["seed"]),
        (
            ["optimizer.learning_rate=0.1,0.2", "seed=range(3)"],
            "sweep of learning_rate × seed, 6 jobs",
            ["optimizer.learning_rate", "seed"],
        ),
        (["experiment=quick_98,sheet_mnist"], "sweep of experiment, 2 jobs", ["experiment"]),
    ],
)
def test_a_plan_names_what_is_swept_and_counts_the_jobs(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], name: str, swept: list[str]
) -> None:
    monkeypatch.chdir(workspace)
    planned = plan(*options)
    assert (planned.name, planned.swept, planned.title) == (name, swept, "Strokes")
    assert name.endswith("one job" if len(planned.jobs) == 1 else f"{len(planned.jobs)} jobs")


def test_the_same_jobs_in_another_order_are_the_same_sweep_unless_it_begins_anew(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    first, other_order, more = plan("seed=0,1"), plan("seed=1,0"), plan("seed=0,1,2")
    assert first.key == other_order.key != more.key
    assert first.jobs == other_order.jobs[::-1] == more.jobs[:2]
    assert first.key != plan("seed=0,1", "sweep.resume=false").key


def test_what_is_given_takes_the_place_of_what_an_experiment_sweeps(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    planned = plan("experiment=dying_relu", "model.activation=relu", "optimizer.learning_rate=0.1,0.2")
    assert (planned.swept, len(planned.jobs)) == (["optimizer.learning_rate"], 2)
    assert planned.overrides["optimizer.learning_rate"] == "0.1,0.2"
    assert planned.overrides["model.activation"] == "relu"


def test_two_options_that_make_the_same_job_are_told_before_any_job(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    told = "^training.checkpoint=2.0 is the same job as training.checkpoint=1.0: leave one of them out"
    with pytest.raises(UserError, match=told):
        plan("training.checkpoint=1.0,2.0")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["seed="], "configuration: seed = '': should be a valid integer"),
        (["seed=range(0,0)"], "seed=range(0,0): nothing to sweep, the list is empty"),
        (["model.initialiser.scale=0.1,0.10"], "model.initialiser.scale=0.1 is there twice"),
        (
            ["optimizer.learning_rate=0.1,-1"],
            "configuration: optimizer.learning_rate = -1: should be greater",
        ),
        (["model.hidden=[5],[2000000000]"], "model.hidden = [2000000000]: training would take at least"),
        (["training.threads=999", JOBLIB, "seed=0,1"], "training.threads = 999 in each of"),
        (["seed=range(1,10000000)"], "seed=range(1,10000000): a sweep may have 10,000 jobs at most"),
        (
            ["seed=shuffle(range(1,1e30))"],
            "seed=shuffle(range(1,1e30)): a sweep may have 10,000 jobs at most",
        ),
        (
            ["seed=range(0,101)", "training.epochs=range(1,101)"],
            "training.epochs=range(1,101) seed=range(0,101): a sweep may have 10,000",
        ),
        (["seed=range(0,5,0)"], "seed=range(0,5,0): range() arg 3 must not be zero"),
        (["seed=choice(1,2),choice(3,4)"], "seed=choice(1,2),choice(3,4): Unexpected type annotation"),
        (["experiment=xor,depth_width"], "experiment=depth_width sets hydra.sweeper, which all jobs"),
        (["experiment=depth_width,dying_relu"], "experiment=depth_width sets hydra.sweeper, which all jobs"),
        (
            ["training.batch_size=20,999"],
            "training.batch_size = 999: should be at most the number of training",
        ),
        (
            ["seed=0,1", "model.activation=${nowhere}"],
            "configuration: model.activation: Interpolation key 'nowhere'",
        ),
    ],
)
def test_jobs_that_cannot_work_are_refused(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], told: str
) -> None:
    monkeypatch.chdir(workspace)
    with pytest.raises(UserError) as caught:
        plan(*options)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


REFUSED = {
    "seed=0,1,0": "seed=0 is there twice: leave one of them out",
    "optimizer.rate=1,2": "there is no key optimizer.rate",
    "hydra/launcher=slurmy": "In 'hydra/config': Could not find 'hydra/launcher/slurmy'",
    "hydra.sweep.dir=params.yaml": "params.yaml: a file is where a folder is needed",
    "tracking.enabled=true": "MLFLOW_TRACKING_URI: nothing answers at http://127.0.0.1:9",
}


def test_what_cannot_work_is_told_in_one_line_before_any_job(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    commands = [["-m", *SMALL, "hydra.sweep.dir=sweep", option] for option in REFUSED]
    for told, done in zip(REFUSED.values(), run_each(workspace, commands), strict=True):
        assert done.status == 1
        assert done.stderr.startswith(f"error: {told}")
        assert done.stderr.count("\n") == 1
    assert not list(workspace.glob("sweep/[0-9]*"))
