"""Trainings that are killed, with kill -9, and started again."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.reading import read_params
from pipeline.nn.training import Trainer
from pipeline.runs.build import BuiltTraining, build_training
from pipeline.runs.checkpoints import Checkpoints, remove_checkpoint
from pipeline.runs.training_data import data_for
from pipeline.train import train_and_record
from tests.commands import (
    CHECKPOINTS,
    PATIENCE,
    ROOT,
    SMALL,
    TRACKED,
    UNDER_DVC,
    checkpoint,
    copy_code,
    files,
    kill_in_training,
    made_once,
    run_module,
    start_module,
    wait_for,
)
from tests.nn.configurations import NAMED
from tests.stores import client, failing_server
from tests.sweeping import runs

XOR = NAMED["XOR"]
EVERYTHING = [
    *SMALL,
    *("optimizer=adamw", "optimizer.clip_norm=1.0", "schedule=cosine", "schedule.warmup=2.0"),
    *("augmentation=affine_elastic", "model.dropout=0.2", "loss.label_smoothing=0.1"),
    *("training.ema=0.99", "training.measure_every=3", "training.epochs=12", "training.checkpoint=0.0"),
]


def fitted(checkpoints: Callable[[BuiltTraining], Checkpoints], epochs: int) -> Checkpoints:
    """Return the checkpoints of a small training that has ended."""
    config = replace(XOR, training=replace(XOR.training, epochs=epochs))
    training = build_training(config, data_for(config))
    kept = checkpoints(training)
    training.fit(kept)
    return kept


def test_one_is_due_so_many_minutes_after_the_start_and_after_the_latest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clock = iter([1000.0, 1000.0, 1149.0, 1150.0, 1150.0, 1290.0, 1300.0, 1300.0])
    written = []

    class Noting(Checkpoints):
        def _write(self, trainer: Trainer) -> None:
            written.append(trainer.epoch)

    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    fitted(partial(Noting, "key", 2.5), epochs=5)
    assert written == [3, 5]


def test_an_experiment_keeps_them_at_the_root_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC removes the folder that it works in, and the next one finds them."""
    experiment = tmp_path / ".dvc/tmp/exps/temporary"
    experiment.mkdir(parents=True)
    monkeypatch.chdir(experiment)
    fitted(partial(Checkpoints, "key", 0.0), epochs=1)
    assert checkpoint(tmp_path)


def train_until_killed(workspace: Path, *options: str) -> None:
    """Start a training and kill it as `kill_in_training` does."""
    kill_in_training(workspace, sys.executable, "-m", "pipeline.train", *options)


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `EVERYTHING` trains to."""

    def train(folder: Path) -> None:
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        done = run_module(folder, "pipeline.train", *EVERYTHING, "hydra.run.dir=whole")
        assert done.returncode == 0, done.stderr

    return made_once("undisturbed", train, tmp_path_factory) / "whole"


@pytest.fixture(scope="module")
def killed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the training of `EVERYTHING` was killed and has left a checkpoint."""

    def train(folder: Path) -> None:
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        train_until_killed(folder, *EVERYTHING, "hydra.run.dir=killed")

    return made_once("killed", train, tmp_path_factory)


@pytest.fixture
def interrupted(killed: Path, tmp_path: Path) -> Path:
    """A copy of `killed` that a test may change."""
    return shutil.copytree(killed, tmp_path / "interrupted")


def results(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each result; the journal is none, since it holds times."""
    named = files(folder).items()
    return {
        name: sha for name, sha in named if name.startswith(("models", "reports")) and "journal" not in name
    }


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("momentum", marks=pytest.mark.stress)])
def test_a_killed_training_goes_on_and_ends_with_the_bits_of_an_undisturbed_one(
    workspace: Path, optimizer: str
) -> None:
    options = [*EVERYTHING, f"optimizer={optimizer}"]
    undisturbed = run_module(workspace, "pipeline.train", *options, "hydra.run.dir=whole")
    assert undisturbed.returncode == 0, undisturbed.stderr
    for _ in range(2):
        train_until_killed(workspace, *options, "hydra.run.dir=killed")
    assert not (workspace / "killed/models/model.npz").exists()
    done = run_module(workspace, "pipeline.train", *options, "hydra.run.dir=killed")
    assert done.returncode == 0, done.stderr
    assert "training goes on after epoch " in done.stderr
    assert results(workspace / "killed") == results(workspace / "whole")
    assert len(results(workspace / "whole")) == 3
    assert not (workspace / CHECKPOINTS).exists()


@pytest.mark.stress
def test_it_is_kept_until_the_run_is_recorded(workspace: Path) -> None:
    """Who is killed while MLflow is still at work has the run recorded by the same command again."""
    tracked = [option for option in EVERYTHING if not option.startswith("tracking")]
    with failing_server(stalls=True) as (address, asked):
        process = start_module(
            workspace, "pipeline.train", *tracked, "hydra.run.dir=out", MLFLOW_TRACKING_URI=address
        )
        wait_for((workspace / "out/reports/history.csv").exists)  # which is written last
        assert asked.wait(PATIENCE)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert checkpoint(workspace)
    again = run_module(workspace, "pipeline.train", *tracked, "hydra.run.dir=out")
    assert again.returncode == 0, again.stderr
    assert "training goes on after epoch " in again.stderr
    (run,) = client(workspace).search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert checkpoint(workspace) is None


def test_it_goes_on_under_dvc_and_in_a_sweep_from_where_it_was_killed(workspace: Path) -> None:
    """The same training, whoever starts it: here once by hand, then as a job, then as DVC does."""
    composed = run_module(workspace, "pipeline.train", "--cfg", "job", "--resolve", *EVERYTHING)
    (workspace / "params.yaml").write_text(composed.stdout, encoding="utf-8")
    train_until_killed(workspace, *UNDER_DVC)
    kept = shutil.copytree(workspace / CHECKPOINTS, workspace / "kept")
    sweep = run_module(workspace, "pipeline.train", "-m", *EVERYTHING, "hydra.sweep.dir=sweep", "seed=0")
    assert sweep.returncode == 0, sweep.stderr
    assert "training goes on after epoch " in sweep.stderr
    shutil.copytree(kept, workspace / CHECKPOINTS)
    under_dvc = run_module(workspace, "pipeline.train", *UNDER_DVC)
    assert under_dvc.returncode == 0, under_dvc.stderr
    assert "training goes on after epoch " in under_dvc.stderr
    assert not (workspace / CHECKPOINTS).exists()
    job = results(workspace / "sweep/0")
    assert job == {name: sha for name, sha in results(workspace).items() if name in job}


def told_of(stderr: str) -> list[str]:
    """Return the lines that say that a checkpoint was not used."""
    return [line for line in stderr.splitlines() if "holds no checkpoint to go on from (" in line]


def test_the_checkpoint_of_another_training_is_told_and_not_used(
    interrupted: Path, undisturbed: Path
) -> None:
    path = checkpoint(interrupted)
    assert path
    shutil.move(path.parent, interrupted / "kept")
    train_until_killed(interrupted, *EVERYTHING, "seed=1", "hydra.run.dir=killed")
    other = checkpoint(interrupted)
    assert other
    path.parent.mkdir()
    other.replace(path)
    shutil.rmtree(other.parent)
    done = run_module(interrupted, "pipeline.train", *EVERYTHING, "hydra.run.dir=again")
    assert done.returncode == 0, done.stderr
    [told] = told_of(done.stderr)
    assert told.startswith(f"{CHECKPOINTS}/{path.parent.name} ")
    assert "goes on after" not in done.stderr
    assert not (interrupted / CHECKPOINTS).exists()
    assert results(interrupted / "again") == results(undisturbed)


@pytest.mark.parametrize("damage", ["cut short", "a bit", "no notes"])
def test_a_damaged_checkpoint_is_told_and_not_used(
    interrupted: Path,
    undisturbed: Path,
    damage: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What is wrong is told in one line, and training ends with the bits of an undisturbed one."""
    path = checkpoint(interrupted)
    assert path
    content = bytearray(path.read_bytes())
    match damage:
        case "cut short":
            path.write_bytes(content[: len(content) // 2])
        case "a bit":
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        case "no notes":
            with np.load(path) as file:
                np.savez(path, **{name: file[name] for name in file if name != "notes"})
    monkeypatch.chdir(interrupted)
    train_and_record(read_params(Path("killed/params.yaml")), Path("again"))
    stderr = capfd.readouterr().err
    assert len(told_of(stderr)) == 1
    assert "goes on after" not in stderr
    assert not (interrupted / CHECKPOINTS).exists()
    assert results(interrupted / "again") == results(undisturbed)


def test_the_same_training_twice_at_once_spoils_neither(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that ends first removes the folder in which the other is at its checkpoint."""
    monkeypatch.chdir(workspace)
    fitted(partial(Checkpoints, "key", 0.0), epochs=1)
    remove_checkpoint("key")
    savez = np.savez

    def save_late(*file: Any, **arrays: Any) -> None:
        savez(*file, **arrays)
        remove_checkpoint("key")

    monkeypatch.setattr(np, "savez", save_late)
    fitted(partial(Checkpoints, "key", 0.0), epochs=1)
    assert not (workspace / CHECKPOINTS).exists()
    monkeypatch.undo()
    monkeypatch.chdir(workspace)
    assert fitted(partial(Checkpoints, "key", 0.0), epochs=1).path.exists()


@pytest.mark.stress
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_who_is_stopped_while_the_run_is_recorded_leaves_one_run(
    workspace: Path, how: signal.Signals
) -> None:
    options = [*TRACKED, "training.checkpoint=0.0", "hydra.run.dir=out"]
    for attempt in range(2):
        training = start_module(workspace, "pipeline.train", *options)
        if not attempt:
            wait_for((workspace / "out/reports/history.csv").exists)
            os.killpg(training.pid, how)
        training.communicate()
        wait_for((workspace / "mlflow.db").exists)
        wait_for(lambda: [run.info.status for run in runs(client(workspace))[1]] == ["FINISHED"])
    assert training.returncode == 0
    assert not (workspace / CHECKPOINTS).exists()


@pytest.mark.parametrize("change", ["configuration", "data", "code"])
def test_a_checkpoint_of_another_configuration_of_other_data_or_code_is_not_used(
    interrupted: Path, change: str
) -> None:
    options, code = EVERYTHING, ROOT
    match change:
        case "configuration":
            options = [*EVERYTHING, "training.epochs=3"]
        case "data":
            labels = interrupted / "data/processed/train_labels.npy"
            content = bytearray(labels.read_bytes())
            content[-10:] = content[-20:-10]
            labels.write_bytes(content)
        case "code":
            code = copy_code(interrupted / "code")
            with (code / "pipeline/nn/losses.py").open("a", encoding="utf-8") as file:
                file.write("# changed\n")
    done = run_module(interrupted, "pipeline.train", *options, "hydra.run.dir=other", PYTHONPATH=str(code))
    assert done.returncode == 0, done.stderr
    told = f"the checkpoints in {CHECKPOINTS} are of other configurations, data or code: not used"
    assert [line.startswith(told) for line in done.stderr.splitlines()].count(True) == 1
    assert checkpoint(interrupted)  # it still serves its own training
