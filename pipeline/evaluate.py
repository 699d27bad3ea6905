"""Stage 4: how often the trained network is right, part by part and class by class, and on which images.

Under DVC it measures `models/model.npz`. `python -m pipeline.evaluate FOLDER` measures the network of another
run, into that run's folder.
"""

from pipeline.support.program import program

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.dataset import Dataset, Part
from pipeline.nn.measurement import accuracy
from pipeline.runs.evaluation import (
    DECIMALS,
    Predictions,
    parts_with_images,
    reported_part,
    write_metrics,
    write_predictions,
)
from pipeline.runs.models import TrainedModel, classify
from pipeline.runs.run import Run
from pipeline.runs.trained import TrainedRun, chosen_run, files_of
from pipeline.support.files import replacing
from pipeline.tracking import MirrorProcess


def main(run: Run) -> None:
    """Put the network of `run` to the test on its data; write three files to the run's `reports/`."""
    trained = TrainedRun.open(run)
    dataset, model = trained.dataset, trained.model
    with MirrorProcess(run, trained.config, "evaluate"):
        accuracies = measure_parts(model, dataset)
        reported = predict(model, parts_with_images(dataset)[reported_part(dataset)])

        write_metrics(run.metrics, accuracies)
        write_classes(run.classes, measure_classes(reported, dataset.classes))
        write_predictions(run.predictions, reported, dataset.classes)
        told = ", ".join(f"{share:.2%} ({name})" for name, share in accuracies.items())
        print(f"{dataset.title}: accuracy {told}", flush=True)


def measure_parts(model: TrainedModel, dataset: Dataset) -> dict[str, float]:
    """Return the accuracy on each part of `dataset` that has images."""
    return {name: accuracy(model, part) for name, part in parts_with_images(dataset).items()}


def predict(model: TrainedModel, part: Part) -> Predictions:
    """Return what the network takes each image of `part` for, and how sure it is of it."""
    labels = part.targets.argmax(axis=1) if part.targets.shape[1] > 1 else part.targets[:, 0]
    classes, probabilities = classify(model, part.inputs)
    return Predictions(labels, classes, probabilities[np.arange(len(classes)), classes])


def measure_classes(predictions: Predictions, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return number of images, precision, recall and F1 of each of `classes`, a row a class.

    Precision is the share of the images taken for a class that are of it. Recall is the share of its images
    that are taken for it. F1 is their harmonic mean. Each is 0 where there is nothing to take a share of, as
    in scikit-learn, whose import would take longer than the stage.
    """
    confusion = predictions.confusion_matrix(len(classes))
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


def write_classes(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what `measure_classes` returned to `path` as CSV."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    chosen = chosen_run(__doc__)
    with program(stage="evaluate" if chosen.is_dvcs() else None), files_of(chosen):
        main(chosen)
