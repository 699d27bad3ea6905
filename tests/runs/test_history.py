"""The columns of the history, and what runs are chosen by."""

from pathlib import Path

import pytest

from pipeline.runs.history import Row, objective, read_history, write_history


def regression(**test: float) -> Row:
    row = {"epoch": 1, "loss": 0.5, "train_rmse": 50.0, "train_mae": 40.0, "train_r2": 0.25, "dead_1": 0.0}
    return {**row, **{f"test_{metric}": value for metric, value in test.items()}}


@pytest.mark.parametrize(
    ("row", "columns", "values"),
    [
        (
            {"epoch": 1, "loss": 0.5, "train_accuracy": 0.75, "dead_1": 0.0},
            "epoch,loss,train_accuracy,test_accuracy,dead_1",
            "1,0.5,0.75,,0.0",
        ),
        (
            {
                "epoch": 1,
                "loss": 0.5,
                "train_accuracy": 0.75,
                "test_accuracy": 0.5,
                "validation_accuracy": 0.25,
            },
            "epoch,loss,train_accuracy,validation_accuracy,test_accuracy",
            "1,0.5,0.75,0.25,0.5",
        ),
        (
            regression(rmse=60.0, mae=45.0, r2=-0.5),
            "epoch,loss,train_rmse,test_rmse,train_mae,test_mae,train_r2,test_r2,dead_1",
            "1,0.5,50.0,60.0,40.0,45.0,0.25,-0.5,0.0",
        ),
    ],
    ids=["no test part", "a validation part", "a regression"],
)
def test_each_task_has_its_columns(row: Row, columns: str, values: str, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    write_history([row], path)
    assert path.read_text(encoding="utf-8").splitlines() == [columns, values]
    assert read_history(path) == [row]


@pytest.mark.parametrize(
    ("row", "name", "value"),
    [
        (
            {"train_accuracy": 0.5, "test_accuracy": 0.25, "validation_accuracy": 0.75},
            "validation_error",
            0.25,
        ),
        ({"train_accuracy": 0.5, "test_accuracy": 0.25}, "test_error", 0.75),
        ({"train_accuracy": 0.5}, "train_error", 0.5),
        (regression(rmse=60.0), "test_rmse", 60.0),
        (regression() | {"validation_rmse": 55.0}, "validation_rmse", 55.0),
        (regression(), "train_rmse", 50.0),
    ],
)
def test_runs_are_chosen_by_error_or_rmse_on_the_part_that_is_there_for_it(
    row: Row, name: str, value: float
) -> None:
    assert objective(row) == (name, value)
