"""The best of a sweep is trained on all but the test part, and measured on that, which did not choose it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.best import final_training
from pipeline.data.splitting import Split
from pipeline.runs.history import read_history
from pipeline.runs.run import Run
from pipeline.support.errors import UserError
from tests.commands import SMALL, run_module
from tests.forked import run_each
from tests.own import arrays, prepare
from tests.sweeping import table

VALIDATED = [*SMALL, "split.validation=50", "hydra.sweep.dir=sweep"]


def test_the_best_is_trained_with_its_seeds_on_all_but_the_test_part(workspace: Path) -> None:
    options = ["optimizer.learning_rate=0.0001,0.1,0.3", "seed=3,5"]
    assert run_each(workspace, [["-m", *VALIDATED, *options]]) == [(0, "")]
    [best, *_] = table(workspace)
    done = run_module(workspace, "pipeline.best", "sweep", "hydra/launcher=joblib")
    assert done.returncode == 0, done.stderr
    assert "Test error on Strokes" in done.stdout and "over 2 seeds" in done.stdout

    shutil.copytree(workspace / "sweep", workspace / "it's (ü), a=b")
    dry = run_module(workspace, "pipeline.best", "it's (ü), a=b", "--dry")
    assert dry.returncode == 0 and "together 4 of 4 epochs" in dry.stdout, dry.stderr

    alone = [f"optimizer.learning_rate={best['optimizer.learning_rate']}", "seed=5", "hydra.run.dir=alone"]
    assert run_each(workspace, [[*SMALL, *alone]])[0].status == 0
    for name in ("models/model.npz", "reports/history.csv"):
        assert (workspace / "sweep/best/1" / name).read_bytes() == (workspace / "alone" / name).read_bytes()


def test_of_a_search_it_is_the_best_of_those_that_were_trained_to_the_end(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = ["hydra/sweeper=halving", "hydra.sweeper.jobs=3", "training.epochs=30", "training.patience=3"]
    searched = "optimizer.learning_rate=tag(log,interval(0.1,1.0))"
    assert run_each(workspace, [["-m", *VALIDATED, *search, searched]]) == [(0, "")]
    monkeypatch.chdir(workspace)
    arguments = final_training(Path("sweep"), [])
    [best, *_] = table(workspace)
    assert f"optimizer.learning_rate={best['optimizer.learning_rate']}" in arguments
    assert arguments[:3] == ["-m", "hydra.sweep.dir='sweep/best'", "hydra/sweeper=basic"]
    assert "training.patience=null" in arguments and "split.validation=0" in arguments
    [epochs] = [text.partition("=")[2] for text in arguments if text.startswith("training.epochs")]
    jobs = [Path("sweep", number) for number in "012"]
    [chosen] = [
        Run(job)
        for job in jobs
        if f"{Run(job).config().optimizer.learning_rate}" == best["optimizer.learning_rate"]
    ]
    lowest = max(read_history(chosen.history), key=lambda row: row["validation_accuracy"])
    assert epochs == f"{lowest['epoch']:.0f}" != "30"

    stopped = next(job for job in jobs if not (job / "models/model.npz").exists())
    done = run_module(workspace, "pipeline.evaluate", str(stopped))
    assert f"a search stopped the training in {stopped} after epoch 1, and only what" in done.stderr


def test_what_has_no_best_is_told(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    with pytest.raises(UserError, match=r"a sweep leaves sweep\.json in its folder, and there is none"):
        final_training(Path("data"), [])
    by_test = ["-m", *SMALL, "hydra.sweep.dir=sweep", "seed=0,1"]
    assert run_each(workspace, [by_test]) == [(0, "")]
    with pytest.raises(UserError, match="was ranked by the test error, so the test part cannot say"):
        final_training(Path("sweep"), [])


def test_a_validation_part_that_lies_apart_is_given_back_by_preparing_the_data_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(80.0).reshape(40, 2)
    prepare(tmp_path, arrays(tmp_path, rows, np.arange(40) % 2), Split(0.6, 0.2, 0.2, order="shuffled"))
    shares = ["split.train=0.6", "split.test=0.2", "split.validation=0.2", "split.order=shuffled"]
    options = [
        "dataset=arrays",
        "dataset.path=arrays.npz",
        *shares,
        "training.batch_size=8",
        "training.epochs=1",
        "seed=0,1",
    ]
    sweep = ["-m", "hydra.sweep.dir=sweep", "tracking.enabled=false", *options]
    assert run_each(tmp_path, [sweep]) == [(0, "")]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="prepare the data without it, and give the same options here"):
        final_training(Path("sweep"), [])
    given = ["split.train=0.8", "split.validation=0"]
    assert final_training(Path("sweep"), given)[-2:] == given


def test_after_folds_the_best_is_trained_on_data_that_are_prepared_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(80.0).reshape(40, 2)
    data = arrays(tmp_path, rows, np.arange(40) % 2)
    prepare(tmp_path, data, Split(0.8, 0.2, order="shuffled", folds=2))
    options = [
        *("dataset=arrays", "dataset.path=arrays.npz", "training.batch_size=8", "training.epochs=1"),
        *("split.train=0.8", "split.test=0.2", "split.validation=0", "split.order=shuffled"),
        *("split.folds=2", "split.fold=0,1", "seed=0,1", "model.hidden=[3]", "tracking.enabled=false"),
    ]
    assert run_each(tmp_path, [["-m", "hydra.sweep.dir=sweep", *options]]) == [(0, "")]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"example split\.folds=null split\.train=0\.85 split\.validation=0"):
        final_training(Path("sweep"), [])
    prepare(tmp_path, data, Split(0.8, 0.2, order="shuffled"))
    done = run_module(tmp_path, "pipeline.best", "sweep", "split.train=0.8")
    assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
    assert "test error" in done.stdout.lower() and "over 2 seeds" in done.stdout
