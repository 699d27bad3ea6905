"""From the configuration to the objects that it describes: nothing that trains sees a configuration."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.config.schema import Config
from pipeline.data.augmentation import distortion_for
from pipeline.data.dataset import Dataset
from pipeline.nn.batches import MiniBatches
from pipeline.nn.callbacks import Measuring, Snapshots
from pipeline.nn.dropout import Dropout
from pipeline.nn.measurement import Parts
from pipeline.nn.mlp import MLP
from pipeline.nn.training import Callback, Trainer


class Streams:
    """The random streams of a training, all from one seed: turning one of them off does not move the others.

    Attributes:
        initialisation, shuffling, dropout, augmentation: what each is for.
    """

    def __init__(self, seed: int) -> None:
        children = np.random.SeedSequence(seed).spawn(4)
        streams = [np.random.Generator(np.random.PCG64(child)) for child in children]
        self.initialisation, self.shuffling, self.dropout, self.augmentation = self.all = streams


def build_network(config: Config, dataset: Dataset, rng: np.random.Generator) -> MLP:
    """Return the network, as wide as the data at both ends, with its weights drawn from `rng`."""
    model = config.model
    mlp = MLP(
        (dataset.train.images.shape[1], *model.hidden, dataset.train.labels.shape[1]),
        activation=model.activation,
        output=model.output,
        bias=model.bias,
        arithmetic=config.training.arithmetic,
    )
    model.initialiser.initialise(mlp, rng)
    return mlp


def build_trainer(config: Config, dataset: Dataset, streams: Streams) -> Trainer:
    """Return the trainer of a new network."""
    return Trainer(
        build_network(config, dataset, streams.initialisation),
        config.loss,
        config.optimizer,
        schedule=config.schedule,
        dropout=Dropout(config.model.dropout, streams.dropout) if config.model.dropout else None,
        ema=config.training.ema,
    )


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


def build_measuring(config: Config, dataset: Dataset) -> Measuring:
    """Return the callback that measures the network."""
    parts: Parts = {"train": dataset.train, "test": dataset.test}
    if dataset.validation:
        parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return Measuring(parts, config.training.measure_every)


@dataclass(frozen=True)
class Training:
    """All that a configuration describes: a trainer, what it learns from, and what it calls."""

    trainer: Trainer
    batches: MiniBatches
    epochs: int
    snapshots: Snapshots
    measuring: Measuring
    streams: Streams

    @property
    def mlp(self) -> MLP:
        """The network."""
        return self.trainer.mlp

    def fit(self, *callbacks: Callback) -> None:
        """Train to the end, with `callbacks` after those that keep snapshots and measure.

        Raises:
            Diverged: as `Trainer.fit`.
        """
        self.trainer.fit(self.batches, self.epochs, [self.snapshots, self.measuring, *callbacks])


def build_training(config: Config, dataset: Dataset) -> Training:
    """Return the training that `config` describes, on `dataset`."""
    streams = Streams(config.seed)
    trainer = build_trainer(config, dataset, streams)
    return Training(
        trainer,
        build_batches(config, dataset, trainer.mlp, streams),
        config.training.epochs,
        Snapshots(config.training.snapshots),
        build_measuring(config, dataset),
        streams,
    )
