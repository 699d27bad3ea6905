"""The plan of a sweep: what it says of the jobs, and which sweeps are refused before any job."""

from pathlib import Path

import pytest

from pipeline.support.errors import UserError
from pipeline.sweeps.plan import make_plan
from tests.sweeping import JOBLIB, composed, sweep, table


def test_two_options_that_make_the_same_job_are_told_before_any_job(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    told = "^training.checkpoint=2.0 is the same job as training.checkpoint=1.0: leave one of them out"
    with composed("training.checkpoint=1.0,2.0") as config, pytest.raises(UserError, match=told):
        make_plan(config)


@pytest.mark.stress
def test_what_is_given_takes_the_place_of_what_a_recipe_sweeps(workspace: Path) -> None:
    options = ["experiment=dying_relu", "model.activation=relu", "optimizer.learning_rate=0.1,0.2"]
    done = sweep(workspace, *options)
    assert done.returncode == 0, done.stderr
    assert sorted(row["optimizer.learning_rate"] for row in table(workspace)) == ["0.1", "0.2"]
    assert done.stdout.startswith("job 0: learning_rate 0.1: test error")


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
    with composed(*options) as config, pytest.raises(UserError) as caught:
        make_plan(config)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["seed=0,1,0"], "seed=0 is there twice: leave one of them out"),
        (["optimizer.rate=1,2"], "there is no key optimizer.rate"),
        (["hydra/launcher=slurmy"], "In 'hydra/config': Could not find 'hydra/launcher/slurmy'"),
        (["seed=0,1", "hydra.sweep.dir=params.yaml"], "params.yaml: a file is where a folder is needed"),
        (["tracking.enabled=true", "seed=0,1"], "MLFLOW_TRACKING_URI: nothing answers at http://127.0.0.1:9"),
    ],
)
def test_what_cannot_work_is_told_in_one_line_before_any_job(
    workspace: Path, options: list[str], told: str
) -> None:
    done = sweep(workspace, *options, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {told}")
    assert done.stderr.count("\n") == 1
    assert not list(workspace.glob("sweep/[0-9]*"))
