"""A folder as the stages leave it, with an empty store."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.runs.run import Run
from pipeline.train import train_and_record
from tests.commands import made_once
from tests.stores import client, configuration

METRICS = {"test": {"accuracy": 0.25}, "official": {"accuracy": 0.5}}


def make_trained(folder: Path) -> None:
    data = folder / "data/processed"
    data.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, rows in (("train", 60), ("test", 20), ("official", 20)):
        np.save(data / f"{part}_images.npy", rng.random((rows, 784), dtype=np.float32))
        np.save(data / f"{part}_labels.npy", np.eye(10, dtype=np.uint8)[rng.integers(0, 10, rows)])
    description = {"name": "mnist", "title": "MNIST", "classes": list("0123456789"), "image_shape": [28, 28]}
    (data / "dataset.json").write_text(json.dumps(description))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train_and_record(configuration(enabled=False), Path())
        run = Run()
        run.metrics.write_text(json.dumps(METRICS))
        run.classes.write_text("class,images,precision,recall,f1\n7,1,1.0,1.0,1.0\n")
        run.predictions.write_text("index,label,prediction,confidence\n0,7,7,0.9\n")
        run.figures.mkdir()
        (run.figures / "accuracy.png").write_bytes(b"an image")
        run.page.write_bytes(b"a page")
    assert not (folder / "mlflow.db").exists()  # tracking was off


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, store_template: Path) -> Path:
    """A folder as the stages leave it, with tracking off, and an empty store; each test gets a copy."""

    def make(folder: Path) -> None:
        make_trained(folder)
        shutil.copy(store_template, folder / "mlflow.db")

    return made_once("trained", make, tmp_path_factory)


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `trained` that a test may change, in which it works."""
    folder = shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def store(project: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """MLflow's client for the project's store, which is also the one that this process records in."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/mlflow.db")
    return client(project)
