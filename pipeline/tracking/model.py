"""The trained network as a model of MLflow's, which its server loads without this project."""

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import Map

import pipeline
from pipeline.data.dataset import Description, write_description
from pipeline.data.encoding import Columns, Number, Range, Standard, read_encoding
from pipeline.runs.answers import COPIES
from pipeline.runs.fingerprint import LIBRARIES
from pipeline.support.files import write_text
from pipeline.tracking.dataset import DataSource

NEEDED = ("mlflow", "pandas", "pyarrow", *LIBRARIES)  # to load the model


def log_model(
    client: mlflow.MlflowClient,
    run_id: str,
    network: Path,
    config: Mapping[str, Any],
    describe: Callable[[], DataSource],
) -> None:
    """Log the network in the file `network` as the model of a run, unless its newest one answers the same.

    Args:
        client: MLflow's.
        run_id: the run.
        network: what `pipeline.runs.models.save_model` wrote.
        config: what it was trained by and is evaluated by, nested. A model gets `evaluation` as its own
            params in MLflow, where predictions are averaged: those of the run cannot change.
        describe: returns the data that it was trained on.
    """
    experiment = client.get_run(run_id).info.experiment_id
    params = {}
    if config["evaluation"]["copies"] > 1:
        params = {f"evaluation.{key}": str(value) for key, value in config["evaluation"].items()}
    for model in client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):  # newest first
        if model.status == "READY":
            if model.params == params:
                return
            break
        client.delete_logged_model(model.model_id)  # the remains of an attempt that failed
    data = describe()
    model = client.create_logged_model(experiment, "model", run_id, params=params)
    with TemporaryDirectory() as folder:
        write_description(Path(folder), data.as_values())
        copies = {key: config[key] for key in ("augmentation", "evaluation", "seed")}
        write_text(Path(folder) / COPIES, json.dumps(copies))
        Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            run_id=run_id,
            model_id=model.model_id,
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={
                "model": network.absolute().as_uri(),
                "dataset": (Path(folder) / "dataset.json").as_uri(),
                "copies": (Path(folder) / COPIES).as_uri(),
            },
            code_paths=[str(Path(pipeline.__file__).parent)],
            pip_requirements=[f"{name}=={version(name)}" for name in NEEDED],
            signature=signature(data.description),
            input_example=raw_example(data.description, data.dataset.train.inputs[:1]),
        )


def signature(data: Description) -> ModelSignature:
    """Return what the model answers: see `pipeline.runs.answers`.

    The model itself checks its inputs, which no single signature allows: flat or square images, or a table
    with a row for each; whole numbers in a column of numbers.
    """
    if data.task == "classification":
        outputs: list[Any] = [ColSpec("string", "label"), ColSpec(Map("double"), "probabilities")]
    elif len(data.targets) == 1:
        outputs = [ColSpec("double", "prediction")]
    else:
        outputs = [ColSpec("double", f"prediction_{target.name}") for target in data.targets]
    return ModelSignature(outputs=Schema(outputs))


def raw_example(data: Description, inputs: np.ndarray) -> np.ndarray | pd.DataFrame:
    """Return raw rows whose inputs are `inputs`, (n, d), but for rounding: an example of what to ask."""
    encoding = read_encoding(data)
    if isinstance(encoding, Standard):
        return inputs * np.array(encoding.deviation) + np.array(encoding.mean)
    if isinstance(encoding, Range):
        images = inputs * (encoding.high - encoding.low) + encoding.low
        return images.reshape(-1, *(data.image_shape or inputs.shape[1:]))
    if not isinstance(encoding, Columns):
        return np.array(inputs)
    raw: dict[str, list[float | str | None]] = {}
    start = 0
    for column in encoding.columns:
        of_column = inputs[:, start : start + len(column.inputs)]
        start += len(column.inputs)
        if isinstance(column, Number):
            values = of_column[:, 0] * column.deviation + column.mean
            raw[column.name] = [float(f"{value:.6g}") for value in values]
        else:
            known = of_column[:, : len(column.categories)]
            raw[column.name] = [column.categories[int(row.argmax())] if row.any() else None for row in known]
    return pd.DataFrame(raw)
