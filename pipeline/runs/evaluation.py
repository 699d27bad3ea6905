"""What evaluation writes to a run's folder and plotting reads from it: accuracies and predictions."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.dataset import PROCESSED, Dataset, Part
from pipeline.support.files import reading, replacing, write_text

DECIMALS = 6
PART_NAMES = {"train": "training", "validation": "validation", "test": "test", "official": "official test"}


@dataclass(frozen=True)
class Predictions:
    """What the network makes of the images of one part.

    Attributes:
        labels: (n,) the true classes, as positions in the dataset's list of classes.
        classes: (n,) the predicted ones.
        confidence: (n,) the predicted classes' probabilities.
    """

    labels: np.ndarray
    classes: np.ndarray
    confidence: np.ndarray

    def confusion_matrix(self, k: int) -> np.ndarray:
        """Return how many images of each class (row) were taken for each of `k` classes (column): (k, k)."""
        pairs = k * self.labels + self.classes
        return np.bincount(pairs, minlength=k * k).reshape(k, k)


def parts_with_images(dataset: Dataset) -> dict[str, Part]:
    """Return the parts of `dataset` by name, without those that are empty."""
    parts = {
        "train": dataset.train,
        "validation": dataset.validation,
        "test": dataset.test,
        "official": dataset.official,
    }
    return {name: part for name, part in parts.items() if part and len(part.inputs)}


def reported_part(dataset: Dataset) -> str:
    """Return which part is reported image by image.

    It is test, or official where `split.test` is 0, or train where there is nothing else, as of generated
    problems.
    """
    parts = parts_with_images(dataset)
    return next(name for name in ("test", "official", "train") if name in parts)


def write_metrics(path: Path, accuracies: Mapping[str, float]) -> None:
    """Write the accuracy of each part to `path` as JSON that `dvc metrics` reads."""
    metrics = {part: {"accuracy": round(share, DECIMALS)} for part, share in accuracies.items()}
    write_text(path, json.dumps(metrics, indent=2) + "\n")


def read_accuracies(path: Path, dataset: Dataset) -> dict[str, float]:
    """Read the accuracy of each part of `dataset` from what `write_metrics` wrote to `path`.

    Raises:
        UserError: if the file is missing or damaged.
    """
    with reading(path, "evaluate"):
        metrics = json.loads(path.read_text(encoding="utf-8"))
        return {name: float(metrics[name]["accuracy"]) for name in parts_with_images(dataset)}


def write_predictions(path: Path, predictions: Predictions, classes: Sequence[str]) -> None:
    """Write a row an image to `path`, as CSV that `dvc plots` shows as a confusion matrix."""
    rows = zip(predictions.labels, predictions.classes, predictions.confidence, strict=True)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["index", "label", "prediction", "confidence"])
        for index, (label, predicted, confidence) in enumerate(rows):
            writer.writerow([index, classes[label], classes[predicted], f"{confidence:.{DECIMALS}f}"])


def read_predictions(path: Path, dataset: Dataset) -> Predictions:
    """Read what `write_predictions` wrote to `path` for the reported part of `dataset`.

    Raises:
        UserError: if the file is missing, damaged, or of other images or classes.
    """
    position = {name: i for i, name in enumerate(dataset.classes)}
    with reading(path, "evaluate"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                (position[row["label"]], position[row["prediction"]], float(row["confidence"]))
                for row in csv.DictReader(file)
            ]
        count = len(parts_with_images(dataset)[reported_part(dataset)].inputs)
        if len(rows) != count:
            raise ValueError(f"it has {len(rows)} predictions, of {count} images in {PROCESSED}")
    labels, classes, confidence = map(np.array, zip(*rows, strict=True))
    return Predictions(labels, classes, confidence)
