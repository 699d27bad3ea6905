"""What a stage leaves behind is of the params, code and data that DVC notes for it: treeverse/dvc#11058."""

import os
import re
import shutil
import signal
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import pipeline.support.stage_inputs
from pipeline.runs.models import load_model, save_model
from pipeline.support.errors import UserError
from pipeline.support.stage_inputs import unchanged
from tests.commands import (
    ROOT,
    UNDER_DVC,
    freezing,
    made_once,
    run_module,
    start_module,
    wait_until_frozen,
)
from tests.stores import client


def change_params(workspace: Path, old: str, new: str) -> None:
    path = workspace / "params.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def change_seed(workspace: Path) -> None:
    change_params(workspace, "seed: 0", "seed: 1")


def change_data(workspace: Path) -> None:
    np.save(workspace / "data/processed/test_labels.npy", np.zeros((95, 10), np.uint8))


def change_code(workspace: Path) -> None:
    (workspace / "pipeline/nn").mkdir(parents=True)
    (workspace / "pipeline/nn/mlp.py").touch()


def change_nothing_that_counts(workspace: Path) -> None:
    change_params(workspace, "patience: 60.0", "patience: 61.0")
    (workspace / "pipeline/nn/__pycache__").mkdir(parents=True)
    (workspace / "pipeline/nn/__pycache__/mlp.pyc").touch()
    (workspace / "data/processed/test_labels.npy").touch()


def damage_params(workspace: Path) -> None:
    (workspace / "params.yaml").write_text("seed: [", encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (change_seed, "params.yaml: seed: changed while the stage train ran"),
        (change_data, "data/processed: changed while the stage train ran"),
        (change_code, "pipeline/nn: changed while the stage train ran"),
        (damage_params, "params.yaml: seed, params.yaml: split.validation, "),
        (change_nothing_that_counts, None),
    ],
)
def test_a_stage_whose_inputs_changed_while_it_ran_fails(
    workspace: Path, change: Callable[[Path], None], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    with pytest.raises(UserError) if told else nullcontext() as caught, unchanged("train"):
        change(workspace)
    if told:
        assert caught
        assert str(caught.value).startswith(told)


@pytest.mark.parametrize("stage", ["download", "preprocess", "evaluate", "plot", "page", "problems"])
def test_every_stage_looks_after_its_own_inputs(
    workspace: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    with unchanged(stage):
        pass
    code = "pipeline/page" if stage == "page" else f"pipeline/{stage}.py"
    told = f"^{code}: changed while the stage {stage} ran"
    with pytest.raises(UserError, match=told), unchanged(stage):
        path = Path(code, "page.js") if stage == "page" else Path(code)
        path.parent.mkdir(parents=True)
        path.touch()


@pytest.mark.parametrize(
    ("stage", "library"),
    [*((stage, "numpy") for stage in ("download", "preprocess", "train", "evaluate")), ("plot", "pillow")],
)
def test_a_stage_does_not_run_with_another_version_of_a_library_than_it_depends_on(
    workspace: Path, stage: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = ROOT / "versions.yaml"
    text = versions.read_text(encoding="utf-8")
    installed = version(library)
    monkeypatch.setattr(pipeline.support.stage_inputs, "ROOT", workspace)
    shutil.copy(ROOT / "dvc.yaml", workspace)
    (workspace / versions.name).write_text(text.replace(f'{library}: "{installed}"', f'{library}: "1.0"'))
    told = rf"^{library} {re.escape(installed)} is installed, but versions\.yaml says 1\.0: install what"
    with pytest.raises(UserError, match=told), unchanged(stage):
        raise AssertionError("the stage began")
    (workspace / versions.name).write_text(text)
    monkeypatch.chdir(workspace)
    with unchanged(stage):
        pass


def test_a_seed_that_is_changed_during_training_is_not_recorded_for_the_model(tracked: Path) -> None:
    """Neither by DVC, since the stage fails, nor in MLflow, whichever stage comes next."""
    change_params(tracked, "checkpoint: 5.0", "checkpoint: 0.0")
    change_params(tracked, "enabled: false", "enabled: true")
    with freezing(checkpoint=1) as (frozen, environment):
        training = start_module(
            tracked, "pipeline.train", *UNDER_DVC, "tracking.enabled=false", **environment
        )
        pid = wait_until_frozen(training, frozen)
        change_seed(tracked)
        os.kill(pid, signal.SIGCONT)
        _, stderr = training.communicate()
    assert training.returncode == 1
    assert stderr.splitlines()[-1].startswith("error: params.yaml: seed: changed while the stage train ran")

    done = run_module(tracked, "pipeline.evaluate")
    assert done.returncode == 0, done.stderr
    store = client(tracked)
    [run] = store.search_runs([experiment.experiment_id for experiment in store.search_experiments()])
    assert run.data.params["seed"] == "0"
    assert run.data.metrics["test_accuracy"] > 0


@pytest.fixture
def trained(prepared: Path, store_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the train stage has run, with tracking off and an empty store."""

    def train(folder: Path) -> None:
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        shutil.copy(store_template, folder / "mlflow.db")
        done = run_module(folder, "pipeline.train", *UNDER_DVC, "tracking.enabled=false")
        assert done.returncode == 0, done.stderr
        change_params(folder, "enabled: false", "enabled: true")

    made = made_once("trained by the stage", train, tmp_path_factory)
    return shutil.copytree(made, tmp_path_factory.mktemp("trained") / "copy")


@pytest.mark.parametrize("what", ["data", "model", "version"])
def test_a_model_of_which_it_is_not_known_what_it_was_trained_by_is_measured_and_not_recorded(
    trained: Path, what: str
) -> None:
    path = trained / "models/model.npz"
    if what == "data":
        change_data(trained)
    else:
        save_model(load_model(path), path, {"seeds": 0} if what == "version" else None)
    done = run_module(trained, "pipeline.evaluate")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: not recorded in MLflow: models/model.npz ")
    assert (trained / "reports/metrics.json").exists()
    assert [experiment.name for experiment in client(trained).search_experiments()] == ["Default"]
