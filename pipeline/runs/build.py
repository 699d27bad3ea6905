"""From the configuration to the objects that it describes. The trainer never sees a configuration.

Loss, optimizer and schedule are parts of a configuration, and objects already.
"""

import math
import os
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from pipeline.config.schema import Config
from pipeline.data.augmentation import check_images, distortion_for
from pipeline.data.dataset import Dataset
from pipeline.nn.adversary import Adversary
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.batches import MiniBatches
from pipeline.nn.callbacks import Measuring, Snapshots
from pipeline.nn.dropout import Dropout
from pipeline.nn.measurement import Parts
from pipeline.nn.mlp import MLP
from pipeline.nn.training import Callback, Trainer
from pipeline.runs.callbacks import Patience
from pipeline.runs.copies import check_copies
from pipeline.runs.evaluation import new_tally
from pipeline.support.errors import UserError, shorten

ROW_BYTES = 1000  # of what is kept of an epoch that was measured


class Streams:
    """The random streams of a training, all from one seed: turning one of them off does not move the others.

    Attributes:
        initialisation, shuffling, dropout, augmentation, adversary: what each is for.
    """

    def __init__(self, seed: int) -> None:
        children = np.random.SeedSequence(seed).spawn(5)
        streams = [np.random.Generator(np.random.PCG64(child)) for child in children]
        self.all = streams
        self.initialisation, self.shuffling, self.dropout, self.augmentation, self.adversary = streams


def build_network(config: Config, dataset: Dataset, rng: np.random.Generator) -> MLP:
    """Return the network, as wide as the data at both ends, with its weights drawn from `rng`."""
    model = config.model
    mlp = MLP(
        (dataset.train.inputs.shape[1], *model.hidden, dataset.train.targets.shape[1]),
        activation=model.activation,
        output=output_activation(config, dataset),
        bias=model.bias,
        arithmetic=config.training.arithmetic,
    )
    mlp.batch_norm = config.training.batch_norm
    model.initialiser.initialise(mlp, rng)
    return mlp


def output_activation(config: Config, dataset: Dataset) -> str:
    """Return the output layer's activation: `model.output`, or the task's own where that is null."""
    if config.model.output:
        return config.model.output
    if dataset.task == "regression":
        return "identity"
    return "sigmoid" if dataset.train.targets.shape[1] == 1 else "softmax"


def build_batches(config: Config, dataset: Dataset, mlp: MLP, streams: Streams) -> MiniBatches:
    """Return the mini-batches that `mlp` learns from."""
    distortion = distortion_for(config.augmentation, dataset.image_shape)
    return MiniBatches(
        dataset.train,
        config.training.batch_size,
        streams.shuffling,
        dtype=mlp.arithmetic.dtype,
        label_smoothing=config.loss.label_smoothing,
        augment=partial(distortion, rng=streams.augmentation) if distortion else None,
    )


def build_trainer(config: Config, mlp: MLP, batches: MiniBatches, streams: Streams) -> Trainer:
    """Return what trains `mlp` on `batches`."""
    epsilon = config.training.virtual_adversarial
    return Trainer(
        mlp,
        config.loss,
        config.optimizer,
        schedule=config.schedule,
        dropout=Dropout(config.model.dropout, streams.dropout) if config.model.dropout else None,
        ema=config.training.ema,
        adversary=Adversary(mlp, epsilon, batches.rows, streams.adversary) if epsilon else None,
    )


def build_measuring(config: Config, dataset: Dataset) -> Measuring:
    """Return the callback that measures the network."""
    parts: Parts = {"train": dataset.train, "test": dataset.test}
    if dataset.validation:
        parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return Measuring(parts, config.training.measure_every, partial(new_tally, dataset))


@dataclass(frozen=True)
class BuiltTraining:
    """All that a configuration describes: a trainer, what it learns from, and what it calls."""

    trainer: Trainer
    batches: MiniBatches
    epochs: int
    snapshots: Snapshots
    measuring: Measuring
    streams: Streams
    patience: Patience | None = None

    @property
    def mlp(self) -> MLP:
        """The network."""
        return self.trainer.mlp

    def fit(self, *callbacks: Callback, until: int | None = None) -> None:
        """Train to the end, or to that of epoch `until`, with `callbacks` after those of its own.

        Raises:
            Diverged: as `Trainer.fit`.
        """
        own = [self.snapshots, self.measuring, *filter(None, [self.patience])]
        self.trainer.fit(self.batches, self.epochs, [*own, *callbacks], until)
        if self.patience and self.trainer.finished:
            self.mlp.parameters.vector[:] = self.patience.vector


def build_training(config: Config, dataset: Dataset) -> BuiltTraining:
    """Return the training that `config` describes, on `dataset`.

    A single sigmoid output tells two classes apart.
    """
    two_classes = dataset.task == "classification" and len(dataset.classes) == 2
    if two_classes and output_activation(config, dataset) == "sigmoid":
        dataset = dataset.with_one_column()
    streams = Streams(config.seed)
    mlp = build_network(config, dataset, streams.initialisation)
    batches = build_batches(config, dataset, mlp, streams)
    measuring, patience = build_measuring(config, dataset), config.training.patience
    return BuiltTraining(
        build_trainer(config, mlp, batches, streams),
        batches,
        config.training.epochs,
        Snapshots(config.training.snapshots),
        measuring,
        streams,
        Patience(patience, measuring) if patience else None,
    )


def check_training(config: Config, dataset: Dataset) -> None:
    """Raise `UserError` if the network or training that `config` describes is impossible on `dataset`."""
    images, outputs = len(dataset.train.inputs), dataset.train.targets.shape[1]
    if (config.training.batch_size or 1) > images:
        raise UserError(
            f"training.batch_size = {config.training.batch_size}: should be at most the number of training"
            f" {dataset.example}s, {images}, or null for all of them at once"
        )
    check_images(config.augmentation, dataset.image_shape)
    check_copies(config.evaluation.copies, dataset.task)
    output = output_activation(config, dataset)
    if dataset.task == "regression":
        if output != "identity":
            raise UserError(
                f"model.output = {output}: should be identity or null for a regression, whose numbers are"
                " standardised: half of them are below 0"
            )
        if config.loss.label_smoothing:
            raise UserError(
                f"loss.label_smoothing = {config.loss.label_smoothing:g}: should be 0 for a regression, which"
                " has no classes to spread it over"
            )
    elif output == "softmax" and outputs == 1:
        raise UserError(
            f"model.output = softmax: of a single output, as {dataset.name} has it, it always makes 1;"
            " sigmoid is what tells two classes apart"
        )
    if config.training.patience and not dataset.validation:
        raise UserError(
            f"training.patience = {config.training.patience}: there is no validation part that says when to"
            " stop: split.validation=10000 holds images back, null trains all epochs"
        )
    check_memory(config, dataset)


def check_memory(config: Config, dataset: Dataset) -> None:
    """Raise `UserError` if training on `dataset` needs more memory than the machine has, at the least."""
    images, inputs = dataset.train.inputs.shape
    widths = [inputs, *config.model.hidden, dataset.train.targets.shape[1]]
    size = np.dtype(ARITHMETICS[config.training.arithmetic].dtype).itemsize
    parameters = sum((before + config.model.bias) * after for before, after in pairwise(widths))
    needed = {
        f"model.hidden = {config.model.hidden}": parameters * size * 2,  # and a gradient for each
        f"training.batch_size = {config.training.batch_size}": (
            (config.training.batch_size or images) * sum(widths[1:]) * size
        ),
        f"training.measure_every = {config.training.measure_every}": (
            config.training.epochs // config.training.measure_every * ROW_BYTES
        ),
    }
    if config.training.snapshots:  # at the end each is in memory twice: as taken, and as float16 to be saved
        count = 1 + math.ceil(config.training.epochs / config.training.snapshots)
        needed[f"training.snapshots = {config.training.snapshots}"] = count * parameters * (size + 2)
    total, most = sum(needed.values()), memory()
    if total > most:
        largest = max(needed, key=lambda key: needed[key])
        cause = next((key for key in needed if needed[key] > most), largest)
        raise UserError(
            f"{shorten(cause, 200)}: training would take at least {total / 1e9:,.0f} GB of memory, and this"
            f" machine has {most / 1e9:,.0f} GB"
        )


def memory() -> float:
    """Return how many bytes of memory the machine has; infinity where Python cannot tell, as on Windows."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf
