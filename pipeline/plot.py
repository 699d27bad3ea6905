"""Stage 5: the figures that show what the network learned and where it errs."""

from pipeline.support.program import program

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pipeline.config.reading import read_params
from pipeline.config.schema import Augmentation
from pipeline.data.augmentation import augmentation
from pipeline.data.dataset import Dataset, Part, load_dataset
from pipeline.evaluate import (
    METRICS,
    PREDICTIONS,
    Predictions,
    check_fit,
    confusion_matrix,
    parts_with_images,
    read_predictions,
    reported_part,
)
from pipeline.nn.exact import exact_sum
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array
from pipeline.runs.history import Row, read_history
from pipeline.runs.models import MODEL, SNAPSHOTS, load_model, load_snapshots
from pipeline.runs.training_data import trained_config
from pipeline.support.errors import UserError, tell
from pipeline.support.files import reading, refuse_links, remove_leftovers, replacing, warn_of_others
from pipeline.tracking import Tracker

FIGURES = Path("reports/figures")
ALWAYS_DRAWN = (
    "digits.png",
    "accuracy.png",
    "loss.png",
    "dead_units.png",
    "confusion_matrix.png",
    "misread.png",
    "weights.png",
)
SOMETIMES_DRAWN = ("distortions.png", "weights.gif")  # with augmentation; with snapshots
DIGITS_A_CLASS = 12
MISREAD = 24
UNITS = 100
MOVING_UNITS = 20
DISTORTIONS = 20
SHOWN_NAMES = 10


def main() -> None:
    """Draw the model, the data it was trained on and what was measured into `reports/figures/`."""
    refuse_links(FIGURES, "remove the link, and the stage makes the folder")
    remove_leftovers(FIGURES)
    dataset = load_dataset()
    config = trained_config(read_params(), dataset)
    with Tracker(config) as tracker:
        dataset = dataset.hold_out(config.split.validation)
        model = load_model(MODEL)
        check_fit(model, dataset)
        history = read_history()
        accuracies = read_accuracies(METRICS, dataset)
        predictions = read_predictions(PREDICTIONS, dataset)
        snapshots = load_snapshots(SNAPSHOTS)
        if any(vector.size != model.parameters.vector.size for _, vector in snapshots):
            raise UserError(
                f"{SNAPSHOTS} is of another network than {MODEL}: `dvc repro -f train` makes both"
            )

        dataset = replace(dataset, classes=legible_names(dataset))
        title = headline(dataset, history, accuracies)
        for name in SOMETIMES_DRAWN:  # or one from an earlier run could stay
            (FIGURES / name).unlink(missing_ok=True)
        draw_all(FIGURES, title, dataset, history, accuracies, predictions, config.augmentation)
        draw_weights(FIGURES, title, dataset, model, snapshots)
        if snapshots:
            animate_weights(FIGURES, dataset, model, snapshots)
        warn_of_others(FIGURES, [*ALWAYS_DRAWN, *SOMETIMES_DRAWN])
        tracker.figures()


def draw_all(
    folder: Path,
    title: str,
    dataset: Dataset,
    history: list[Row],
    accuracies: dict[str, float],
    predictions: Predictions,
    augmenting: Augmentation,
) -> None:
    """Write the figures to `folder`, but for the weights': those of the training and of augmented images."""
    from pipeline.figures import (
        network as figures,  # only now: it takes a second, in which the tracker is already under way
    )

    classes, name = dataset.classes, reported_part(dataset)
    part: Part = getattr(dataset, name)
    which = "test" if name == "test" else "official test"
    count = f"{len(part.images):,}"
    epochs = by_epoch(history, "epoch")

    def images(part: Part, rows: np.ndarray) -> np.ndarray:
        return part.images[rows].reshape(-1, *dataset.image_shape)

    with figures.style():
        firsts = [np.flatnonzero(of_class)[:DIGITS_A_CLASS] for of_class in dataset.train.labels.T]
        digits = figures.digits(dataset.title, [images(dataset.train, rows) for rows in firsts], classes)

        curves = {part: by_epoch(history, f"{part}_accuracy") for part in ("train", "validation", "test")}
        measured = {part: curve for part, curve in curves.items() if len(curve)}
        accuracy = figures.accuracy(title, what_was_measured(dataset, accuracies), measured, epochs)

        subtitle = "Loss: mean over the training images of each epoch, while they were learned from"
        loss = figures.loss(title, subtitle, by_epoch(history, "loss"), epochs)

        dead = [column for column in history[0] if column.startswith("dead_")]
        layers = {f"hidden layer {i}": by_epoch(history, column) for i, column in enumerate(dead, start=1)}
        dead_units = figures.dead_units(title, layers, epochs)

        confusion = confusion_matrix(predictions, len(classes))
        subtitle = f"Labels and predictions of the {count} {which} images"
        matrix = figures.confusion_matrix(title, subtitle, confusion, classes)

        wrong = misread_rows(predictions)
        surest = wrong[:MISREAD]
        subtitle = f"{len(wrong):,} of {count} {which} images misread"
        if len(wrong):
            subtitle += "; here the surest: label → prediction, probability, index"
        misread = figures.misread(
            title,
            subtitle,
            images(part, surest),
            [(classes[predictions.labels[i]], classes[predictions.classes[i]]) for i in surest],
            [f"{percent(predictions.confidence[i], 1)}, no. {i}" for i in surest],
        )

        drawn = {
            "digits": digits,
            "accuracy": accuracy,
            "loss": loss,
            "dead_units": dead_units,
            "confusion_matrix": matrix,
            "misread": misread,
        }
        distortion = augmentation(image_shape=dataset.image_shape, **asdict(augmenting))
        if distortion:
            original = np.array(dataset.train.images[:1])
            distorted = distortion(original.repeat(DISTORTIONS, axis=0), np.random.default_rng(0))
            drawn["distortions"] = figures.distortions(
                f"{dataset.title}, augmentation: {augmenting.name}",
                original.reshape(dataset.image_shape),
                distorted.reshape(-1, *dataset.image_shape),
            )
        for file, figure in drawn.items():
            figures.save(figure, folder / f"{file}.png")


def draw_weights(
    folder: Path, title: str, dataset: Dataset, model: MLP, snapshots: list[tuple[int, Array]]
) -> None:
    """Write a figure of the first layer to `folder`: how far training moved its weights.

    Without snapshots it is not known where they started, and the figure is of the weights themselves.
    """
    from pipeline.figures import network as figures

    matrix, value = model.weights[0], "weight"
    count = len(matrix)
    units = f"the {count} units" if count <= UNITS else f"the first {UNITS} of {count} units"
    subtitle = f"Weights from the inputs to {units} of the first layer"
    if snapshots:
        _, start = snapshots[0]
        matrix, value = matrix - first_layer(model, start), "change of the weight"
        subtitle += ": how far training moved them"
    names = dataset.classes if len(model.weights) == 1 else []
    with figures.style():
        weights = figures.Weights.draw(title, subtitle, matrix[:UNITS], dataset.image_shape, names, value)
        figures.save(weights.figure, folder / "weights.png")


def animate_weights(folder: Path, dataset: Dataset, model: MLP, snapshots: list[tuple[int, Array]]) -> None:
    """Write an animation of the first layer's weights over training to `folder`."""
    from pipeline.figures import network as figures
    from pipeline.figures.animation import save_gif, some

    layers = {epoch: first_layer(model, parameters) for epoch, parameters in snapshots}
    first, *_, last = layers
    change = layers[last].astype(np.float64) - layers[first]
    moved = exact_sum(change * change, axis=1)  # so that every machine draws the same units
    units = np.argsort(-moved, kind="stable")[:MOVING_UNITS]

    def subtitle(epoch: int) -> str:
        return f"The {len(units)} units whose weights change most, after {epoch} of {last} epochs"

    with figures.style():
        weights = figures.Weights.draw(
            f"{dataset.title}: the first layer learns",
            subtitle(last),
            layers[last][units],
            dataset.image_shape,
            [],
        )
        frames = (weights.show(subtitle(epoch), layers[epoch][units]) for epoch in some(list(layers)))
        with replacing(folder / "weights.gif") as path:
            save_gif(path, frames)


def first_layer(model: MLP, parameters: Array) -> Array:
    """Return the first layer's weights, (units, inputs), in the `parameters` of a network like `model`."""
    shape = model.weights[0].shape
    return parameters[: math.prod(shape)].reshape(shape)


def legible_names(dataset: Dataset) -> list[str]:
    """Return the classes' names, but of each that the figures' font cannot draw the index, as in `#3`.

    The user is told of those, in one line.
    """
    from pipeline.figures import network as figures

    names = list(dataset.classes)
    unknown = [i for i, name in enumerate(names) if figures.legible(name) != name]
    if unknown:
        listed = ", ".join(f"#{i} for {names[i]}" for i in unknown[:SHOWN_NAMES])
        more = ", …" if len(unknown) > SHOWN_NAMES else ""
        tell(f"warning: the figures' font cannot write all classes' names: they have {listed}{more}")
    return [f"#{i}" if i in unknown else name for i, name in enumerate(names)]


def headline(dataset: Dataset, history: list[Row], accuracies: dict[str, float]) -> str:
    """Return what stands above the figures of what was learned: how well it does on unseen images."""
    name = reported_part(dataset)
    which = "test" if name == "test" else "official test"
    epochs = int(history[-1]["epoch"])
    after = f"after {epochs} epoch{'s' if epochs > 1 else ''}"
    return f"{dataset.title}: {which} accuracy {percent(accuracies[name], 2)} {after}"


def what_was_measured(dataset: Dataset, accuracies: dict[str, float]) -> str:
    """Say what the accuracy curves are of, and the accuracy on the official test images."""
    counts = {name: f"{len(part.images):,}" for name, part in parts_with_images(dataset).items()}
    followed = [f"{counts['train']} training"]
    followed += [f"{counts[name]} {name}" for name in ("validation", "test") if name in counts]
    sentence = f"Accuracy on {' and '.join(followed)} images after each epoch"
    if "test" not in counts:
        return sentence
    official = f"{counts['official']} official test images {percent(accuracies['official'], 2)}"
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


def read_accuracies(path: Path, dataset: Dataset) -> dict[str, float]:
    """Read the accuracy of each part of `dataset` from what the evaluate stage wrote to `path`.

    Raises:
        UserError: if the file is missing or damaged.
    """
    with reading(path, "evaluate"):
        metrics = json.loads(path.read_text(encoding="utf-8"))
        return {name: float(metrics[name]["accuracy"]) for name in parts_with_images(dataset)}


if __name__ == "__main__":
    with program(__doc__, stage="plot"):
        main()
