"""Predictions averaged over distorted copies of each image.

I. Sato, H. Nishimura, K. Yokoi, "APAC: Augmented PAttern Classification with Neural Networks"
(arXiv:1505.03229, 2015): a network that was trained on distorted images is asked about distorted images, and
the logarithms of its answers are averaged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np

from pipeline.data.augmentation import AUGMENTATIONS, Augmentation, NoAugmentation, distortion_for
from pipeline.nn.exact import exact_sum
from pipeline.nn.types import Array
from pipeline.runs.models import TrainedModel, classify
from pipeline.support.elementary import exp, log
from pipeline.support.errors import UserError

Shape: TypeAlias = tuple[int, ...] | None
BLOCK_IMAGES = 1000  # whose copies are made and predicted at a time
LEAST = 1e-30  # that a probability counts for: the logarithm of 0 would overrule all other copies
STREAM = 5  # of the random numbers that one seed gives; training has those before it


@dataclass(frozen=True)
class Copies:
    """Over which distorted copies of an image its prediction is averaged.

    Attributes:
        count: how many; 1 for the image as it is.
        augmentation: how they are distorted.
        seed: where the random numbers start.
    """

    count: int
    augmentation: Augmentation
    seed: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Return those that `config` asks for, nested: by `augmentation`, `evaluation` and `seed` in it."""
        augmentation = AUGMENTATIONS[config["augmentation"]["name"]](**config["augmentation"])
        evaluation = config["evaluation"]
        return cls(evaluation["copies"], augmentation.times(evaluation["strength"]), config["seed"])


NO_COPIES = Copies(1, NoAugmentation(), 0)


def check_copies(count: int, task: str) -> None:
    """Raise `UserError` if the predictions of a `task` cannot be averaged over `count` copies."""
    if count > 1 and task != "classification":
        raise UserError(f"evaluation.copies = {count}: should be 1 for a {task}, which is not averaged")


def log_probabilities(model: TrainedModel, images: Array, copies: Copies, shape: Shape) -> Array:
    """Return the logarithm of the probability of each class, as the mean over distorted copies of each image.

    Every image is distorted in the same ways, so what is predicted of it does not depend on the others.

    Args:
        model: the network.
        images: (n, d), float32; they may be memory-mapped.
        copies: of each image.
        shape: rows and columns of an image; None where the inputs are no images.

    Returns:
        (n, k), float64; for a single copy, of the images as they are.
    """
    means = []
    for start in range(0, len(images), BLOCK_IMAGES):
        total: Array | float = 0.0
        for copy in _distorted(images[start : start + BLOCK_IMAGES], copies, shape):
            _, probabilities = classify(model, copy)
            total = total + log(np.maximum(probabilities, LEAST))
        means.append(total / copies.count)
    return np.concatenate(means)


def as_probabilities(logarithms: Array) -> Array:
    """Return the probabilities whose mean `logarithms`, (n, k), are known, scaled to sum to 1: (n, k)."""
    weights = exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return weights / exact_sum(weights, axis=1)[:, None]


def _distorted(images: Array, copies: Copies, shape: Shape) -> Iterator[Array]:
    """Yield `images`, (n, d), distorted in as many ways as `copies` says."""
    if copies.count == 1:
        yield images
        return
    distortion = distortion_for(copies.augmentation, shape)
    assert distortion  # the schema refuses copies without augmentation
    for number in range(copies.count):
        sequence = np.random.SeedSequence(copies.seed, spawn_key=(STREAM, number))
        yield distortion.alike(images, np.random.Generator(np.random.PCG64(sequence)))
