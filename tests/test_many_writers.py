"""Sweeps whose jobs all write into one MLflow store at once: nothing is lost."""

from pathlib import Path
from typing import Any

from tests.conftest import SMALL, run_module

EPOCHS = [1, 2]
TRACKED = [option for option in SMALL if not option.startswith("tracking")]
SWEEP = [
    "pipeline.train",
    "-m",
    *TRACKED,
    "hydra/launcher=joblib",
    "hydra.sweep.dir=sweep",
    "model.hidden=[4]",
]


def assert_all_recorded(folder: Path, jobs: int) -> None:
    from mlflow import MlflowClient

    store = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    runs = store.search_runs([experiment.experiment_id for experiment in store.search_experiments()])
    assert {run.info.status for run in runs} == {"FINISHED"}
    [parent] = [run for run in runs if "sweep" in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(runs) == jobs + 1
    assert sorted(run.data.params["seed"] for run in children) == sorted(map(str, range(jobs)))
    for run in children:
        points: list[Any] = store.get_metric_history(run.info.run_id, "loss")
        assert [point.step for point in points] == EPOCHS
        assert run.outputs is not None
        assert run.outputs.model_outputs


def test_64_jobs_on_8_processes_into_a_fresh_database(workspace: Path) -> None:
    done = run_module(workspace, *SWEEP, "hydra.launcher.n_jobs=8", "seed=range(64)")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    assert_all_recorded(workspace, 64)
