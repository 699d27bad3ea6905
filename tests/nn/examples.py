"""A small network and data that it learns to classify."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.data.dataset import Part
from pipeline.nn.initialisers import initialise
from pipeline.nn.losses import LOSSES
from pipeline.nn.measurement import Measurement
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.training import train


def blobs(count: int, seed: int = 0) -> Part:
    """Return `count` points in 6 dimensions around 3 centres, which a small network separates."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, size=count)
    centres = np.random.default_rng(99).normal(scale=3, size=(3, 6))
    images = (centres[labels] + rng.normal(size=(count, 6))).astype(np.float32)
    return Part(images, np.eye(3, dtype=np.uint8)[labels])


def network(activation: str = "relu", output: str = "softmax", dtype: str = "float32") -> MLP:
    mlp = MLP((6, 10, 3), activation=activation, output=output, bias=True, dtype=dtype)
    initialise(mlp, np.random.default_rng(1), "he")
    return mlp


def start(
    mlp: MLP, *, part: Part, test: Part, epochs: int = 5, learning_rate: float = 0.1, **options: Any
) -> Iterator[Measurement]:
    optimizer = OPTIMIZERS["sgd"](mlp.parameters, learning_rate=learning_rate)
    options = {"batch_size": 8, "rng": np.random.default_rng(7), **options}
    return train(mlp, LOSSES["canonical"], optimizer, part, test, epochs=epochs, **options)


def run(mlp: MLP, **options: Any) -> list[Measurement]:
    return list(start(mlp, **options))
