"""What training measured, as a CSV file with a row for each epoch that was measured."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from pipeline.support.files import reading, replacing

Row = dict[str, float]
"""Values by column: epoch, loss, train_accuracy, dead_1, dead_2, …, and validation_accuracy and test_accuracy
where there are such parts."""


def write_history(rows: Sequence[Row], path: Path) -> None:
    """Write `rows`, at least one, to `path`; a `test_accuracy` that was not measured is left empty.

    There is a column `validation_accuracy` only where it was measured.
    """
    validation = [column for column in rows[0] if column == "validation_accuracy"]
    dead = [column for column in rows[0] if column.startswith("dead_")]
    columns = ["epoch", "loss", "train_accuracy", *validation, "test_accuracy", *dead]
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
        if not (alike and {"epoch", "loss", "train_accuracy"} <= columns):
            raise ValueError("every row should have the same columns and finite numbers")
    return rows


def objective(row: Row) -> tuple[str, float]:
    """Return the part of the data that is there to choose by, and the error on it after the epoch of `row`.

    It is the validation part, else the test part, else the training part.
    """
    part = next(part for part in ("validation", "test", "train") if f"{part}_accuracy" in row)
    return part, 1 - row[f"{part}_accuracy"]
