"""Tables are measured as scikit-learn measures them: a regression with its targets, and two classes."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from pipeline import evaluate
from pipeline.data.dataset import Part, load_dataset
from pipeline.evaluate import scores_of_the_second_class
from pipeline.nn.fast import predict
from pipeline.nn.mlp import MLP
from pipeline.runs.evaluation import read_predicted_numbers
from pipeline.runs.history import read_history
from pipeline.runs.models import load_model
from pipeline.runs.run import Run
from pipeline.support.errors import UserError
from tests.tables import Table, breast_cancer, diabetes, linnerud, prepare, write

RUN = Run()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def metrics() -> dict[str, dict[str, float]]:
    return json.loads(RUN.metrics.read_text(encoding="utf-8"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def columns(table: Sequence[dict[str, str]], prefix: str) -> np.ndarray:
    names = [name for name in table[0] if name.startswith(prefix)]
    return np.array([[float(row[name]) for name in names] for row in table])


@pytest.mark.parametrize("table", [diabetes(), linnerud()], ids=lambda table: table.title)
def test_a_regression_is_measured_in_its_targets_own_units(
    table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(table)
    part = table.targets[int(0.7 * len(table.inputs)) :]
    written = rows(RUN.predictions)
    assert list(written[0]) == [
        "index",
        *(f"{which}_{name}" for name in table.names for which in ("true", "predicted")),
    ]
    true, predicted = columns(written, "true_"), columns(written, "predicted_")
    assert true.tolist() == part.tolist()  # not 150.99998
    measured = metrics()
    assert list(measured) == ["train", "test"]
    expected = {
        "rmse": root_mean_squared_error(part, predicted),
        "mae": mean_absolute_error(part, predicted),
        "r2": r2_score(part, predicted),
    }
    assert measured["test"] == pytest.approx(expected, rel=1e-4)
    last = read_history(RUN.history)[-1]
    for part_name, values in measured.items():
        assert {name: last[f"{part_name}_{name}"] for name in values} == values

    of_targets = rows(RUN.classes)
    assert [row["target"] for row in of_targets] == table.names
    rmse = root_mean_squared_error(part, predicted, multioutput="raw_values")
    assert [float(row["rmse"]) for row in of_targets] == pytest.approx(rmse, rel=1e-4)
    r2 = r2_score(part, predicted, multioutput="raw_values")
    assert [float(row["r2"]) for row in of_targets] == pytest.approx(r2, abs=1e-3)
    assert {int(row["rows"]) for row in of_targets} == {len(part)}
    assert f"{table.title}: RMSE " in capsys.readouterr().out

    numbers = read_predicted_numbers(RUN.predictions, load_dataset())
    assert (numbers.true.tolist(), numbers.predicted.tolist()) == (true.tolist(), predicted.tolist())


@pytest.mark.parametrize(("output", "outputs"), [(None, 2), ("softmax", 2), ("sigmoid", 1)])
def test_two_classes_are_told_apart_by_two_outputs_or_by_one(output: str | None, outputs: int) -> None:
    table = breast_cancer()
    prepare(table, output=output)
    assert load_model(RUN.model).widths[-1] == outputs
    written = rows(RUN.predictions)
    labels = [table.classes[label] for label in table.targets[int(0.7 * len(table.inputs)) :]]
    assert [row["label"] for row in written] == labels
    predictions = [row["prediction"] for row in written]
    confidence = np.array([float(row["confidence"]) for row in written])
    second = np.where(np.array(predictions) == table.classes[1], confidence, 1 - confidence)
    measured = metrics()["test"]
    assert measured["accuracy"] == pytest.approx(accuracy_score(labels, predictions), abs=1e-6)
    assert measured["accuracy"] == read_history(RUN.history)[-1]["test_accuracy"]
    area = roc_auc_score([label == table.classes[1] for label in labels], second)
    assert measured["roc_auc"] == pytest.approx(area, abs=1e-3) and area > 0.97
    assert list(rows(RUN.classes)[0]) == ["class", "rows", "precision", "recall", "f1"]


@pytest.mark.parametrize(("output", "outputs"), [("sigmoid", 1), ("softmax", 2)])
def test_rows_are_ranked_even_where_their_probabilities_are_rounded_to_1(output: str, outputs: int) -> None:
    mlp = MLP((1, outputs), activation="relu", output=output, bias=False, arithmetic="float32")
    mlp.weights[0][-1] = 1
    inputs = np.linspace(-50, 50, 101, dtype=np.float32)[:, None]
    scores = scores_of_the_second_class(mlp, Part(inputs, np.zeros((101, outputs), np.uint8)))
    assert len(set(predict(mlp, inputs)[:, -1])) < 80
    assert (np.diff(scores) > 0).all()


def test_a_part_of_one_class_alone_has_no_roc_auc() -> None:
    table = breast_cancer()
    order = np.argsort(table.targets, kind="stable")  # the last 30 % are of the second class
    prepare(Table(table.title, table.inputs[order], table.targets[order], [], table.classes))
    assert {part: "roc_auc" in values for part, values in metrics().items()} == {"train": True, "test": False}


def test_a_model_of_other_targets_is_refused_in_one_line() -> None:
    prepare(linnerud())
    write(diabetes())
    with pytest.raises(UserError, match="takes 3 values and predicts 3 numbers, but the rows have 10 and 1"):
        evaluate.main(RUN)


def test_predictions_of_other_targets_are_refused_in_one_line() -> None:
    prepare(linnerud())
    text = RUN.predictions.read_text(encoding="utf-8")
    RUN.predictions.write_text(text.replace("true_Waist", "true_Height"), encoding="utf-8")
    with pytest.raises(UserError, match=r"reports/predictions.csv is not .* \(there is no 'true_Waist'"):
        read_predicted_numbers(RUN.predictions, load_dataset())
