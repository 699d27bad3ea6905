"""Predictions averaged over distorted copies of each image, and over several networks.

I. Sato, H. Nishimura, K. Yokoi, "APAC: Augmented PAttern Classification with Neural Networks"
(arXiv:1505.03229, 2015): a network that was trained on distorted images is asked about distorted images, and
the logarithms of its answers are averaged.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from pipeline.config.schema import Config
from pipeline.data.augmentation import distortion_for
from pipeline.nn.exact import exact_sum
from pipeline.nn.types import Array
from pipeline.runs.evaluation import parts_with_rows, true_classes
from pipeline.runs.models import TrainedModel, classify
from pipeline.runs.trained import TrainedRun
from pipeline.support.elementary import exp, log
from pipeline.support.errors import UserError

Shape: TypeAlias = tuple[int, ...] | None
BLOCK_IMAGES = 1000  # whose copies are made and predicted at a time
LEAST = 1e-30  # that a probability counts for: the logarithm of 0 would overrule all other copies
STREAM = 5  # of the random numbers that one seed gives; training has those before it


def log_probabilities(model: TrainedModel, images: Array, config: Config, shape: Shape) -> Array:
    """Return the logarithm of the probability of each class, as the mean over distorted copies of each image.

    Every image is distorted in the same ways, so what is predicted of it does not depend on the others.

    Args:
        model: the network.
        images: (n, d), float32; they may be memory-mapped.
        config: what the network was trained by. `augmentation` says how images are distorted, `evaluation`
            how many copies there are and how strong the distortion is, `seed` where the random numbers start.
        shape: rows and columns of an image; None where the inputs are no images.

    Returns:
        (n, k), float64; for a single copy, of the images as they are.
    """
    means = []
    for start in range(0, len(images), BLOCK_IMAGES):
        copies = _copies(images[start : start + BLOCK_IMAGES], config, shape)
        total: Array | float = 0.0
        for copy in copies:
            _, probabilities = classify(model, copy)
            total = total + log(np.maximum(probabilities, LEAST))
        means.append(total / config.evaluation.copies)
    return np.concatenate(means)


def averaged_accuracies(committee: Sequence[TrainedRun]) -> dict[str, float]:
    """Return the accuracy on each part, but the training part, of predictions that are averaged.

    They are averaged over all networks of the `committee`, and of each over as many distorted copies as its
    configuration asks for.

    Raises:
        UserError: if the networks predict numbers, or are not all about the same data.
    """
    dataset = committee[0].dataset
    alike = all(
        (run.dataset.name, run.dataset.classes) == (dataset.name, dataset.classes) for run in committee
    )
    if dataset.task == "regression" or not alike:
        raise UserError(
            "predictions can be averaged only of networks that tell the same classes apart, and not those of"
            f" {', '.join(str(run.run.folder) for run in committee)}"
        )
    accuracies = {}
    for name, part in parts_with_rows(dataset).items():
        if name != "train":
            total = sum(
                log_probabilities(run.model, part.inputs, run.config, dataset.image_shape)
                for run in committee
            )
            accuracies[name] = float((np.argmax(total, axis=1) == true_classes(part)).mean())
    return accuracies


def as_probabilities(logarithms: Array) -> Array:
    """Return the probabilities whose mean `logarithms`, (n, k), are known, scaled to sum to 1: (n, k)."""
    weights = exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return weights / exact_sum(weights, axis=1)[:, None]


def _copies(images: Array, config: Config, shape: Shape) -> Iterator[Array]:
    """Yield `images`, (n, d), distorted in as many ways as `config` asks for."""
    if config.evaluation.copies == 1:
        yield images
        return
    distortion = distortion_for(config.augmentation.times(config.evaluation.strength), shape)
    assert distortion  # the schema refuses copies without augmentation
    for number in range(config.evaluation.copies):
        sequence = np.random.SeedSequence(config.seed, spawn_key=(STREAM, number))
        yield distortion.alike(images, np.random.Generator(np.random.PCG64(sequence)))
