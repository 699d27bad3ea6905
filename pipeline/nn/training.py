"""The trainer: a step for each mini-batch, an epoch after another, and callbacks in between."""

import math
import time
from collections.abc import Sequence

import numpy as np

from pipeline.nn.adversary import Adversary
from pipeline.nn.averaging import MovingAverage
from pipeline.nn.batches import MiniBatches
from pipeline.nn.dropout import Dropout
from pipeline.nn.fast import Backpropagation
from pipeline.nn.folding import folded
from pipeline.nn.losses import Loss
from pipeline.nn.measurement import Measurement
from pipeline.nn.metrics import WORDS
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import Descent, Optimizer
from pipeline.nn.schedules import Constant, Schedule
from pipeline.nn.types import Array


class Callback:
    """What a trainer calls while it trains.

    A hook that is not overridden does nothing. Each hook is called on all callbacks, in their order.
    """

    def on_start(self, trainer: "Trainer") -> None:
        """Called before the first epoch."""

    def on_epoch_end(self, trainer: "Trainer") -> None:
        """Called after each epoch, which is `trainer.epoch`."""

    def on_measured(self, measurement: Measurement) -> None:
        """Called when an epoch has been measured, which may be while the next one has begun."""

    def on_end(self, trainer: "Trainer") -> None:
        """Called after the last epoch, and where an error or Ctrl-C ends training."""


class Diverged(ArithmeticError):
    """Training became NaN or infinite: a loss, a squared gradient, the final parameters, or a metric.

    Attributes:
        epoch: in which epoch, from 1.
        step: at which mini-batch of that epoch, from 1.
    """

    def __init__(self, what: str, epoch: int, step: int) -> None:
        super().__init__(f"{what} in epoch {epoch}, step {step}")
        self.epoch = epoch
        self.step = step


class Trainer:
    """Trains a network.

    Args:
        mlp: the network, its parameters initialised; it is changed in place.
        loss: what to minimise.
        optimizer: how to step down the gradient.
        schedule: how the learning rate changes.
        dropout: dropout of hidden units, drawn anew for each image and step; None for none.
        ema: decay of the moving average of the parameters. Where it is not 0, that average is what is
            measured, and what `mlp` has in the end.
        adversary: what adds to each mini-batch a copy with moved inputs; None for nothing.

    Attributes:
        epoch: how many epochs have been trained.
        epochs: how many `fit` trains.
        seconds: how long the latest epoch took.
        mean_loss: over the latest epoch's examples, each with the parameters of its mini-batch; an
            adversary's moved copies are examples too.
        callbacks: those of `fit`.
        stopped: whether a callback has called `stop`.
    """

    def __init__(
        self,
        mlp: MLP,
        loss: Loss,
        optimizer: Optimizer,
        *,
        schedule: Schedule | None = None,
        dropout: Dropout | None = None,
        ema: float = 0.0,
        adversary: Adversary | None = None,
    ) -> None:
        self.mlp = mlp
        self.loss = loss
        self.descent = Descent(mlp, optimizer)
        self.schedule = schedule or Constant()
        self.dropout = dropout
        self.ema = ema
        self.adversary = adversary
        self.average: MovingAverage | None = None
        self._folded: MLP | None = None  # what is measured, until the parameters change
        self.epoch = 0
        self.callbacks: Sequence[Callback] = ()
        self.stopped = False

    def fit(
        self,
        batches: MiniBatches,
        epochs: int,
        callbacks: Sequence[Callback] = (),
        until: int | None = None,
    ) -> None:
        """Train up to the end of epoch `epochs`, or only of epoch `until`. An epoch is a pass over `batches`.

        The trainer counts its epochs from its making on, so the same call a second time trains no further. A
        training that ends at `until` is not finished. Its schedule and average are those of all `epochs`,
        so it can go on from a checkpoint, and ends with the bits of an uninterrupted training.

        Raises:
            Diverged: as soon as training becomes NaN or infinite.
        """
        self.prepare(batches, epochs, callbacks)
        for callback in callbacks:
            callback.on_start(self)
        try:
            while self.epoch < (until or epochs) and not self.stopped:
                self.train_epoch(batches)
                for callback in callbacks:
                    callback.on_epoch_end(self)
            if self.finished:
                self._finish()
        finally:
            for callback in callbacks:
                callback.on_end(self)

    def stop(self) -> None:
        """End training with this epoch, as if it were the last. A callback calls it."""
        self.stopped = True

    @property
    def finished(self) -> bool:
        """Whether it has trained to the last epoch, or was stopped."""
        return self.stopped or self.epoch == self.epochs

    def prepare(self, batches: MiniBatches, epochs: int, callbacks: Sequence[Callback] = ()) -> None:
        """Get ready for the first epoch."""
        self.epochs, self.callbacks = epochs, callbacks
        self._inputs = batches.part.inputs
        self.steps_an_epoch = len(batches)
        rows = 2 * batches.rows if self.adversary else batches.rows
        self._backpropagation = Backpropagation(self.mlp, self.loss, rows, self.dropout)
        if self.ema:
            self.average = MovingAverage(self.mlp, self.ema, epochs * self.steps_an_epoch)

    @np.errstate(over="ignore", invalid="ignore")  # `Diverged` says it, once
    def train_epoch(self, batches: MiniBatches) -> None:
        """Make one step for each mini-batch."""
        self._folded = None
        started, total, examples = time.perf_counter(), 0.0, 0
        base = self.descent.optimizer.learning_rate
        rates = self.schedule.rates_of_epoch(base, self.epoch, self.steps_an_epoch, self.epochs)
        for step, ((x, y), rate) in enumerate(zip(batches, rates, strict=True), start=1):
            self.descent.rate = rate
            if self.adversary:
                x, y = self.adversary(x, y)
            loss = self._backpropagation(x, y, self.descent.scale)
            if not math.isfinite(loss):
                raise Diverged(f"the loss became {loss}", self.epoch + 1, step)
            try:
                self.descent.step(self._backpropagation.gradient)
            except FloatingPointError:
                raise Diverged("the square of a gradient became infinite", self.epoch + 1, step) from None
            if self.average:
                self.average.update()
            total += loss * len(x)
            examples += len(x)
        self.epoch += 1
        self.mean_loss = total / examples
        self.seconds = time.perf_counter() - started

    def _finish(self) -> None:
        self.mlp.parameters.vector[:] = self.to_measure.parameters.vector
        self.mlp.batch_norm = False
        # The loss is checked before each step, so the last step needs its own check.
        if not np.isfinite(self.mlp.parameters.vector).all():
            raise Diverged("the parameters became infinite", self.epoch, self.steps_an_epoch)

    @property
    def to_measure(self) -> MLP:
        """The network to measure: with the averaged parameters, where they are averaged; a plain one."""
        mlp = self.average.averaged if self.average else self.mlp
        if not mlp.batch_norm:
            return mlp
        if not self._folded:
            self._folded = folded(mlp, self._inputs)
        return self._folded

    def report(self, measurement: Measurement) -> None:
        """Tell the callbacks that an epoch has been measured.

        Raises:
            Diverged: if a metric is not finite, which the last step may have done.
        """
        for metrics in measurement.metrics.values():
            for metric, value in metrics.items():
                if not math.isfinite(value):
                    raise Diverged(f"{WORDS[metric]} became {value}", measurement.epoch, self.steps_an_epoch)
        for callback in self.callbacks:
            callback.on_measured(measurement)

    def arrays(self) -> dict[str, Array]:
        """Return by name what the steps change, as it is: not a copy."""
        arrays = {"parameters": self.mlp.parameters.vector, **self.descent.state}
        if self.average:
            arrays["average"] = self.average.averaged.parameters.vector
        return arrays

    def restore(self, epoch: int, arrays: dict[str, Array]) -> None:
        """Go to the state after `epoch`, as `arrays` returned it then.

        Raises:
            KeyError, ValueError: if `arrays` are not of such a training; nothing is changed then.
        """
        for name, array in self.arrays().items():
            if arrays[name].shape != array.shape:
                raise ValueError(f"{name} of shape {arrays[name].shape}, not {array.shape}")
        for name, array in self.arrays().items():
            array[:] = arrays[name]
        self._folded = None
        self.epoch = epoch
        self.descent.steps = epoch * self.steps_an_epoch
        if self.average:
            self.average.steps = epoch * self.steps_an_epoch
