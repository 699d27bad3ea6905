"""A trained network as a file, with all that is needed to rebuild it, and what it says of images."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.callbacks import Snapshots
from pipeline.nn.fast import predict, probabilities
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array
from pipeline.support.files import reading, replacing

MANY = 1_000_000  # numbers in a file of snapshots
LARGEST_MEMBER_BYTES = 2_000_000_000  # of a zip file in its first format

TrainedModel = MLP
"""What training makes, and what is measured, drawn and served."""


def save_model(mlp: TrainedModel, path: Path, made_from: Mapping[str, Any] | None = None) -> None:
    """Write `mlp` to an npz file without pickled objects; equal networks of equal trainings give equal bytes.

    It holds `parameters`, the vector of every weight and then every bias; `architecture`, the rest of the
    network, in JSON; and `made_from`, what the network was trained by
    (`pipeline.config.schema.ingredients`), in JSON, if that is given.
    """
    architecture = {
        "widths": mlp.widths,
        "activation": mlp.activation,
        "output": mlp.output,
        "bias": mlp.bias,
        "arithmetic": mlp.arithmetic.name,
    }
    arrays = {"architecture": np.array(json.dumps(architecture))}
    if made_from is not None:
        arrays["made_from"] = np.array(json.dumps(made_from, sort_keys=True))
    write_npz(path, {**arrays, "parameters": mlp.parameters.vector})


def load_model(path: Path) -> TrainedModel:
    """Rebuild the network that `save_model` wrote to `path`.

    Raises:
        UserError: if the file is missing, cannot be read, is damaged, or not such a file.
    """
    with reading(path, "train"):
        with np.load(path, allow_pickle=False) as file:
            architecture = json.loads(str(file["architecture"]))
            parameters = file["parameters"]
        for name in (architecture["activation"], architecture["output"]):
            if name not in ACTIVATIONS:
                raise ValueError(f"there is no activation {name}")
        if architecture["arithmetic"] not in ARITHMETICS:
            raise ValueError(f"there is no arithmetic {architecture['arithmetic']}")
        mlp = MLP(**architecture)
        if parameters.dtype != mlp.arithmetic.dtype or not np.isfinite(parameters).all():
            raise ValueError(f"the parameters should be finite numbers in {np.dtype(mlp.arithmetic.dtype)}")
        if parameters.shape != mlp.parameters.vector.shape:
            raise ValueError(f"{parameters.size} parameters, not {mlp.parameters.vector.size}")
        mlp.parameters.vector[:] = parameters
    return mlp


def read_made_from(path: Path) -> dict[str, Any] | None:
    """Return what the network in the file at `path` was trained by, or None where the file does not say.

    Raises:
        UserError: if the file is missing, cannot be read, is damaged, or not such a file.
    """
    with reading(path, "train"), np.load(path, allow_pickle=False) as file:
        if "made_from" not in file:
            return None
        made_from = json.loads(str(file["made_from"]))
        if not isinstance(made_from, dict):
            raise ValueError("made_from should be what the network was trained by")
        return made_from


def misfit(mlp: TrainedModel, image_shape: Sequence[int], classes: Sequence[str]) -> str | None:
    """Say how `mlp` does not fit images of this shape and these classes; None where it does.

    A single output tells two classes apart.
    """
    inputs, outputs = mlp.widths[0], max(mlp.widths[-1], 2)
    if (inputs, outputs) == (math.prod(image_shape), len(classes)):
        return None
    return (
        f"takes {inputs} values and tells {outputs} classes apart, but the images have"
        f" {math.prod(image_shape)} and {len(classes)}"
    )


def classify(mlp: TrainedModel, images: Array) -> tuple[np.ndarray, Array]:
    """Return what `mlp` takes `images`, shape (n, d), for.

    A single output is the probability of the second of two classes.

    Returns:
        The most probable class of each image, shape (n,), as its position in the dataset's list of classes;
        and the probability of every class, shape (n, k). Of equal probabilities, the larger output counts.
    """
    outputs = predict(mlp, images)
    if outputs.shape[1] == 1:
        outputs = np.hstack([1 - outputs, outputs])
    return outputs.argmax(axis=1), probabilities(mlp, outputs)


def save_snapshots(snapshots: Snapshots, path: Path) -> None:
    """Write `snapshots` to an npz file; without any, the file holds none.

    It holds `epochs`, (s,), and `parameters`, (s, number of parameters), in float32 or, where there are many
    of them, in float16: they are for pictures.
    """
    epochs = np.array(snapshots.epochs, np.int64)
    many = sum(vector.size for vector in snapshots.vectors) > MANY
    parameters = np.array(snapshots.vectors, np.float16 if many else np.float32)
    write_npz(path, {"epochs": epochs, "parameters": parameters})


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays` as `np.savez` does, but with the same bytes on every system and in every Python.

    A zip file says which system made it, and Python writes its sizes in two formats.
    """
    with replacing(path) as temporary, ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            member = ZipInfo(f"{name}.npy")  # of 1980, the earliest time that a zip file can hold
            member.create_system = 3  # Unix
            with archive.open(member, "w", force_zip64=array.nbytes > LARGEST_MEMBER_BYTES) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


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
