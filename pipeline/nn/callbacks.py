"""The trainer's callbacks that need nothing but the network: snapshots, and measuring."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.nn.measurement import Measurement, Parts, measure
from pipeline.nn.metrics import Accuracy, NewTally
from pipeline.nn.training import Callback, Trainer
from pipeline.nn.types import Array


class Snapshots(Callback):
    """Keeps the parameters as they were before training and every so often in it.

    Args:
        every: epochs from one snapshot to the next; the last epoch always has one, also if training is
            stopped. None for no snapshots.

    Attributes:
        epochs: after which epoch each was taken; 0 is before the first one.
        vectors: the parameters at that time, as `Parameters.vector` lays them out.
    """

    def __init__(self, every: int | None) -> None:
        self.every = every
        self.epochs: list[int] = []
        self.vectors: list[Array] = []

    def on_start(self, trainer: Trainer) -> None:
        if self.every:
            self._take(0, trainer.to_measure.parameters.vector)

    def on_epoch_end(self, trainer: Trainer) -> None:
        if self.every and (trainer.epoch % self.every == 0 or trainer.epoch == trainer.epochs):
            self._take(trainer.epoch, trainer.to_measure.parameters.vector)

    def on_end(self, trainer: Trainer) -> None:
        if self.every and trainer.stopped and trainer.epoch not in self.epochs:
            self._take(trainer.epoch, trainer.to_measure.parameters.vector)

    def restore(self, epochs: Sequence[int], vectors: Sequence[Array]) -> None:
        """Go on from these snapshots."""
        self.epochs[:], self.vectors[:] = epochs, vectors

    def _take(self, epoch: int, vector: Array) -> None:
        self.epochs.append(epoch)
        self.vectors.append(vector.copy())


class Measuring(Callback):
    """Measures the network after an epoch, in a second thread, while the next epoch trains.

    So a measurement comes one epoch late. Where there is a second core it costs next to nothing.

    Args:
        parts: what to measure on.
        every: epochs from one measurement to the next; the last epoch is always measured.
        new_tally: makes what adds up the metrics of a part.
    """

    def __init__(self, parts: Parts, every: int = 1, new_tally: NewTally = Accuracy) -> None:
        self.parts = parts
        self.every = every
        self.new_tally = new_tally
        self._pending: Future[Measurement] | None = None

    def on_start(self, trainer: Trainer) -> None:
        self._second_thread = ThreadPoolExecutor(max_workers=1)

    def on_epoch_end(self, trainer: Trainer) -> None:
        self.collect(trainer)
        if trainer.epoch % self.every == 0 or trainer.epoch == trainer.epochs:
            self._pending = self._second_thread.submit(
                measure,
                trainer.to_measure.copy(),
                self.parts,
                self.new_tally,
                epoch=trainer.epoch,
                loss=trainer.mean_loss,
                seconds=trainer.seconds,
            )

    def on_end(self, trainer: Trainer) -> None:
        self.collect(trainer)
        self._second_thread.shutdown()

    def collect(self, trainer: Trainer) -> None:
        """Wait for what is being measured, if anything is, and tell the callbacks of it."""
        if self._pending:
            measurement, self._pending = self._pending.result(), None
            trainer.report(measurement)
