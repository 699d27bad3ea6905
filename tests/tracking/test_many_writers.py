"""Sweeps whose jobs all write into one MLflow store at once: nothing is lost."""

from pathlib import Path
from typing import Any

import pytest

from tests.commands import TRACKED, run_module, start_module, wait_for
from tests.stores import client, free_port, mlflow_server

pytestmark = pytest.mark.stress

EPOCHS = [1, 2]
SWEEP = [
    "pipeline.train",
    "-m",
    *TRACKED,
    "hydra/launcher=joblib",
    "hydra.sweep.dir=sweep",
    "model.hidden=[4]",
]


def assert_all_recorded(folder: Path, jobs: int) -> None:
    store = client(folder)
    runs = store.search_runs([experiment.experiment_id for experiment in store.search_experiments()])
    assert {run.info.status for run in runs} == {"FINISHED"}
    [parent] = [run for run in runs if "sweep" in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(runs) == jobs + 1
    assert sorted(run.data.params["seed"] for run in children) == sorted(map(str, range(jobs)))
    for run in children:
        points: list[Any] = store.get_metric_history(run.info.run_id, "train_loss")
        assert [point.step for point in points] == EPOCHS
        assert run.outputs is not None
        assert run.outputs.model_outputs


def test_64_jobs_on_8_processes_into_a_fresh_database(workspace: Path) -> None:
    done = run_module(workspace, *SWEEP, "hydra.launcher.n_jobs=8", "seed=range(64)")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    assert_all_recorded(workspace, 64)


def test_24_jobs_on_4_processes_into_a_server_that_is_killed_and_started_again(workspace: Path) -> None:
    command = [*SWEEP, "hydra.launcher.n_jobs=4", "seed=range(24)"]
    port = free_port()
    address = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with mlflow_server(workspace, port):
        sweep = start_module(workspace, *command, **address)
        outcomes = workspace / "multirun/finished"
        wait_for(lambda: sweep.poll() is not None or len(list(outcomes.glob("*.json"))) >= 6)
    with mlflow_server(workspace, port):
        errors = sweep.communicate()[1]
        assert sweep.returncode == 0, errors
        if "; the same command again records what was missed." in errors:  # the server took its time
            again = run_module(workspace, *command, **address)
            assert "warning" not in again.stderr
    assert_all_recorded(workspace, 24)
