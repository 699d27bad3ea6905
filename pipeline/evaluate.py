"""Stage 4: how often the trained network is right, part by part and class by class, and on which images."""

from pipeline.support.program import program

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.reading import read_params
from pipeline.data.dataset import PROCESSED, Dataset, Part, load_dataset
from pipeline.nn.fast import predict as outputs_of
from pipeline.nn.fast import probabilities
from pipeline.nn.measurement import accuracy
from pipeline.nn.mlp import MLP
from pipeline.runs.models import MODEL, load_model, misfit
from pipeline.runs.training_data import trained_config
from pipeline.support.errors import UserError
from pipeline.support.files import reading, replacing, write_text
from pipeline.tracking import Tracker

METRICS = Path("reports/metrics.json")
CLASSES = Path("reports/classes.csv")
PREDICTIONS = Path("reports/predictions.csv")
DECIMALS = 6


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


def main() -> None:
    """Put `models/model.npz` to the test on `data/processed`; write three files to `reports/`."""
    dataset = load_dataset()
    config = trained_config(read_params(), dataset)
    with Tracker(config) as tracker:
        dataset = dataset.hold_out(config.split.validation)
        model = load_model(MODEL)
        check_fit(model, dataset)

        accuracies = measure_parts(model, dataset)
        reported = predict(model, parts_with_images(dataset)[reported_part(dataset)])

        write_metrics(METRICS, accuracies)
        write_classes(CLASSES, measure_classes(reported, dataset.classes))
        write_predictions(PREDICTIONS, reported, dataset.classes)
        tracker.evaluation()
        told = ", ".join(f"{share:.2%} ({name})" for name, share in accuracies.items())
        print(f"{dataset.title}: accuracy {told}", flush=True)


def check_fit(model: MLP, dataset: Dataset) -> None:
    """Raise a `UserError` where the network's input or output has another width than the data."""
    if reason := misfit(model, dataset.image_shape, dataset.classes):
        raise UserError(f"{MODEL} {reason} in {PROCESSED}: `dvc repro train` trains a network that fits")


def parts_with_images(dataset: Dataset) -> dict[str, Part]:
    """Return the parts of `dataset` by name, without those that `split` leaves empty."""
    parts = {
        "train": dataset.train,
        "validation": dataset.validation,
        "test": dataset.test,
        "official": dataset.official,
    }
    return {name: part for name, part in parts.items() if part and len(part.images)}


def reported_part(dataset: Dataset) -> str:
    """Return which part is reported image by image: test, or official where `split.test` is 0."""
    return "test" if "test" in parts_with_images(dataset) else "official"


def measure_parts(model: MLP, dataset: Dataset) -> dict[str, float]:
    """Return the accuracy on each part of `dataset` that has images."""
    shares = {name: accuracy(model, part) for name, part in parts_with_images(dataset).items()}
    return {name: share for name, share in shares.items() if share is not None}


def predict(model: MLP, part: Part) -> Predictions:
    """Return the class of the largest output for each image of `part`, and how sure the network is of it."""
    outputs = outputs_of(model, part.images)
    classes = outputs.argmax(axis=1)
    confidence = probabilities(model, outputs)[np.arange(len(classes)), classes]
    return Predictions(part.labels.argmax(axis=1), classes, confidence)


def confusion_matrix(predictions: Predictions, k: int) -> np.ndarray:
    """Return how many images of each class (row) were taken for each of the `k` classes (column): (k, k)."""
    pairs = k * predictions.labels + predictions.classes
    return np.bincount(pairs, minlength=k * k).reshape(k, k)


def measure_classes(predictions: Predictions, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return number of images, precision, recall and F1 of each of `classes`, a row a class.

    Precision is the share of the images taken for a class that are of it, recall the share of its images
    that are taken for it, F1 their harmonic mean; each is 0 where there is nothing to take a share of.
    """
    confusion = confusion_matrix(predictions, len(classes))
    right, taken, there = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    shares = {
        "precision": right / np.maximum(taken, 1),
        "recall": right / np.maximum(there, 1),
        "f1": 2 * right / np.maximum(taken + there, 1),
    }
    return [
        {
            "class": name,
            "images": int(there[i]),
            **{share: round(float(values[i]), DECIMALS) for share, values in shares.items()},
        }
        for i, name in enumerate(classes)
    ]


def write_metrics(path: Path, accuracies: Mapping[str, float]) -> None:
    """Write the accuracy of each part to `path` as JSON that `dvc metrics` reads."""
    metrics = {part: {"accuracy": round(share, DECIMALS)} for part, share in accuracies.items()}
    write_text(path, json.dumps(metrics, indent=2) + "\n")


def write_classes(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what `measure_classes` returned to `path` as CSV."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


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
        count = len(getattr(dataset, reported_part(dataset)).images)
        if len(rows) != count:
            raise ValueError(f"it has {len(rows)} predictions, of {count} images in {PROCESSED}")
    labels, classes, confidence = map(np.array, zip(*rows, strict=True))
    return Predictions(labels, classes, confidence)


if __name__ == "__main__":
    with program(__doc__, stage="evaluate"):
        main()
