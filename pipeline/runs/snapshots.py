"""The snapshots of a training: the file that they are in, and what is shown of them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.nn.callbacks import Snapshots
from pipeline.nn.exact import exact_sum
from pipeline.nn.types import Array
from pipeline.runs.models import TrainedModel
from pipeline.runs.npz import write_npz
from pipeline.support.files import reading

MANY = 1_000_000  # numbers in a file of snapshots

T = TypeVar("T")


def save_snapshots(snapshots: Snapshots, path: Path) -> None:
    """Write `snapshots` to an npz file; without any, the file holds none.

    It holds `epochs`, (s,), and `parameters`, (s, number of parameters), in float32 or, if there are many of
    them and none is too large, in float16: they are for pictures.
    """
    epochs = np.array(snapshots.epochs, np.int64)
    many = sum(vector.size for vector in snapshots.vectors) > MANY
    fit = all(np.abs(vector).max() <= np.finfo(np.float16).max for vector in snapshots.vectors)
    parameters = np.array(snapshots.vectors, np.float16 if many and fit else np.float32)
    write_npz(path, {"epochs": epochs, "parameters": parameters})


def load_snapshots(path: Path) -> list[tuple[int, Array]]:
    """Return epoch and parameters, float32, of each snapshot that `save_snapshots` wrote to `path`.

    Raises:
        UserError: if the file is missing, cannot be read, is damaged, or not such a file.
    """
    with reading(path, "train"), np.load(path, allow_pickle=False) as file:
        epochs, parameters = file["epochs"], file["parameters"]
        if epochs.dtype != np.int64 or len(epochs) == 1 or np.any(np.diff(epochs) <= 0):
            raise ValueError("the epochs should increase, from the one before training to the last")
        if parameters.dtype not in (np.float16, np.float32):
            raise ValueError("the parameters should be in float16 or float32")
        return list(zip(epochs.tolist(), parameters.astype(np.float32), strict=True))


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """Return at most `count` of `items`, the first and the last among them."""
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[number] for number in chosen]


def first_layer(model: TrainedModel, parameters: Array) -> Array:
    """Return the first layer's weights, (units, inputs), in the `parameters` of a network like `model`."""
    shape = model.weights[0].shape
    return parameters[: math.prod(shape)].reshape(shape)


def most_moved(start: Array, end: Array, count: int) -> np.ndarray:
    """Return which `count` units' weights, (units, inputs), differ most between `start` and `end`."""
    change = end.astype(np.float64) - start
    moved = exact_sum(change * change, axis=1)  # so that every machine chooses the same units
    return np.argsort(-moved, kind="stable")[:count]
