"""Small networks, and data that they learn to classify."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.data.dataset import Part
from pipeline.nn.activations import CANONICAL
from pipeline.nn.initialisers import initialise
from pipeline.nn.losses import LOSSES, Loss
from pipeline.nn.measurement import Measurement
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.training import train
from pipeline.nn.types import Array


def blobs(count: int, seed: int = 0) -> Part:
    """Return `count` points in 6 dimensions around 3 centres, which a small network separates."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, size=count)
    centres = np.random.default_rng(99).normal(scale=3, size=(3, 6))
    images = (centres[labels] + rng.normal(size=(count, 6))).astype(np.float32)
    return Part(images, np.eye(3, dtype=np.uint8)[labels])


def network(activation: str = "relu", output: str = "softmax", arithmetic: str = "float32") -> MLP:
    """Return a network for `blobs`."""
    mlp = MLP((6, 10, 3), activation=activation, output=output, bias=True, arithmetic=arithmetic)
    initialise(mlp, np.random.default_rng(1), "he")
    return mlp


def random_network(
    activation: str, output: str, hidden: list[int], *, bias: bool = True, arithmetic: str = "float64"
) -> MLP:
    """Return a network of 4 inputs and 3 outputs with random weights and biases."""
    rng = np.random.default_rng(1)
    mlp = MLP((4, *hidden, 3), activation=activation, output=output, bias=bias, arithmetic=arithmetic)
    initialise(mlp, rng, "he")
    for biases in mlp.biases:
        biases[:] = rng.normal(scale=0.3, size=biases.shape)
    return mlp


def random_batch(rows: int, mlp: MLP, seed: int = 2) -> tuple[Array, Array]:
    """Return inputs and one-hot targets for a `random_network`, in its dtype."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rows, 4)), np.eye(3)[rng.integers(0, 3, size=rows)]
    return x.astype(mlp.arithmetic.dtype), y.astype(mlp.arithmetic.dtype)


def in_both_places(activation: str, loss: str) -> tuple[str, str]:
    """Return a hidden and an output activation: `activation` itself, wherever it can be one."""
    has_loss = loss != "canonical" or activation in CANONICAL
    return "tanh" if activation == "softmax" else activation, activation if has_loss else "softmax"


def loss_of(mlp: MLP, name: str = "canonical") -> Loss:
    return LOSSES[name](mlp.functions[-1])


def start(
    mlp: MLP, *, part: Part, test: Part, epochs: int = 5, learning_rate: float = 0.1, **options: Any
) -> Iterator[Measurement]:
    optimizer = OPTIMIZERS["sgd"](mlp, learning_rate=learning_rate)
    options = {"batch_size": 8, "rng": np.random.default_rng(7), **options}
    return train(mlp, loss_of(mlp), optimizer, part, test, epochs=epochs, **options)


def run(mlp: MLP, **options: Any) -> list[Measurement]:
    return list(start(mlp, **options))
