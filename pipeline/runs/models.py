"""A trained network as a file, with all that is needed to rebuild it, and what it predicts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipeline.data.dataset import Dataset, Target, in_own_units
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.fast import predict, probabilities
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array
from pipeline.runs.npz import write_npz
from pipeline.support.files import reading

TrainedModel: TypeAlias = MLP
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


def count_inputs(mlp: TrainedModel) -> int:
    """Return how many numbers `mlp` takes of an example."""
    return mlp.widths[0]


def misfit(mlp: TrainedModel, dataset: Dataset) -> str | None:
    """Say how `mlp` does not fit `dataset`; None where it does.

    A single output tells two classes apart.
    """
    inputs, outputs = count_inputs(mlp), mlp.widths[-1]
    there = dataset.train.inputs.shape[1]
    if dataset.task == "regression":
        if (inputs, outputs) == (there, len(dataset.targets)):
            return None
        what, wanted = f"predicts {outputs} numbers", len(dataset.targets)
    else:
        outputs, wanted = max(outputs, 2), len(dataset.classes)
        if (inputs, outputs) == (there, wanted):
            return None
        what = f"tells {outputs} classes apart"
    return f"takes {inputs} values and {what}, but the {dataset.example}s have {there} and {wanted}"


def predict_numbers(mlp: TrainedModel, inputs: Array, targets: Sequence[Target]) -> Array:
    """Return what `mlp` predicts for `inputs`, (n, d), in the own units of the `targets`: (n, k)."""
    return in_own_units(predict(mlp, inputs).astype(np.float64), targets)


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
