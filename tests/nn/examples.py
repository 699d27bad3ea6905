"""Small networks, and data that they learn to classify."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.nn.activations import CANONICAL
from pipeline.nn.batches import MiniBatches
from pipeline.nn.callbacks import Measuring
from pipeline.nn.initialisers import He
from pipeline.nn.losses import Canonical
from pipeline.nn.measurement import Measurement
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import SGD
from pipeline.nn.training import Callback, Trainer
from pipeline.nn.types import Array, Part


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
    He().initialise(mlp, np.random.default_rng(1))
    return mlp


def random_network(
    activation: str,
    output: str,
    hidden: list[int],
    *,
    bias: bool = True,
    arithmetic: str = "float64",
    inputs: int = 4,
) -> MLP:
    """Return a network of 3 outputs with random weights and biases."""
    rng = np.random.default_rng(1)
    mlp = MLP((inputs, *hidden, 3), activation=activation, output=output, bias=bias, arithmetic=arithmetic)
    He().initialise(mlp, rng)
    for biases in mlp.biases:
        biases[:] = rng.normal(scale=0.3, size=biases.shape)
    return mlp


def random_batch(rows: int, mlp: MLP, seed: int = 2) -> tuple[Array, Array]:
    """Return inputs and one-hot targets for a `random_network`, in its dtype."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rows, mlp.widths[0])), np.eye(3)[rng.integers(0, 3, size=rows)]
    return x.astype(mlp.arithmetic.dtype), y.astype(mlp.arithmetic.dtype)


def in_both_places(activation: str, loss: str) -> tuple[str, str]:
    """Return a hidden and an output activation: `activation` itself, wherever it can be one."""
    has_loss = loss != "canonical" or activation in CANONICAL
    return "tanh" if activation == "softmax" else activation, activation if has_loss else "softmax"


class Measured(Callback):
    """Keeps what is measured, and by how many epochs training was ahead then."""

    def __init__(self) -> None:
        self.measurements: list[Measurement] = []
        self.late: list[int] = []

    def on_start(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def on_measured(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)
        self.late.append(self.trainer.epoch - measurement.epoch)


def trainer_of(mlp: MLP, learning_rate: float = 0.1, **options: Any) -> Trainer:
    return Trainer(mlp, Canonical(), SGD(learning_rate=learning_rate), **options)


def batches_of(part: Part, mlp: MLP, batch_size: int | None = 8, **options: Any) -> MiniBatches:
    return MiniBatches(part, batch_size, np.random.default_rng(7), dtype=mlp.arithmetic.dtype, **options)


def run(
    mlp: MLP,
    *,
    part: Part,
    test: Part,
    epochs: int = 5,
    batch_size: int | None = 8,
    measure_every: int = 1,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> list[Measurement]:
    """Train `mlp` and return what was measured; `options` are the trainer's."""
    measured = Measured()
    measuring = Measuring({"train": part, "test": test}, measure_every)
    trainer_of(mlp, **options).fit(
        batches_of(part, mlp, batch_size), epochs, [measuring, measured, *callbacks]
    )
    return measured.measurements
