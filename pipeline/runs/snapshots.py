"""The snapshots of a training as a file."""

from pathlib import Path

import numpy as np

from pipeline.nn.callbacks import Snapshots
from pipeline.nn.types import Array
from pipeline.runs.npz import write_npz
from pipeline.support.files import reading

MANY = 1_000_000  # numbers in a file of snapshots


def save_snapshots(snapshots: Snapshots, path: Path) -> None:
    """Write `snapshots` to an npz file; without any, the file holds none.

    It holds `epochs`, (s,), and `parameters`, (s, number of parameters), in float32 or, where there are many
    of them, in float16: they are for pictures.
    """
    epochs = np.array(snapshots.epochs, np.int64)
    many = sum(vector.size for vector in snapshots.vectors) > MANY
    parameters = np.array(snapshots.vectors, np.float16 if many else np.float32)
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
