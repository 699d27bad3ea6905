"""What evaluation writes to a run's folder and plotting reads from it: metrics and predictions."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.dataset import PROCESSED, Dataset, Part, Target
from pipeline.nn.metrics import DIGITS, OF_TASK, Accuracy, Metrics, RegressionErrors, Tally, rounded
from pipeline.support.files import reading, replacing, write_text

PART_WORDS = {"train": "training", "validation": "validation", "test": "test", "official": "official test"}


@dataclass(frozen=True)
class Predictions:
    """What the network takes the examples of one part for.

    Attributes:
        labels: (n,) the true classes, as positions in the dataset's list of classes.
        classes: (n,) the predicted ones.
        confidence: (n,) the predicted classes' probabilities.
    """

    labels: np.ndarray
    classes: np.ndarray
    confidence: np.ndarray

    def confusion_matrix(self, k: int) -> np.ndarray:
        """Return how many of each class (row) were taken for each of `k` classes (column): (k, k)."""
        pairs = k * self.labels + self.classes
        return np.bincount(pairs, minlength=k * k).reshape(k, k)

    def of_the_second_class(self) -> np.ndarray:
        """Return the probability of the second of two classes: (n,)."""
        return np.where(self.classes == 1, self.confidence, 1 - self.confidence)


@dataclass(frozen=True)
class PredictedNumbers:
    """The numbers that the network predicts for the rows of one part, in the targets' own units.

    Attributes:
        true: (n, k).
        predicted: (n, k).
    """

    true: np.ndarray
    predicted: np.ndarray


def new_tally(dataset: Dataset) -> Tally:
    """Return what adds up the metrics that the task of `dataset` has, on one part of it."""
    if dataset.task == "classification":
        return Accuracy()
    return RegressionErrors([target.deviation for target in dataset.targets])


def parts_with_rows(dataset: Dataset) -> dict[str, Part]:
    """Return the parts of `dataset` by name, without those that are empty."""
    parts = {
        "train": dataset.train,
        "validation": dataset.validation,
        "test": dataset.test,
        "official": dataset.official,
    }
    return {name: part for name, part in parts.items() if part and len(part.inputs)}


def true_classes(part: Part) -> np.ndarray:
    """Return the class of each row of `part`, (n,), as its position in the dataset's list of classes."""
    return part.targets.argmax(axis=1) if part.targets.shape[1] > 1 else part.targets[:, 0]


def reported_part(dataset: Dataset) -> str:
    """Return which part is reported row by row.

    It is test, or official where `split.test` is 0, or train where there is nothing else, as of generated
    problems.
    """
    parts = parts_with_rows(dataset)
    return next(name for name in ("test", "official", "train") if name in parts)


def reported_examples(dataset: Dataset) -> str:
    """Return how many rows are reported, and what they are: `10,000 official test images`."""
    name = reported_part(dataset)
    return f"{len(parts_with_rows(dataset)[name].inputs):,} {PART_WORDS[name]} {dataset.example}s"


def write_metrics(path: Path, metrics: Mapping[str, Metrics]) -> None:
    """Write the metrics of each part to `path` as JSON that `dvc metrics` reads."""
    written = {
        part: {metric: rounded(metric, value) for metric, value in values.items()}
        for part, values in metrics.items()
    }
    write_text(path, json.dumps(written, indent=2) + "\n")


def read_metrics(path: Path, dataset: Dataset) -> dict[str, Metrics]:
    """Read the metrics of each part of `dataset` from what `write_metrics` wrote to `path`.

    Raises:
        UserError: if the file is missing or damaged.
    """
    with reading(path, "evaluate"):
        parts = json.loads(path.read_text(encoding="utf-8"))
        metrics = {
            name: {metric: float(value) for metric, value in parts[name].items()}
            for name in parts_with_rows(dataset)
        }
        if any(metric not in values for values in metrics.values() for metric in OF_TASK[dataset.task]):
            raise ValueError(f"there is no {OF_TASK[dataset.task][0]} of a part")
    return metrics


def write_predictions(path: Path, predictions: Predictions, classes: Sequence[str]) -> None:
    """Write a row an example to `path`, as CSV that `dvc plots` shows as a confusion matrix."""
    rows = zip(predictions.labels, predictions.classes, predictions.confidence, strict=True)
    write_csv(
        path,
        ["index", "label", "prediction", "confidence"],
        (
            [index, classes[label], classes[predicted], f"{confidence:.{DIGITS}f}"]
            for index, (label, predicted, confidence) in enumerate(rows)
        ),
    )


def read_predictions(path: Path, dataset: Dataset) -> Predictions:
    """Read what `write_predictions` wrote to `path` for the reported part of `dataset`.

    Raises:
        UserError: if the file is missing, damaged, or of other examples or classes.
    """
    position = {name: i for i, name in enumerate(dataset.classes)}
    with reading(path, "evaluate"):
        rows = [
            (position[row["label"]], position[row["prediction"]], float(row["confidence"]))
            for row in read_rows(path, dataset)
        ]
    labels, classes, confidence = map(np.array, zip(*rows, strict=True))
    return Predictions(labels, classes, confidence)


def write_predicted_numbers(path: Path, numbers: PredictedNumbers, targets: Sequence[Target]) -> None:
    """Write a row an example to `path`: its index, and the true and the predicted number of each target.

    They are rounded to what float32 can hold, in which the true ones are stored.
    """
    decimals = [5 - int(f"{target.deviation:e}".partition("e")[2]) for target in targets]
    rows = np.stack([numbers.true, numbers.predicted], axis=-1).tolist()
    write_csv(
        path,
        ["index", *(name for target in targets for name in number_columns(target))],
        (
            [
                index,
                *(round(number, d) for pair, d in zip(row, decimals, strict=True) for number in pair),
            ]
            for index, row in enumerate(rows)
        ),
    )


def read_predicted_numbers(path: Path, dataset: Dataset) -> PredictedNumbers:
    """Read what `write_predicted_numbers` wrote to `path` for the reported part of `dataset`.

    Raises:
        UserError: if the file is missing, damaged, or of other rows or targets.
    """
    columns = [number_columns(target) for target in dataset.targets]
    with reading(path, "evaluate"):
        rows = np.array(
            [[[float(row[name]) for name in pair] for pair in columns] for row in read_rows(path, dataset)]
        )
    return PredictedNumbers(rows[..., 0], rows[..., 1])


def number_columns(target: Target) -> tuple[str, str]:
    """Return the names of the columns of the true and the predicted numbers of `target`."""
    return f"true_{target.name}", f"predicted_{target.name}"


def read_rows(path: Path, dataset: Dataset) -> list[dict[str, str]]:
    """Return the rows of the CSV file at `path`, one for each row of the reported part of `dataset`.

    Raises:
        ValueError: if there are more or fewer.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    count = len(parts_with_rows(dataset)[reported_part(dataset)].inputs)
    if len(rows) != count:
        raise ValueError(f"it has {len(rows)} predictions, of {count} {dataset.example}s in {PROCESSED}")
    return rows


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write `rows` below the names of the `columns` to `path` as CSV."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
