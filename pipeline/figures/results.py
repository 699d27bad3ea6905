"""The figures of one training: which there are, what they are drawn from, and what is written above them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from pipeline.data.augmentation import distortion_for
from pipeline.data.dataset import Dataset, Part
from pipeline.figures import curves, images, mistakes
from pipeline.figures.animation import MOST_FRAMES, save_gif
from pipeline.figures.style import legible, save, style
from pipeline.figures.weights import Weights
from pipeline.nn.types import Array
from pipeline.runs.evaluation import (
    PART_NAMES,
    Predictions,
    parts_with_rows,
    read_metrics,
    read_predictions,
    reported_part,
)
from pipeline.runs.history import Row
from pipeline.runs.snapshots import evenly_spaced, first_layer, most_moved
from pipeline.runs.trained import TrainedRun
from pipeline.support.errors import warn

SOMETIMES_DRAWN = {"distortions.png", "weights.gif"}  # with augmentation; with snapshots
DIGITS_A_CLASS = 12
MISREAD = 24
UNITS = 100
MOVING_UNITS = 20
DISTORTIONS = 20
SHOWN_NAMES = 10


@dataclass(frozen=True)
class Results:
    """What there is to draw of a network that was trained on images.

    Attributes:
        trained: its training; its dataset's classes have names that the figures' font can write.
        history: what was measured in training.
        snapshots: epoch and parameters of each snapshot; none where training took none.
        accuracies: the accuracy on each part of the data.
        predictions: what the network takes each image of the reported part for.
    """

    trained: TrainedRun
    history: list[Row]
    snapshots: list[tuple[int, Array]]
    accuracies: dict[str, float]
    predictions: Predictions

    @property
    def dataset(self) -> Dataset:
        """The data."""
        return self.trained.dataset

    @property
    def title(self) -> str:
        """What stands above the figures: how well the network does on images that it has not seen."""
        return headline(self.dataset, self.history, self.accuracies)

    @property
    def reported(self) -> tuple[Part, str]:
        """The part whose images are reported one by one, and how they are called: `10,000 test`."""
        name = reported_part(self.dataset)
        part = parts_with_rows(self.dataset)[name]
        return part, f"{len(part.inputs):,} {PART_NAMES[name]}"

    @property
    def image_shape(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        assert self.dataset.image_shape
        rows, columns, *_ = self.dataset.image_shape
        return rows, columns

    def images(self, part: Part, rows: np.ndarray) -> np.ndarray:
        """Return the images of `part` in these rows: (n, height, width)."""
        return part.inputs[rows].reshape(-1, *self.image_shape)


def draw_images(trained: TrainedRun) -> list[str]:
    """Draw what a network learned that classifies images, and where it errs; return the files' names.

    Raises:
        UserError: if something to be drawn is missing or damaged; then nothing is written.
    """
    results = read_results(trained)
    folder = trained.run.figures
    with style():
        drawn = save_all(figures_of(results), folder)
        if results.snapshots:
            save_gif(folder / "weights.gif", moving_weights(results))
            drawn.append("weights.gif")
    for name in SOMETIMES_DRAWN - set(drawn):  # of an earlier run
        (folder / name).unlink(missing_ok=True)
    return drawn


def save_all(figures: Mapping[str, Figure], folder: Path) -> list[str]:
    """Write each figure to `folder` under its name; return the files' names."""
    for name, figure in figures.items():
        save(figure, folder / f"{name}.png")
    return [f"{name}.png" for name in figures]


def read_results(trained: TrainedRun) -> Results:
    """Read from the run's folder what training and evaluation have written there.

    Raises:
        UserError: if a file is missing, damaged, or not of these data or this network.
    """
    run, dataset = trained.run, trained.dataset
    return Results(
        trained=replace(trained, dataset=replace(dataset, classes=legible_names(dataset))),
        history=trained.history(),
        snapshots=trained.snapshots(),
        accuracies={
            part: metrics["accuracy"] for part, metrics in read_metrics(run.metrics, dataset).items()
        },
        predictions=read_predictions(run.predictions, dataset),
    )


def figures_of(results: Results) -> dict[str, Figure]:
    """Return every figure that does not move, by the name of its file."""
    subtitle = measured(results.dataset, "images", results.accuracies)
    figures = {
        "digits": draw_digits(results),
        **draw_curves(results.title, subtitle, results.history, "image"),
        "confusion_matrix": draw_confusion(results),
        "misread": draw_misread(results),
        "weights": draw_weights(results),
    }
    if distortions := draw_distortions(results):
        figures["distortions"] = distortions
    return figures


def draw_digits(results: Results) -> Figure:
    """Draw the first training images of each class."""
    train = results.dataset.train
    firsts = [np.flatnonzero(of_class)[:DIGITS_A_CLASS] for of_class in train.targets.T]
    rows = [results.images(train, first) for first in firsts]
    return images.digits(results.dataset.title, rows, results.dataset.classes)


def draw_curves(title: str, subtitle: str, history: list[Row], example: str) -> dict[str, Figure]:
    """Draw accuracy, loss and dead units by epoch.

    Args:
        title: the first line above the pictures.
        subtitle: the second line above the accuracy: what it was measured on.
        history: what was measured.
        example: what is learned from, in the singular: an image or a point.
    """
    epochs = by_epoch(history, "epoch")
    accuracies = {part: by_epoch(history, f"{part}_accuracy") for part in ("train", "validation", "test")}
    dead = [column for column in history[0] if column.startswith("dead_")]
    layers = {f"hidden layer {i}": by_epoch(history, column) for i, column in enumerate(dead, start=1)}
    of_loss = f"Loss: mean over the training {example}s of each epoch, while they were learned from"
    of_dead_units = f"Dead units: those whose σ′(z) is 0 for every training {example}"
    return {
        "accuracy": curves.accuracy(
            title, subtitle, {part: curve for part, curve in accuracies.items() if len(curve)}, epochs
        ),
        "loss": curves.loss(title, of_loss, by_epoch(history, "loss"), epochs),
        "dead_units": curves.dead_units(title, of_dead_units, layers, epochs),
    }


def draw_confusion(results: Results) -> Figure:
    """Draw labels against predictions."""
    _, which = results.reported
    classes = results.dataset.classes
    subtitle = f"Labels and predictions of the {which} images"
    confusion = results.predictions.confusion_matrix(len(classes))
    return mistakes.confusion_matrix(results.title, subtitle, confusion, classes)


def draw_misread(results: Results) -> Figure:
    """Draw the misread images of which the network was surest."""
    part, which = results.reported
    classes, predictions = results.dataset.classes, results.predictions
    wrong = misread_rows(predictions)
    surest = wrong[:MISREAD]
    subtitle = f"{len(wrong):,} of {which} images misread"
    if len(wrong):
        subtitle += "; here the surest: label → prediction, probability, index"
    pairs = [(classes[predictions.labels[i]], classes[predictions.classes[i]]) for i in surest]
    notes = [f"{percent(predictions.confidence[i], 1)}, no. {i}" for i in surest]
    return mistakes.misread(results.title, subtitle, results.images(part, surest), pairs, notes)


def draw_distortions(results: Results) -> Figure | None:
    """Draw what augmentation makes of the first training image; None where there is no augmentation."""
    dataset, chosen = results.dataset, results.trained.config.augmentation
    distortion = distortion_for(chosen, dataset.image_shape)
    if not distortion:
        return None
    original = np.array(dataset.train.inputs[:1])
    distorted = distortion(original.repeat(DISTORTIONS, axis=0), np.random.default_rng(0))
    title = f"{dataset.title}, augmentation: {chosen.name}"
    return images.distortions(
        title, original.reshape(results.image_shape), distorted.reshape(-1, *results.image_shape)
    )


def draw_weights(results: Results) -> Figure:
    """Draw how far training moved the weights of the first layer.

    Without snapshots it is not known where they started, and the figure is of the weights themselves.
    """
    dataset, model = results.dataset, results.trained.model
    matrix, value = model.weights[0], "weight"
    count = len(matrix)
    units = f"the {count} units" if count <= UNITS else f"the first {UNITS} of {count} units"
    subtitle = f"Weights from the inputs to {units} of the first layer"
    if results.snapshots:
        _, start = results.snapshots[0]
        matrix, value = matrix - first_layer(model, start), "change of the weight"
        subtitle += ": how far training moved them"
    names = dataset.classes if len(model.weights) == 1 else []
    return Weights.draw(results.title, subtitle, matrix[:UNITS], results.image_shape, names, value).figure


def moving_weights(results: Results) -> Iterator[Figure]:
    """Yield the weights of the first layer's units that move most, as they were at each snapshot."""
    dataset, model = results.dataset, results.trained.model
    layers = {epoch: first_layer(model, parameters) for epoch, parameters in results.snapshots}
    first, *_, last = layers
    units = most_moved(layers[first], layers[last], MOVING_UNITS)

    def subtitle(epoch: int) -> str:
        return f"The {len(units)} units whose weights change most, after {epoch} of {last} epochs"

    title = f"{dataset.title}: the first layer learns"
    weights = Weights.draw(title, subtitle(last), layers[last][units], results.image_shape)
    for epoch in evenly_spaced(list(layers), MOST_FRAMES):
        yield weights.show(subtitle(epoch), layers[epoch][units])


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


def headline(dataset: Dataset, history: list[Row], accuracies: Mapping[str, float]) -> str:
    """Return what stands above the figures: the accuracy on the reported part, after how many epochs."""
    name = reported_part(dataset)
    epochs = int(history[-1]["epoch"])
    after = f"after {epochs:,} epoch{'s' if epochs > 1 else ''}"
    return f"{dataset.title}: {PART_NAMES[name]} accuracy {percent(accuracies[name], 2)} {after}"


def measured(dataset: Dataset, examples: str, accuracies: Mapping[str, float] | None = None) -> str:
    """Return what the accuracy curves are of.

    Args:
        dataset: the data.
        examples: what they are, images or points.
        accuracies: by part; where test images were followed, that of the official ones is told as well.
    """
    counts = {name: f"{len(part.inputs):,}" for name, part in parts_with_rows(dataset).items()}
    followed = [f"{counts[name]} {PART_NAMES[name]}" for name in counts if name != "official"]
    sentence = f"Accuracy on {' and '.join(followed)} {examples} after each epoch"
    if "test" not in counts or not accuracies:
        return sentence
    official = f"{counts['official']} official test {examples} {percent(accuracies['official'], 2)}"
    return f"{sentence}; of the {official} at the end"


def misread_rows(predictions: Predictions) -> np.ndarray:
    """Return which images were misread, the one with the most confident prediction first."""
    wrong = np.flatnonzero(predictions.classes != predictions.labels)
    return wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]


def percent(share: float, decimals: int) -> str:
    """Return `share`, between 0 and 1, as a percentage to be read."""
    return f"{100 * share:.{decimals}f} %"


def by_epoch(history: list[Row], column: str) -> np.ndarray:
    """Return the `column` of `history`, (epochs,); nothing where it was not measured."""
    return np.array([row[column] for row in history if column in row])
