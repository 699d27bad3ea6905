"""What training measured, as a CSV file with a row for each epoch that was measured."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from pipeline.nn.metrics import OF_TASK
from pipeline.support.files import reading, replacing

Row = dict[str, float]
"""Values by column: epoch, loss, train_accuracy, dead_1, dead_2, …, and validation_accuracy and test_accuracy
where there are such parts. Of a regression _rmse, _mae and _r2 stand in place of _accuracy."""

FOLLOWED = ("train", "validation", "test")  # the parts that are measured after each epoch


def write_history(rows: Sequence[Row], path: Path) -> None:
    """Write `rows`, at least one, to `path`; what was not measured on a test part is left empty.

    There are columns of a validation part only where that was measured.
    """
    metrics = [column.removeprefix("train_") for column in rows[0] if column.startswith("train_")]
    measured = [f"{part}_{metric}" for metric in metrics for part in FOLLOWED]
    measured = [column for column in measured if column in rows[0] or not column.startswith("validation_")]
    dead = [column for column in rows[0] if column.startswith("dead_")]
    columns = ["epoch", "loss", *measured, *dead]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_history(path: Path) -> list[Row]:
    """Read what `write_history` wrote to `path`, without what was not measured.

    Raises:
        UserError: if the file is missing or damaged.
    """
    with reading(path, "train"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                {column: float(value) for column, value in row.items() if value}
                for row in csv.DictReader(file, strict=True)
            ]
        columns = rows[0].keys() if rows else set()
        alike = all(row.keys() == columns and all(map(math.isfinite, row.values())) for row in rows)
        if not (alike and {"epoch", "loss"} <= columns and main_metric(rows[0])):
            raise ValueError("every row should have the same columns and finite numbers")
    return rows


def main_metric(row: Row) -> str:
    """Return the first metric of the task: `accuracy` of a classification, `rmse` of a regression.

    Raises:
        ValueError: if `row` has neither.
    """
    for first, *_ in OF_TASK.values():
        if f"train_{first}" in row:
            return first
    raise ValueError("there is no column train_accuracy or train_rmse")


def kept_row(rows: Sequence[Row], patience: int | None) -> Row:
    """Return the row of the epoch whose parameters the model has.

    It is the last one or, where `training.patience` is set, the best, and of equal ones the first.
    """
    return min(rows, key=lambda row: objective(row)[1]) if patience else rows[-1]


def objective(row: Row) -> tuple[str, float]:
    """Return what runs are chosen by, and its value after the epoch of `row`: the smaller, the better.

    It is the error or, of a regression, the RMSE on the validation part, else on the test part, else on the
    training part: `validation_error`, `test_rmse`, ….
    """
    metric = main_metric(row)
    part = next(part for part in ("validation", "test", "train") if f"{part}_{metric}" in row)
    value = row[f"{part}_{metric}"]
    return (f"{part}_error", 1 - value) if metric == "accuracy" else (f"{part}_{metric}", value)
