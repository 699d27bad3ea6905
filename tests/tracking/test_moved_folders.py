"""The project's folder may have any name, be moved and be copied: runs and files stay together."""

import shutil
from pathlib import Path

import pytest

from pipeline.config.schema import Config
from pipeline.runs.run import Run
from pipeline.runs.training import train_run
from pipeline.tracking import MirrorProcess
from tests.commands import files
from tests.stores import client, configuration, local_path, runs

MODEL_FILES = {"MLmodel", "model.npz", "dataset.json", "served.py"}


def assert_files_are_beside_the_store(folder: Path, link: Path, count: int) -> None:
    """All runs' files and models are in `folder`, and MLflow finds them.

    It opens the store through a `link` to be made, as it takes a database's path for a URI.
    """
    link.symlink_to(folder)
    store = client(link)
    assert len(runs(store)) == count
    for run in runs(store):
        assert local_path(run.info.artifact_uri).is_relative_to(folder / "mlruns")
        assert {file.path for file in store.list_artifacts(run.info.run_id)} == {
            *("params.yaml", "history.csv", "metrics.json", "classes.csv", "predictions.csv")
        }
        (output,) = run.outputs.model_outputs
        model = local_path(store.get_logged_model(output.model_id).artifact_location)
        assert model.is_relative_to(folder / "mlruns")
        assert {path.name for path in model.rglob("*")} >= MODEL_FILES


def train_and_evaluate(folder: Path, config: Config) -> None:
    """Train in `folder` and have that and an evaluation recorded by one child process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train_run(config, Run())
        with MirrorProcess(Run(), config, "evaluate"):
            pass


def test_a_folder_may_have_any_name(trained: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained, tmp_path / "ours & #1 100%20 é")
    train_and_evaluate(folder, configuration())
    assert list(tmp_path.iterdir()) == [folder]
    assert_files_are_beside_the_store(folder, tmp_path / "link", count=1)


def test_runs_and_their_files_stay_together_wherever_the_folder_goes(trained: Path, tmp_path: Path) -> None:
    original, moved, copy = (tmp_path / name for name in ("original", "moved", "copy"))
    shutil.copytree(trained, original)
    train_and_evaluate(original, configuration())
    original.rename(moved)
    train_and_evaluate(moved, configuration(seed=1))
    assert_files_are_beside_the_store(moved, tmp_path / "link1", count=2)
    before = files(moved / "mlruns")
    shutil.copytree(moved, copy)
    train_and_evaluate(copy, configuration(seed=2))
    assert_files_are_beside_the_store(copy, tmp_path / "link2", count=3)
    alone = shutil.copytree(moved, tmp_path / "alone", ignore=shutil.ignore_patterns("mlruns"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(alone)
        with MirrorProcess(Run(), configuration(seed=1), "evaluate"):  # of the run whose files are not here
            pass
    assert files(moved / "mlruns") == before
    assert list((alone / "mlruns").rglob("metrics.json"))
    assert not original.exists()
