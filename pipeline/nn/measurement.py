"""How well a network does: its metrics on a part of the data, and all that is measured after an epoch."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.nn.fast import forward_in_blocks
from pipeline.nn.metrics import Accuracy, Metrics, NewTally, Tally
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Part

Parts = Mapping[str, Part]
"""Parts of a dataset by name: `train`, and those that are only measured, `validation` and `test`."""


@dataclass(frozen=True)
class Measurement:
    """What is measured after an epoch.

    Attributes:
        epoch: from 1.
        loss: mean over the epoch's examples, each with the parameters of its mini-batch; an adversary's moved
            copies are examples too.
        seconds: the epoch took.
        metrics: after the epoch, of each part that has examples.
        dead: for each hidden layer the share of units that are dead: σ′(z) = 0 for every training example.
    """

    epoch: int
    loss: float
    seconds: float
    metrics: dict[str, Metrics]
    dead: list[float]


@np.errstate(over="ignore", invalid="ignore")
def measure(
    mlp: MLP, parts: Parts, new_tally: NewTally = Accuracy, *, epoch: int, loss: float, seconds: float
) -> Measurement:
    """Measure `mlp` on each of the `parts` by what a `new_tally` adds up.

    `epoch`, `loss` and `seconds` are handed on.
    """
    alive = [np.zeros(n, bool) for n in mlp.widths[1:-1]]
    train, tally = parts["train"], new_tally()
    for rows, z, a in forward_in_blocks(mlp, train.inputs):
        tally.add(a[-1], train.targets[rows])
        for layer, units in enumerate(alive):
            slope = np.ones_like(a[layer])
            mlp.functions[layer].backward(z[layer], a[layer], slope)
            units |= slope.any(axis=0)
    others = {name: part for name, part in parts.items() if name != "train" and len(part.inputs)}
    return Measurement(
        epoch=epoch,
        loss=loss,
        seconds=seconds,
        metrics={
            "train": tally.metrics(),
            **{name: measure_part(mlp, part, new_tally()) for name, part in others.items()},
        },
        dead=[1 - float(units.mean()) for units in alive],
    )


def measure_part(mlp: MLP, part: Part, tally: Tally) -> Metrics:
    """Return the metrics of `mlp` on `part`, which has some rows, by what `tally`, a new one, adds up."""
    for rows, _, a in forward_in_blocks(mlp, part.inputs):
        tally.add(a[-1], part.targets[rows])
    return tally.metrics()


def accuracy(mlp: MLP, part: Part) -> float:
    """Return the share of the examples of `part`, which has some, that `mlp` classifies right."""
    return measure_part(mlp, part, Accuracy())["accuracy"]
