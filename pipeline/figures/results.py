"""What there is to draw of one training, and what is written above its figures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.data.dataset import Dataset, Part
from pipeline.figures.style import legible
from pipeline.nn.metrics import WORDS, Metrics, formatted
from pipeline.nn.types import Array
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
from pipeline.runs.history import Row
from pipeline.runs.trained import TrainedRun
from pipeline.support.errors import warn

SHOWN_NAMES = 10


@dataclass(frozen=True)
class Results:
    """What there is to draw of a network.

    Attributes:
        trained: its training; its dataset's classes have names that the figures' font can write.
        history: what was measured in training.
        snapshots: epoch and parameters of each snapshot; none where training took none.
        metrics: on each part of the data.
        predictions: what the network makes of each row of the reported part.
    """

    trained: TrainedRun
    history: list[Row]
    snapshots: list[tuple[int, Array]]
    metrics: dict[str, Metrics]
    predictions: Predictions | PredictedNumbers

    @property
    def dataset(self) -> Dataset:
        """The data."""
        return self.trained.dataset

    @property
    def title(self) -> str:
        """What stands above the figures: how well the network does on examples that it has not seen."""
        return headline(self.dataset, self.trained.epochs, self.metrics[reported_part(self.dataset)])

    @property
    def reported(self) -> tuple[Part, str]:
        """The part whose rows are reported one by one, and how they are called: `10,000 test images`."""
        part = parts_with_rows(self.dataset)[reported_part(self.dataset)]
        return part, reported_examples(self.dataset)

    def images(self, part: Part, rows: np.ndarray) -> np.ndarray:
        """Return the images of `part` in these rows: (n, height, width) or, of colour images, (…, 3)."""
        assert self.dataset.image_shape
        return part.inputs[rows].reshape(-1, *self.dataset.image_shape)


def read_results(trained: TrainedRun) -> Results:
    """Read from the run's folder what training and evaluation have written there.

    Raises:
        UserError: if a file is missing, damaged, or not of these data or this network.
    """
    run, dataset = trained.run, trained.dataset
    read = read_predicted_numbers if dataset.task == "regression" else read_predictions
    return Results(
        trained=replace(trained, dataset=replace(dataset, classes=legible_names(dataset))),
        history=trained.history(),
        snapshots=trained.snapshots(),
        metrics=read_metrics(run.metrics, dataset),
        predictions=read(run.predictions, dataset),
    )


def legible_names(dataset: Dataset) -> list[str]:
    """Return the classes' names, but `#3` for the fourth if the figures' font cannot write its name.

    One line warns of all such names.
    """
    names = list(dataset.classes)
    unknown = [i for i, name in enumerate(names) if legible(name) != name]
    if unknown:
        listed = ", ".join(f"#{i} for {names[i]}" for i in unknown[:SHOWN_NAMES])
        more = ", …" if len(unknown) > SHOWN_NAMES else ""
        warn(f"warning: the figures' font cannot write all classes' names: they have {listed}{more}")
    return [f"#{i}" if i in unknown else name for i, name in enumerate(names)]


def headline(dataset: Dataset, epochs: int, metrics: Metrics) -> str:
    """Return what stands above the figures: the `metrics` of the reported part, after how many `epochs`."""
    part = PART_WORDS[reported_part(dataset)]
    after = f"after {epochs:,} epoch{'s' if epochs > 1 else ''}"
    if dataset.task == "regression":
        told = ", ".join(f"{WORDS[metric]} {formatted(metric, metrics[metric])}" for metric in ("rmse", "r2"))
        return f"{dataset.title}: {part} {told} {after}"
    return f"{dataset.title}: {part} accuracy {percent(metrics['accuracy'], 2)} {after}"


def measured(dataset: Dataset, examples: str, metrics: Mapping[str, Metrics] | None = None) -> str:
    """Return what the curves of accuracy or RMSE are of.

    Args:
        dataset: the data.
        examples: what they are: images, rows or points.
        metrics: by part; where test images were followed, the accuracy on the official ones is told as well.
    """
    counts = {name: f"{len(part.inputs):,}" for name, part in parts_with_rows(dataset).items()}
    followed = [f"{counts[name]} {PART_WORDS[name]}" for name in counts if name != "official"]
    what = "RMSE" if dataset.task == "regression" else "Accuracy"
    sentence = f"{what} on {' and '.join(followed)} {examples} after each epoch"
    if not {"test", "official"} <= counts.keys() or not metrics:
        return sentence
    official = percent(metrics["official"]["accuracy"], 2)
    return f"{sentence}; of the {counts['official']} official test {examples} {official} at the end"


def percent(share: float, decimals: int) -> str:
    """Return `share`, between 0 and 1, as a percentage to be read."""
    return f"{100 * share:.{decimals}f} %"


def by_epoch(history: list[Row], column: str) -> np.ndarray:
    """Return the `column` of `history`, (epochs,); nothing where it was not measured."""
    return np.array([row[column] for row in history if column in row])
