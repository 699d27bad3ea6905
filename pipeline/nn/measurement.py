"""How well a network does: its accuracy, and all that is measured of it after an epoch."""

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np

from pipeline.data.dataset import Part
from pipeline.nn.fast import forward_in_blocks
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array


@dataclass(frozen=True)
class Measurement:
    """What is measured after an epoch.

    Attributes:
        epoch: from 1.
        loss: mean over the epoch's images, each with the parameters of its mini-batch.
        seconds: the epoch took.
        train_accuracy: share of the training examples that are classified right after the epoch.
        test_accuracy: the same of the test examples; None where there are none.
        validation_accuracy: the same of the examples held out to choose by; None where there are none.
        dead: for each hidden layer the share of units that are dead: σ′(z) = 0 for every training example.
    """

    epoch: int
    loss: float
    seconds: float
    train_accuracy: float
    test_accuracy: float | None
    dead: list[float]
    validation_accuracy: float | None = None


class Measuring:
    """Measures networks in a second thread, one at a time, while training goes on.

    Where there is a second core this costs next to nothing.

    Args:
        second_thread: where to measure.
        train_part, test_part, validation_part: see `measure`.
        measurements: where each measurement goes when it is collected.
    """

    def __init__(
        self,
        second_thread: Executor,
        train_part: Part,
        test_part: Part,
        validation_part: Part | None,
        measurements: list[Measurement],
    ) -> None:
        self._second_thread = second_thread
        self._parts = train_part, test_part, validation_part
        self._measurements = measurements
        self._pending: Future[Measurement] | None = None

    def start(self, mlp: MLP, *, epoch: int, loss: float, seconds: float) -> None:
        """Start to measure `mlp` as it is now; what was started before has been collected."""
        self._pending = self._second_thread.submit(
            measure, mlp.copy(), *self._parts, epoch=epoch, loss=loss, seconds=seconds
        )

    def collect(self) -> Iterator[Measurement]:
        """Yield what is being measured, if anything is, once it is there."""
        if self._pending:
            measurement, self._pending = self._pending.result(), None
            self._measurements.append(measurement)
            yield measurement


@np.errstate(over="ignore", invalid="ignore")
def measure(
    mlp: MLP,
    train_part: Part,
    test_part: Part,
    validation_part: Part | None,
    *,
    epoch: int,
    loss: float,
    seconds: float,
) -> Measurement:
    """Measure `mlp` on each part; `epoch`, `loss` and `seconds` are handed on."""
    alive = [np.zeros(n, bool) for n in mlp.widths[1:-1]]
    correct = 0
    for rows, z, a in forward_in_blocks(mlp, train_part.images):
        correct += count_correct(a[-1], train_part.labels[rows])
        for layer, units in enumerate(alive):
            slope = np.ones_like(a[layer])
            mlp.functions[layer].backward(z[layer], a[layer], slope)
            units |= slope.any(axis=0)
    return Measurement(
        epoch=epoch,
        loss=loss,
        seconds=seconds,
        train_accuracy=correct / len(train_part.images),
        test_accuracy=accuracy(mlp, test_part),
        dead=[1 - float(units.mean()) for units in alive],
        validation_accuracy=accuracy(mlp, validation_part) if validation_part else None,
    )


def accuracy(mlp: MLP, part: Part) -> float | None:
    """Return the share of the images of `part` that `mlp` classifies right; None where there are none."""
    correct = sum(
        count_correct(a[-1], part.labels[rows]) for rows, _, a in forward_in_blocks(mlp, part.images)
    )
    return correct / len(part.images) if len(part.images) else None


def count_correct(outputs: Array, labels: np.ndarray) -> int:
    """Return in how many rows `outputs` say what `labels` say.

    Args:
        outputs: (n, k).
        labels: (n, k); one-hot, so that the largest output has to be where the 1 is, or a single column of
            0 and 1, so that the output has to be on the label's side of ½.
    """
    if labels.shape[1] == 1:
        return int(((outputs - 0.5) * (labels - 0.5) > 0).sum())
    return int((outputs.argmax(axis=1) == labels.argmax(axis=1)).sum())
