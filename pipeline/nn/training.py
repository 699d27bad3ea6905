"""The training loop: a step for each mini-batch, measurements and checkpoints in between."""

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pipeline.data.dataset import Part
from pipeline.nn.averaging import MovingAverage
from pipeline.nn.batches import Augment, mini_batches
from pipeline.nn.dropout import Dropout
from pipeline.nn.fast import Backpropagation
from pipeline.nn.losses import Loss
from pipeline.nn.measurement import Measurement, Measuring
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import Optimizer
from pipeline.nn.schedules import Schedule
from pipeline.nn.types import Array


@dataclass
class Snapshots:
    """Parameters as they were before training and every so often in it.

    Attributes:
        every: epochs from one snapshot to the next.
        epochs: after which epoch each was taken; 0 is before the first one.
        vectors: the parameters at that time, as `Parameters.vector` lays them out.
    """

    every: int
    epochs: list[int] = field(default_factory=list)
    vectors: list[Array] = field(default_factory=list)

    def take(self, epoch: int, mlp: MLP) -> None:
        """Keep the parameters of `mlp` as they are after `epoch`."""
        self.epochs.append(epoch)
        self.vectors.append(mlp.parameters.vector.copy())


class Diverged(ArithmeticError):
    """The loss, a gradient's square that is needed, or at the last step a parameter, became NaN or infinite.

    Attributes:
        epoch: in which epoch, from 1.
        step: at which mini-batch of that epoch, from 1.
    """

    def __init__(self, what: str, epoch: int, step: int) -> None:
        super().__init__(f"{what} in epoch {epoch}, step {step}")
        self.epoch = epoch
        self.step = step


@dataclass
class Progress:
    """How far a training has come: all that it goes on from, but for its random streams.

    Attributes:
        mlp: the network.
        optimizer: what changes its parameters.
        average: the moving average of them, if there is one.
        steps: of an epoch.
        epoch: the last one that was trained.
        measurements: all that were yielded.
        snapshots: where those are kept, if they are.
    """

    mlp: MLP
    optimizer: Optimizer
    average: MovingAverage | None
    steps: int
    snapshots: Snapshots | None
    epoch: int = 0
    measurements: list[Measurement] = field(default_factory=list)

    def arrays(self) -> dict[str, Array]:
        """Return by name what the steps change, as it is: not a copy."""
        arrays = {"parameters": self.mlp.parameters.vector, **self.optimizer.state}
        if self.average:
            arrays["average"] = self.average.mlp.parameters.vector
        return arrays

    def restore(self, epoch: int, measurements: list[Measurement], arrays: dict[str, Array]) -> None:
        """Go to the state after `epoch`, as `arrays` returned it then.

        Raises:
            KeyError, ValueError: if `arrays` are not of such a training; nothing is changed then.
        """
        for name, array in self.arrays().items():
            if arrays[name].shape != array.shape:
                raise ValueError(f"{name} of shape {arrays[name].shape}, not {array.shape}")
        for name, array in self.arrays().items():
            array[:] = arrays[name]
        self.epoch, self.measurements = epoch, measurements
        self.optimizer.steps = epoch * self.steps
        if self.average:
            self.average.steps = epoch * self.steps


class Keeper(Protocol):
    """What keeps checkpoints, so that a training that was killed can go on."""

    def restore(self, progress: Progress) -> None:
        """Set `progress`, which is at its beginning, to the latest checkpoint, if there is one."""

    def due(self) -> bool:
        """Return whether it is time for a checkpoint."""
        ...

    def save(self, progress: Progress) -> None:
        """Keep a checkpoint at the end of an epoch; what it measured is in `progress`."""


def train(
    mlp: MLP,
    loss: Loss,
    optimizer: Optimizer,
    train_part: Part,
    test_part: Part,
    *,
    epochs: int,
    batch_size: int | None,
    rng: np.random.Generator,
    schedule: Schedule | None = None,
    label_smoothing: float = 0.0,
    dropout: Dropout | None = None,
    ema: float = 0.0,
    augment: Augment | None = None,
    measure_every: int = 1,
    snapshots: Snapshots | None = None,
    validation_part: Part | None = None,
    keeper: Keeper | None = None,
) -> Iterator[Measurement]:
    """Train `mlp` in place and yield a measurement for each epoch that is measured.

    An epoch is measured while the next one trains, so a measurement comes one epoch late.

    Args:
        mlp: the network, its parameters initialised.
        loss: what to minimise.
        optimizer: what changes the parameters of `mlp`.
        train_part: what to learn from.
        test_part: what is only measured; may have no rows.
        validation_part: likewise.
        epochs: passes over `train_part`.
        batch_size: images a mini-batch; the last one of an epoch takes what is left. None for all of them.
        rng: where the permutations come from.
        schedule: the learning rate of each step; None for the optimizer's own throughout.
        label_smoothing: share of each target that is spread over all classes.
        dropout: what leaves hidden units out, drawn anew for each image of a step; None for nothing.
        augment: what distorts the images before they are learned from; they are measured as they are.
        ema: decay of the moving average of the parameters; where it is not 0, that average is what is
            measured, and what `mlp` has in the end.
        measure_every: epochs from one measurement to the next; the last epoch is always measured.
        snapshots: where to keep parameters; None for nowhere.
        keeper: where to go on from, and what keeps checkpoints; None for neither.

    Raises:
        Diverged: at the step whose loss is NaN or infinite, or the square of whose gradient is, where
            `optimizer` needs it; at the last one, whose parameters are.
    """
    batch_size = batch_size or len(train_part.images)
    backpropagation = Backpropagation(mlp, loss, min(batch_size, len(train_part.images)), dropout)
    steps = math.ceil(len(train_part.images) / batch_size)
    average = MovingAverage(mlp, ema, epochs * steps) if ema else None
    progress = Progress(mlp, optimizer, average, steps, snapshots)
    if snapshots:
        snapshots.take(0, mlp)
    if keeper:
        keeper.restore(progress)
        yield from progress.measurements
    with ThreadPoolExecutor(max_workers=1) as second_thread:
        measuring = Measuring(second_thread, train_part, test_part, validation_part, progress.measurements)
        for epoch in range(progress.epoch + 1, epochs + 1):
            started = time.perf_counter()
            rates = rates_of_epoch(schedule, epoch, steps) if schedule else None
            batches = mini_batches(
                train_part, batch_size, mlp.arithmetic.dtype, rng, label_smoothing, augment
            )
            try:
                mean_loss = train_epoch(batches, backpropagation, optimizer, epoch, rates, average)
            except Diverged:
                yield from measuring.collect()
                raise
            seconds = time.perf_counter() - started
            progress.epoch = epoch
            trained = average.mlp if average else mlp
            if snapshots and (epoch % snapshots.every == 0 or epoch == epochs):
                snapshots.take(epoch, trained)
            yield from measuring.collect()
            if epoch % measure_every == 0 or epoch == epochs:
                measuring.start(trained, epoch=epoch, loss=mean_loss, seconds=seconds)
            if keeper and keeper.due():
                yield from measuring.collect()
                keeper.save(progress)
        yield from measuring.collect()
    if average:
        mlp.parameters.vector[:] = average.mlp.parameters.vector
    # The loss is checked before each step, so the last step needs its own check.
    if not np.isfinite(mlp.parameters.vector).all():
        raise Diverged("the parameters became infinite", epochs, steps)


def rates_of_epoch(schedule: Schedule, epoch: int, steps: int) -> list[float]:
    """Return the learning rate of each of the `steps` of `epoch` (from 1): the schedule's at its middle."""
    rates: list[float] = schedule(epoch - 1 + (np.arange(steps) + 0.5) / steps).tolist()
    return rates


@np.errstate(over="ignore", invalid="ignore")  # `Diverged` says it, once
def train_epoch(
    batches: Iterator[tuple[Array, Array]],
    backpropagation: Backpropagation,
    optimizer: Optimizer,
    epoch: int,
    rates: Sequence[float] | None = None,
    average: MovingAverage | None = None,
) -> float:
    """Make one step for each mini-batch and return the mean loss over the epoch's images.

    Args:
        batches: the mini-batches, images and labels.
        backpropagation: what computes the gradient.
        optimizer: what makes a step along it.
        epoch: from 1, for the message of `Diverged`.
        rates: the learning rate of each step; None for the optimizer's own.
        average: what averages the parameters, if anything does.
    """
    total, images = 0.0, 0
    for step, (x, y) in enumerate(batches, start=1):
        if rates:
            optimizer.learning_rate = rates[step - 1]
        loss = backpropagation(x, y, optimizer.scale)
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss}", epoch, step)
        try:
            optimizer.step(backpropagation.gradient)
        except FloatingPointError:
            raise Diverged("the square of a gradient became infinite", epoch, step) from None
        if average:
            average.update()
        total += loss * len(x)
        images += len(x)
    return total / images
