"""`training.patience` ends a training that gets no better on the validation part, and keeps the best."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.reading import read_params
from pipeline.figures.results import read_results
from pipeline.runs.build import BuiltTraining, build_training
from pipeline.runs.checkpoints import Checkpoints
from pipeline.runs.history import kept_row, objective, read_history
from pipeline.runs.models import load_model
from pipeline.runs.run import Run
from pipeline.runs.trained import TrainedRun
from pipeline.runs.training_data import data_for
from tests.commands import CHECKPOINTS, SMALL, TRACKED, files, kill_in_training, run_module
from tests.forked import run_each
from tests.stores import client
from tests.sweeping import runs, sweep, table

PATIENT = ["split.validation=50", "training.epochs=200", "training.patience=4", "optimizer.learning_rate=0.4"]


@pytest.fixture
def stopped(workspace: Path) -> Run:
    """The run of `PATIENT`."""
    [done] = run_each(workspace, [[*SMALL, *PATIENT, "hydra.run.dir=stopped"]])
    assert done.status == 0, done.stderr
    return Run(workspace / "stopped")


def test_training_stops_and_the_model_is_that_of_the_best_epoch(
    workspace: Path, stopped: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    rows = read_history(stopped.history)
    errors = [objective(row)[1] for row in rows]
    best = errors.index(min(errors))
    assert len(rows) == best + 1 + 4 < 200
    assert kept_row(rows, 4) is rows[best]
    assert np.load(stopped.snapshots)["epochs"][-1] == len(rows)

    alone = ["training.patience=null", f"training.epochs={best + 1}", "hydra.run.dir=alone"]
    assert run_each(workspace, [[*SMALL, *PATIENT, *alone]])[0].status == 0
    alone_vector = load_model(workspace / "alone/models/model.npz").parameters.vector
    assert np.array_equal(load_model(stopped.model).parameters.vector, alone_vector)
    assert run_module(workspace, "pipeline.evaluate", "stopped").returncode == 0
    metrics = json.loads(stopped.metrics.read_text(encoding="utf-8"))
    assert (
        metrics["validation"]["accuracy"]
        == rows[best]["validation_accuracy"]
        > rows[-1]["validation_accuracy"]
    )
    headline = read_results(TrainedRun.open(stopped)).title
    assert headline.endswith(f"after {best + 1} epochs")


def test_a_killed_training_stops_where_an_undisturbed_one_does(workspace: Path, stopped: Run) -> None:
    command = [sys.executable, "-m", "pipeline.train", *SMALL, *PATIENT, "training.checkpoint=0.0"]
    kill_in_training(workspace, *command, "hydra.run.dir=killed")
    assert (workspace / CHECKPOINTS).exists()
    done = run_module(workspace, *command[2:], "hydra.run.dir=killed")
    assert done.returncode == 0, done.stderr
    assert "training goes on after epoch 4" in done.stderr
    for name in ("models/model.npz", "models/snapshots.npz", "reports/history.csv"):
        assert files(workspace / "killed")[name] == files(stopped.folder)[name]


def test_a_training_that_was_killed_when_it_had_stopped_does_not_go_on(
    workspace: Path, stopped: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its results were not yet written, and its last checkpoint is of the epoch after which it stopped."""
    monkeypatch.chdir(workspace)
    config = read_params(stopped.params)

    def trained() -> BuiltTraining:
        training = build_training(config, data_for(config))
        training.fit(Checkpoints("key", 0.0, training))
        return training

    first, second = trained(), trained()
    assert second.trainer.epoch == first.trainer.epoch == len(read_history(stopped.history))
    for training in (first, second):
        assert np.array_equal(training.mlp.parameters.vector, load_model(stopped.model).parameters.vector)


def test_a_sweep_and_mlflow_go_by_the_model_that_is_kept(tracked: Path) -> None:
    done = sweep(tracked, *PATIENT, base=TRACKED)
    assert done.returncode == 0, done.stderr
    rows = read_history(tracked / "sweep/0/reports/history.csv")
    kept = kept_row(rows, 4)
    assert table(tracked)[0]["validation_error"] == f"{objective(kept)[1]:.6f}"
    [parent], [job] = runs(client(tracked))
    for run in (parent, job):
        assert run.data.metrics["validation_accuracy"] == kept["validation_accuracy"]
    assert job.data.tags["best_epoch"] == f"{kept['epoch']:g}"
    assert job.data.tags["last_epoch"] == f"{rows[-1]['epoch']:g}"


def test_without_a_validation_part_there_is_nothing_to_stop_by(workspace: Path) -> None:
    patient = "training.patience=3"
    xor = ["dataset=xor", "training.batch_size=null", "tracking.enabled=false"]
    for done in run_each(workspace, [[*SMALL, patient], [*xor, patient]]):
        assert done.status == 1
        assert done.stderr.startswith(
            "error: training.patience = 3: there is no validation part that says when"
        )
        assert done.stderr.count("\n") == 1
