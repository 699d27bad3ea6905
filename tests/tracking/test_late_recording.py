"""`python -m pipeline.tracking FOLDER`, which records a training that MLflow missed."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.nn.fast import predict
from pipeline.runs.models import load_model
from tests.commands import run_module
from tests.stores import client, configuration, runs

Values = dict[str, Any]


def other_name(values: Values) -> None:
    values["dataset"] |= {"name": "fashion_mnist", "title": "Fashion-MNIST"}


def other_classes(values: Values) -> None:
    values["dataset"]["classes"] = list("01234")
    for labels in Path("data/processed").glob("*_labels.npy"):
        np.save(labels, np.load(labels)[:, :5])
    path = Path("data/processed/dataset.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "classes": list("01234")}))


def other_labels(values: Values) -> None:
    outputs = predict(load_model(Path("models/model.npz")), np.load("data/processed/train_images.npy"))
    wrong = (outputs.argmax(axis=1) + 1) % 10
    np.save("data/processed/train_labels.npy", np.eye(10, dtype=np.uint8)[wrong])


REFUSED: dict[str, tuple[Callable[[Values], None], str]] = {
    "another dataset than its own": (
        other_name,
        "dataset = fashion_mnist, but data/processed holds mnist: `dvc exp run -S dataset=fashion_mnist`"
        " prepares the other and trains on it",
    ),
    "data that it does not fit": (
        other_classes,
        "models/model.npz takes 784 values and tells 10 classes apart, but the images have 784 and 5:"
        " prepare the data that it was trained on",
    ),
    "what has taken the place of its data": (
        other_labels,
        "models/model.npz was trained on other data than data/processed holds: prepare the data that it was"
        " trained on",
    ),
}


@pytest.mark.parametrize("data", REFUSED)
def test_a_training_is_not_recorded_with_other_data_than_its_own(project: Path, data: str) -> None:
    change, told = REFUSED[data]
    values = asdict(configuration())
    change(values)
    Path("params.yaml").write_text(yaml.safe_dump(values))
    refused = run_module(project, "pipeline.tracking", ".")
    assert refused.returncode == 1
    assert refused.stderr == f"error: {told}\n"
    assert not runs(client(project))


def test_a_training_that_mlflow_missed_is_recorded_once(project: Path) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(asdict(configuration(enabled=False))))
    for journal in (True, False):  # as a training leaves it, and as DVC's cache brings it back
        if not journal:
            Path("models/journal.jsonl").unlink()
        recorded = run_module(project, "pipeline.tracking", ".")
        assert recorded.stdout.startswith("MLflow: relu 8, sgd 0.1, seed 0"), recorded.stderr
        assert recorded.returncode == 0
    [run] = runs(client(project))
    assert run.info.status == "FINISHED"


def test_what_cannot_be_recorded_is_told_in_one_line_and_by_the_exit_status(project: Path) -> None:
    shutil.copytree(project, "outputs/first", ignore=shutil.ignore_patterns("outputs", "data", "mlflow.db"))
    Path("outputs/first/params.yaml").write_text(yaml.safe_dump(asdict(configuration())))
    nowhere = "http://me:secret@127.0.0.1:9"
    done = run_module(project, "pipeline.tracking", "outputs/first", MLFLOW_TRACKING_URI=nowhere)
    assert done.returncode == 1
    assert done.stdout == ""
    [told] = done.stderr.splitlines()
    assert told.startswith("warning: not recorded in MLflow: http://127.0.0.1:9: ")
    assert told.endswith("`python -m pipeline.tracking outputs/first` records what was missed.")
