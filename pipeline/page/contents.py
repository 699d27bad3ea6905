"""What of a run the page shows, as plain values for JSON."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.config.schema import GeneratedDataset, flatten
from pipeline.data.dataset import Dataset, Part
from pipeline.nn.metrics import formatted
from pipeline.page.encoding import base64, floats
from pipeline.page.over_training import describe_architecture, describe_first_layer, describe_problems
from pipeline.runs.evaluation import (
    PART_WORDS,
    PredictedNumbers,
    Predictions,
    parts_with_rows,
    read_metrics,
    read_predicted_numbers,
    read_predictions,
    reported_examples,
    reported_part,
)
from pipeline.runs.history import FOLLOWED, Row, main_metric
from pipeline.runs.models import read_made_from
from pipeline.runs.snapshots import evenly_spaced
from pipeline.runs.trained import TrainedRun
from pipeline.support.files import sha256

MOST_IMAGES = 1000
CONFIDENCE_DECIMALS = 4
MOST_POINTS = 2000  # of a target
MOST_TARGETS = 6
GREY = 2  # axes of an image; colour images, which have three, are not drawn


@dataclass(frozen=True)
class Contents:
    """What the page shows of a run.

    Attributes:
        title: of the page.
        sentence: what the run is, and how well it does.
        data: everything else, as `contents.js` reads it.
    """

    title: str
    sentence: str
    data: dict[str, Any]


def read_contents(trained: TrainedRun) -> Contents:
    """Read from the run's folder what the page shows.

    Raises:
        UserError: if a file is missing or damaged.
    """
    dataset, config, history = trained.dataset, trained.config, trained.history()
    made_from = read_made_from(trained.run.model) or {}
    data: dict[str, Any] = {
        "classes": dataset.classes,
        "imageShape": dataset.image_shape,
        "network": describe_network(trained),
        "training": {"loss": config.loss.name, "smoothing": config.loss.label_smoothing},
        "history": curves(history),
        "configuration": [[key, str(value)] for key, value in flatten(made_from).items() if key != "dataset"],
        "hashes": hashes(trained, made_from),
        "problems": describe_problems(trained),
    }
    if isinstance(config.dataset, GeneratedDataset):
        right = history[-1]["train_accuracy"]
        points = f"{round(right * len(dataset.train.inputs))} of {len(dataset.train.inputs):,} points"
        return Contents(dataset.title, sentence(trained, f"gets {points} right", "points"), data)

    name = reported_part(dataset)
    part = parts_with_rows(dataset)[name]
    examples = reported_examples(dataset)
    if dataset.task == "regression":
        numbers = read_predicted_numbers(trained.run.predictions, dataset)
        metrics = read_metrics(trained.run.metrics, dataset)[name]
        some = f"{MOST_POINTS:,} of the {examples}" if len(part.inputs) > MOST_POINTS else f"The {examples}"
        data["numbers"] = {"part": some, "targets": describe_numbers(numbers, dataset)}
        rmse, r2 = (formatted(metric, metrics[metric]) for metric in ("rmse", "r2"))
        does = f"predicts {examples} with an RMSE of {rmse}, R² {r2}"
        title = f"{dataset.title}: {PART_WORDS[name]} RMSE {rmse}"
        return Contents(title, sentence(trained, does, f"{dataset.example}s"), data)

    predictions = read_predictions(trained.run.predictions, dataset)
    share = f"{100 * read_metrics(trained.run.metrics, dataset)[name]['accuracy']:.2f} %"
    data["confusion"] = {
        "part": examples,
        "example": dataset.example,
        "counts": predictions.confusion_matrix(len(dataset.classes)).tolist(),
    }
    if dataset.image_shape and len(dataset.image_shape) == GREY:
        data["firstLayer"] = describe_first_layer(trained)
        data["images"] = sprite(part, predictions, len(dataset.classes))
    title = f"{dataset.title}: {PART_WORDS[name]} accuracy {share}"
    does = f"{'reads' if dataset.image_shape else 'classifies'} {share} of {examples} right"
    return Contents(title, sentence(trained, does, f"{dataset.example}s"), data)


def describe_numbers(numbers: PredictedNumbers, dataset: Dataset) -> list[dict[str, Any]]:
    """Return name, true and predicted numbers of each target that is shown, of `MOST_POINTS` rows at most."""
    rows = evenly_spaced(range(len(numbers.true)), MOST_POINTS)
    return [
        {
            "name": target.name,
            "true": numbers.true[rows, i].tolist(),
            "predicted": numbers.predicted[rows, i].tolist(),
        }
        for i, target in enumerate(dataset.targets[:MOST_TARGETS])
    ]


def sentence(trained: TrainedRun, does: str, examples: str) -> str:
    """Say in a sentence what the run is: network, on what `examples` it was trained, and what it `does`."""
    model, train = trained.model, trained.dataset.train
    widths = "–".join(map(str, model.widths))
    biases = "with biases" if model.bias else "without biases"
    epochs = trained.epochs
    return (
        f"A network {widths} ({model.activation}, output {model.output}, {biases}), trained for {epochs:,}"
        f" epoch{'s' if epochs > 1 else ''} on {len(train.inputs):,} {examples}, {does}."
    )


def describe_network(trained: TrainedRun) -> dict[str, Any]:
    """Return architecture and parameters, which are rounded to float32."""
    model = trained.model
    return {**describe_architecture(model), "parameters": floats(model.parameters.vector)}


def curves(history: list[Row]) -> dict[str, Any]:
    """Return epochs, loss, and the `accuracy`, or the `rmse`, on each part that was followed."""
    metric = main_metric(history[0])
    followed = [part for part in FOLLOWED if f"{part}_{metric}" in history[0]]
    return {
        "epoch": [int(row["epoch"]) for row in history],
        "loss": [row["loss"] for row in history],
        metric: {part: [row[f"{part}_{metric}"] for row in history] for part in followed},
    }


def hashes(trained: TrainedRun, made_from: dict[str, Any]) -> list[list[str]]:
    """Return name and SHA-256 of what identifies the run.

    The commit is not among them: other commits make the same run, and the page is a function of the run.
    """
    data = made_from.get("dataset")
    return [
        [trained.run.model.name, sha256(trained.run.model)],
        *([["dataset", data]] if isinstance(data, str) else []),
    ]


def sprite(part: Part, predictions: Predictions, classes: int) -> dict[str, Any]:
    """Return the images that the page holds, the surest first, with what is known of each.

    Each cell of the confusion matrix has as many as fit, `MOST_IMAGES` in all.
    """
    rows = chosen_images(predictions, classes)
    pixels = np.rint(255 * part.inputs[rows]).clip(0, 255).astype(np.uint8)
    return {
        "pixels": base64(pixels),
        "index": rows.tolist(),
        "label": predictions.labels[rows].tolist(),
        "prediction": predictions.classes[rows].tolist(),
        "confidence": predictions.confidence[rows].round(CONFIDENCE_DECIMALS).tolist(),
    }


def chosen_images(predictions: Predictions, classes: int) -> np.ndarray:
    """Return the rows of the surest images of each pair of label and prediction, `MOST_IMAGES` at most.

    Every pair has the same number, or all of its images where there are fewer.
    """
    pairs = classes * predictions.labels + predictions.classes
    surest = np.argsort(-predictions.confidence, kind="stable")
    by_pair = surest[np.argsort(pairs[surest], kind="stable")]
    ends = np.cumsum(np.bincount(pairs))
    place = np.arange(len(pairs)) - np.concatenate([[0], ends])[pairs[by_pair]]  # within its pair
    number = np.bincount(place).cumsum()  # of images, with one, two, three … of each pair
    most = int(np.searchsorted(number, MOST_IMAGES, side="right"))
    kept = np.zeros(len(pairs), dtype=bool)
    kept[by_pair[place < max(most, 1)][:MOST_IMAGES]] = True
    return surest[kept[surest]]
