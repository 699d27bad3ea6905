"""The trained network as a model of MLflow's, which its server loads without this project."""

from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import Map

import pipeline
from pipeline.data.dataset import write_description
from pipeline.runs.fingerprint import LIBRARIES
from pipeline.tracking.dataset import DataSource

# The model itself checks its inputs: flat or square images, or a table with a row for each, which no single
# signature allows.
SIGNATURE = ModelSignature(
    outputs=Schema([ColSpec("string", "label"), ColSpec(Map("double"), "probabilities")])
)


def log_model(client: mlflow.MlflowClient, run_id: str, network: Path, data: DataSource) -> None:
    """Log the network in the file `network` as the model of a run, unless it has one.

    Args:
        client: MLflow's.
        run_id: the run.
        network: what `pipeline.runs.models.save_model` wrote.
        data: the data that it was trained on.
    """
    experiment = client.get_run(run_id).info.experiment_id
    for model in client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'"):
        if model.status == "READY":
            return
        client.delete_logged_model(model.model_id)  # the remains of an attempt that failed
    model = client.create_logged_model(experiment, name="model", source_run_id=run_id)
    with TemporaryDirectory() as folder:
        write_description(Path(folder), data.description)
        Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            run_id=run_id,
            model_id=model.model_id,
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={
                "model": network.absolute().as_uri(),
                "dataset": (Path(folder) / "dataset.json").as_uri(),
            },
            code_paths=[str(Path(pipeline.__file__).parent)],
            pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "pandas", *LIBRARIES)],
            signature=SIGNATURE,
            input_example=np.array(data.dataset.train.inputs[:1]),
        )
