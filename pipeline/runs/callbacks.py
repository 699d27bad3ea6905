"""The trainer's callbacks that keep a run's record: history, journal, and what the user sees meanwhile."""

import numpy as np
from tqdm import tqdm

from pipeline.nn.callbacks import Measuring
from pipeline.nn.measurement import Measurement
from pipeline.nn.metrics import DIGITS, formatted, in_words, rounded
from pipeline.nn.training import Callback, Trainer
from pipeline.nn.types import Array
from pipeline.runs.history import Row, objective
from pipeline.runs.journal import Journal


class History(Callback):
    """Keeps the rows of `reports/history.csv`, and writes each to the journal as soon as it is there.

    Args:
        journal: of the run.

    Attributes:
        rows: a row for each epoch that was measured.
    """

    def __init__(self, journal: Journal) -> None:
        self.rows: list[Row] = []
        self._journal = journal

    def on_measured(self, measurement: Measurement) -> None:
        self.rows.append(as_row(measurement))
        self._journal.epoch(self.rows[-1], measurement.seconds)


class Patience(Callback):
    """Stops training after so many epochs without a better result on the validation part.

    Each epoch waits for its own measurement, so the decision does not depend on timing.

    Args:
        epochs: how many.
        measuring: measures the network, on a validation part too.

    Attributes:
        best: the epoch with the best result so far, the first of equal ones; 0 before the first measurement.
        vector: the parameters after that epoch, as they were measured.
    """

    def __init__(self, epochs: int, measuring: Measuring) -> None:
        self.epochs = epochs
        self.best = 0
        self.vector: Array = np.empty(0)
        self._measuring = measuring
        self._lowest = np.inf
        self._latest = 0

    def on_measured(self, measurement: Measurement) -> None:
        self._latest = measurement.epoch
        _, value = objective(as_row(measurement))
        if value < self._lowest:
            self.best, self._lowest = measurement.epoch, value

    def on_epoch_end(self, trainer: Trainer) -> None:
        self._measuring.collect(trainer)
        if self.best == trainer.epoch:
            self.vector = trainer.to_measure.parameters.vector.copy()
        self._stop_in_time(trainer)

    def restore(self, trainer: Trainer, vector: Array) -> None:
        """Go on from a checkpoint with the best parameters, once all until then was reported."""
        self.vector = vector
        self._stop_in_time(trainer)

    def _stop_in_time(self, trainer: Trainer) -> None:
        if self._latest == trainer.epoch and trainer.epoch - self.best >= self.epochs:
            trainer.stop()


class ProgressBar(Callback):
    """Shows the epochs that were trained and what was measured last.

    Args:
        title: what stands in front of the bar.
    """

    def __init__(self, title: str) -> None:
        self._title = title

    def on_start(self, trainer: Trainer) -> None:
        self._bar = tqdm(desc=self._title, total=trainer.epochs, unit="epoch")

    def on_measured(self, measurement: Measurement) -> None:
        self._bar.set_postfix_str(summary(measurement), refresh=False)
        self._bar.update(measurement.epoch - self._bar.n)

    def on_end(self, trainer: Trainer) -> None:
        self._bar.close()


def as_row(measurement: Measurement) -> Row:
    """Return the row of the history: nothing in it depends on the clock."""
    metrics = {
        f"{part}_{metric}": rounded(metric, value)
        for part, values in measurement.metrics.items()
        for metric, value in values.items()
    }
    dead = {f"dead_{layer}": round(share, DIGITS) for layer, share in enumerate(measurement.dead, start=1)}
    return {"epoch": measurement.epoch, "loss": round(measurement.loss, DIGITS), **metrics, **dead}


def summary(measurement: Measurement) -> str:
    """Return what the progress bar says of an epoch."""
    parts = [f"loss {measurement.loss:.4f}"]
    for part, metrics in measurement.metrics.items():
        metric, value = next(iter(metrics.items()))
        name = part if metric == "accuracy" else in_words(f"{part}_{metric}")
        parts.append(f"{name} {formatted(metric, value)}")
    if measurement.dead:
        parts.append("dead " + " ".join(f"{share:.0%}" for share in measurement.dead))
    return ", ".join([*parts, f"{measurement.seconds:.2f} s"])
