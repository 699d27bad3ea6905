"""What a configuration becomes: random streams that do not move one another, and parts of the data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.data.dataset import load_dataset
from pipeline.data.generated import generate
from pipeline.nn.fast import predict
from pipeline.runs.build import Streams, build_network, build_training, check_training
from pipeline.runs.history import read_history
from pipeline.runs.models import load_model
from pipeline.runs.training import warn_of_failure
from pipeline.support.errors import UserError
from tests.commands import UNDER_DVC, run_module
from tests.nn.configurations import AUGMENTATIONS, configuration
from tests.own import arrays, prepare
from tests.tables import breast_cancer, diabetes, write


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": {"output": "softmax"}},
            "model.output = softmax: should be identity or null for a regression",
        ),
        (
            {"model": {"output": "sigmoid"}, "loss": {"name": "squared_error"}},
            "model.output = sigmoid: should be",
        ),
        ({"loss": {"label_smoothing": 0.1}}, "loss.label_smoothing = 0.1: should be 0 for a regression"),
    ],
    ids=str,
)
def test_what_means_nothing_to_a_regression_is_refused_in_one_line(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = {"output": None, **changes.pop("model", {})}
    loss = {"name": "canonical", "label_smoothing": 0.0, **changes.pop("loss", {})}
    with pytest.raises(UserError, match=message) as raised:
        check_training(configuration(model=model, loss=loss), write(diabetes(), tmp_path))
    assert "\n" not in str(raised.value)


def test_a_table_has_nothing_to_augment(tmp_path: Path) -> None:
    config = configuration(augmentation=AUGMENTATIONS[-1])
    with pytest.raises(UserError, match="augmentation = affine_elastic: should be none"):
        build_training(config, write(breast_cancer(), tmp_path))


def test_numbers_that_are_predicted_are_not_averaged_over_copies(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((40, 5, 5))
    dataset = prepare(tmp_path, arrays(tmp_path, rows, rows.sum(axis=(1, 2)), task="regression"))
    config = configuration(
        model={"output": None}, augmentation=AUGMENTATIONS[-1], evaluation={"copies": 4, "strength": 1.0}
    )
    with pytest.raises(UserError, match=r"evaluation\.copies = 4: should be 1 for a regression"):
        check_training(config, dataset)


def test_the_output_of_null_is_the_tasks_own(tmp_path: Path) -> None:
    config = configuration(model={"output": None})
    datasets = {
        "identity": write(diabetes(), tmp_path / "diabetes"),
        "softmax": write(breast_cancer(), tmp_path / "breast_cancer"),
        "sigmoid": generate("xor", "xor", "XOR"),  # a single column of 0 and 1
    }
    for output, dataset in datasets.items():
        assert build_network(config, dataset, np.random.default_rng(0)).output == output


def test_a_regression_that_learned_nothing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, row = write(diabetes(), tmp_path), {"epoch": 1.0, "loss": 1.0, "train_rmse": 77.0}
    warn_of_failure({**row, "train_r2": 0.4}, dataset)
    assert capsys.readouterr().err == ""
    warn_of_failure({**row, "train_r2": -0.25}, dataset)
    assert "warning: R² is -0.2500 on the training part" in capsys.readouterr().err
