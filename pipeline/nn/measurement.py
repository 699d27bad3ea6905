"""How well a network does: its accuracy, and all that is measured of it after an epoch."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.nn.fast import forward_in_blocks
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array, Part

Parts = Mapping[str, Part]
"""Parts of a dataset by name: `train`, and those that are only measured, `validation` and `test`."""


@dataclass(frozen=True)
class Measurement:
    """What is measured after an epoch.

    Attributes:
        epoch: from 1.
        loss: mean over the epoch's images, each with the parameters of its mini-batch.
        seconds: the epoch took.
        accuracies: of each part that has examples, the share that is classified right after the epoch.
        dead: for each hidden layer the share of units that are dead: σ′(z) = 0 for every training example.
    """

    epoch: int
    loss: float
    seconds: float
    accuracies: dict[str, float]
    dead: list[float]


@np.errstate(over="ignore", invalid="ignore")
def measure(mlp: MLP, parts: Parts, *, epoch: int, loss: float, seconds: float) -> Measurement:
    """Measure `mlp` on each of the `parts`; `epoch`, `loss` and `seconds` are handed on."""
    alive = [np.zeros(n, bool) for n in mlp.widths[1:-1]]
    train, correct = parts["train"], 0
    for rows, z, a in forward_in_blocks(mlp, train.inputs):
        correct += count_correct(a[-1], train.targets[rows])
        for layer, units in enumerate(alive):
            slope = np.ones_like(a[layer])
            mlp.functions[layer].backward(z[layer], a[layer], slope)
            units |= slope.any(axis=0)
    others = {name: part for name, part in parts.items() if name != "train" and len(part.inputs)}
    return Measurement(
        epoch=epoch,
        loss=loss,
        seconds=seconds,
        accuracies={
            "train": correct / len(train.inputs),
            **{name: accuracy(mlp, part) for name, part in others.items()},
        },
        dead=[1 - float(units.mean()) for units in alive],
    )


def accuracy(mlp: MLP, part: Part) -> float:
    """Return the share of the images of `part`, which has some, that `mlp` classifies right."""
    correct = sum(
        count_correct(a[-1], part.targets[rows]) for rows, _, a in forward_in_blocks(mlp, part.inputs)
    )
    return correct / len(part.inputs)


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
