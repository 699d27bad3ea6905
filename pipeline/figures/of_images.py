"""The figures of a network that takes images: some of them, those it misreads, and its weights as images."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from pipeline.data.augmentation import distortion_for
from pipeline.figures import images, mistakes
from pipeline.figures.animation import MOST_FRAMES
from pipeline.figures.results import Results, percent
from pipeline.figures.weights import Weights
from pipeline.runs.evaluation import Predictions
from pipeline.runs.snapshots import evenly_spaced, first_layer, most_moved

DIGITS_A_CLASS = 12
MISREAD = 24
UNITS = 100
MOVING_UNITS = 20
DISTORTIONS = 20


def draw_digits(results: Results) -> Figure:
    """Draw the first training images of each class."""
    train = results.dataset.train
    firsts = [np.flatnonzero(of_class)[:DIGITS_A_CLASS] for of_class in train.targets.T]
    rows = [results.images(train, first) for first in firsts]
    return images.digits(results.dataset.title, rows, results.dataset.classes)


def draw_misread(results: Results) -> Figure:
    """Draw the misread images of which the network was surest."""
    part, which = results.reported
    classes, predictions = results.dataset.classes, results.predictions
    assert isinstance(predictions, Predictions)
    wrong = misread_rows(predictions)
    surest = wrong[:MISREAD]
    subtitle = f"{len(wrong):,} of {which} misread"
    if len(wrong):
        subtitle += "; here the surest: label → prediction, probability, index"
    pairs = [(classes[predictions.labels[i]], classes[predictions.classes[i]]) for i in surest]
    notes = [f"{percent(predictions.confidence[i], 1)}, no. {i}" for i in surest]
    return mistakes.misread(results.title, subtitle, results.images(part, surest), pairs, notes)


def draw_distortions(results: Results) -> Figure | None:
    """Draw what augmentation makes of the first training image; None where there is no augmentation."""
    dataset, chosen = results.dataset, results.trained.config.augmentation
    distortion = distortion_for(chosen, dataset.image_shape)
    if not distortion or not dataset.image_shape:
        return None
    original = np.array(dataset.train.inputs[:1])
    distorted = distortion(original.repeat(DISTORTIONS, axis=0), np.random.default_rng(0))
    title = f"{dataset.title}, augmentation: {chosen.name}"
    return images.distortions(
        title, original.reshape(dataset.image_shape), distorted.reshape(-1, *dataset.image_shape)
    )


def draw_weights(results: Results) -> Figure:
    """Draw how far training moved the weights of the first layer.

    Without snapshots it is not known where they started, and the figure is of the weights themselves.
    """
    dataset, model = results.dataset, results.trained.model
    assert dataset.image_shape
    matrix, value = model.weights[0], "weight"
    count = len(matrix)
    units = f"the {count} units" if count <= UNITS else f"the first {UNITS} of {count} units"
    subtitle = f"Weights from the inputs to {units} of the first layer"
    if results.snapshots:
        _, start = results.snapshots[0]
        matrix, value = matrix - first_layer(model, start), "change of the weight"
        subtitle += ": how far training moved them"
    names = dataset.classes[-count:] if len(model.weights) == 1 else []
    return Weights.draw(results.title, subtitle, matrix[:UNITS], dataset.image_shape, names, value).figure


def moving_weights(results: Results) -> Iterator[Figure]:
    """Yield the weights of the first layer's units that move most, as they were at each snapshot."""
    dataset, model = results.dataset, results.trained.model
    assert dataset.image_shape
    layers = {epoch: first_layer(model, parameters) for epoch, parameters in results.snapshots}
    first, *_, last = layers
    units = most_moved(layers[first], layers[last], MOVING_UNITS)

    def subtitle(epoch: int) -> str:
        return f"The {len(units)} units whose weights change most, after {epoch} of {last} epochs"

    title = f"{dataset.title}: the first layer learns"
    weights = Weights.draw(title, subtitle(last), layers[last][units], dataset.image_shape)
    for epoch in evenly_spaced(list(layers), MOST_FRAMES):
        yield weights.show(subtitle(epoch), layers[epoch][units])


def misread_rows(predictions: Predictions) -> np.ndarray:
    """Return which images were misread, the one with the most confident prediction first."""
    wrong = np.flatnonzero(predictions.classes != predictions.labels)
    return wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]
