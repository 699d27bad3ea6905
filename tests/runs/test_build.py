"""What a configuration becomes: random streams that do not move one another, and parts of the data."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.data.dataset import load_dataset
from pipeline.nn.fast import predict
from pipeline.runs.build import Streams
from pipeline.runs.history import read_history
from pipeline.runs.models import load_model
from tests.commands import UNDER_DVC, run_module


def test_no_random_stream_moves_another() -> None:
    """So that turning dropout on, say, leaves the order of the mini-batches as it was."""
    drawn = []
    for skipped in range(5):
        streams = Streams(seed=5).all
        for number, stream in enumerate(streams):
            if number != skipped:
                stream.random(3)
        drawn.append(streams[skipped].random())
    assert drawn == [stream.random() for stream in Streams(seed=5).all]
    assert len({*drawn, *(stream.random() for stream in Streams(seed=6).all)}) == 10


def set_split(workspace: Path, **counts: int) -> None:
    """Change `split` in the `params.yaml` of `workspace` and split the data anew."""
    path = workspace / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["split"] |= counts
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    assert run_module(workspace, "pipeline.preprocess").returncode == 0


def test_all_images_may_be_trained_on_and_the_official_ones_reported(workspace: Path) -> None:
    set_split(workspace, train=300, test=0)
    for stage in (["pipeline.train", *UNDER_DVC], ["pipeline.evaluate"], ["pipeline.plot"]):
        done = run_module(workspace, *stage)
        assert done.returncode == 0, done.stderr
    metrics = json.loads((workspace / "reports/metrics.json").read_text(encoding="utf-8"))
    assert metrics.keys() == {"train", "official"}
    assert len((workspace / "reports/predictions.csv").read_text().splitlines()) == 1 + 60


def test_validation_images_are_measured_and_not_learned_from(workspace: Path) -> None:
    """They are the last of the training images: without them, training is as on so many fewer images."""
    set_split(workspace, validation=50)
    for stage in (["pipeline.train", *UNDER_DVC], ["pipeline.evaluate"], ["pipeline.plot"]):
        done = run_module(workspace, *stage)
        assert done.returncode == 0, done.stderr
    last = read_history(workspace / "reports/history.csv")[-1]
    metrics = json.loads((workspace / "reports/metrics.json").read_text(encoding="utf-8"))
    assert metrics["validation"]["accuracy"] == last["validation_accuracy"]
    images = load_dataset(workspace / "data/processed").train
    outputs = predict(load_model(workspace / "models/model.npz"), images.inputs[155:])
    right = outputs.argmax(axis=1) == images.targets[155:].argmax(axis=1)
    assert metrics["validation"]["accuracy"] == pytest.approx(right.mean(), abs=1e-6)

    with_validation = load_model(workspace / "models/model.npz").parameters.vector
    set_split(workspace, train=155, validation=0)
    assert run_module(workspace, "pipeline.train", *UNDER_DVC).returncode == 0
    without = load_model(workspace / "models/model.npz").parameters.vector
    np.testing.assert_array_equal(without, with_validation)
