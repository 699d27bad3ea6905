"""The registry of models: which run's model is the one to use."""

import json
import math
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.nn.metrics import OF_TASK, formatted, in_words
from pipeline.runs.answers import Answering
from pipeline.support.errors import UserError
from pipeline.tracking.store import database, find_experiment, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run


MAIN = [first for first, *_ in OF_TASK.values()]  # what runs are chosen by
PARTS = ("validation", "test")  # by which runs are chosen; test only where there is no validation part
UNCOMPARED = ("official", "train")  # what else the accuracy of a given run may be of


@dataclass(frozen=True)
class Promoted:
    """A model in the registry.

    Attributes:
        uri: where MLflow finds it.
        version: of the registered model.
        description: of the version: the run that it comes from, its accuracy or RMSE, and the commit.
        image_shape: of the images in [0, 1] that it was trained on; None if it takes anything else.
        example: a request in JSON that it answers.
    """

    uri: str
    version: str
    description: str
    image_shape: tuple[int, ...] | None
    example: str


def promote_best(experiment: str, alias: str, part: str | None = None) -> Promoted:
    """Register the model of the best run on `part`, and have `alias` point to it.

    The best has the highest accuracy or, of a regression, the lowest RMSE. Of the runs, those count that were
    measured on the same rows of that part as the newest one.

    Args:
        experiment: the name of the runs' MLflow experiment.
        alias: what the model is called by.
        part: `validation` or `test`; by default validation if a run was measured on such a part, since the
            best of many on the test images is the luckiest on them.

    Raises:
        UserError: if there is no such experiment, or it was deleted, or it has no finished run that was so
            measured, or `alias` points to a model of another task.
    """
    client = open_registry()
    found = find_experiment(client, experiment)
    if not found:
        names = ", ".join(other.name for other in client.search_experiments())
        raise UserError(f"there is no experiment {experiment}: the store has {names}")

    def first(condition: str, order: str) -> "Run | None":
        runs = client.search_runs([found.experiment_id], condition, order_by=[order], max_results=1)
        return runs[0] if runs else None

    for name in [part] if part else PARTS:
        images = f"tags.`images.{name}`"
        finished = f"attributes.status = 'FINISHED' and tags.model_sha256 != '' and {images} != ''"
        newest_of = {
            metric: first(f"{finished} and metrics.{name}_{metric} >= 0", "attributes.start_time DESC")
            for metric in MAIN
        }
        if runs := [(metric, run) for metric, run in newest_of.items() if run]:
            metric, newest = max(runs, key=lambda each: each[1].info.start_time or 0)
            alike = f"{finished} and {images} = '{newest.data.tags[f'images.{name}']}'"
            order = "DESC" if metric == "accuracy" else "ASC"
            best = first(f"{alike} and metrics.{name}_{metric} >= 0", f"metrics.{name}_{metric} {order}")
            assert best
            return register(client, best, alias, f"{name}_{metric}")
    raise UserError(
        f"the experiment {experiment} has no finished run with a {part or 'validation or test'} accuracy or"
        f" RMSE: that takes data and split.{part or 'test'} above 0"
    )


def promote_run(run_id: str, alias: str) -> Promoted:
    """Register the model of the run `run_id`, and have `alias` point to it.

    Raises:
        UserError: if it is not a finished training.
        MlflowException: if there is no such run.
    """
    client = open_registry()
    run = client.get_run(run_id)
    names = [f"{part}_{metric}" for part in (*PARTS, *UNCOMPARED) for metric in MAIN]
    measured = [name for name in names if name in run.data.metrics]
    if run.info.status != "FINISHED" or "model_sha256" not in run.data.tags or not measured:
        raise UserError(f"--run {run_id}: {run.info.run_name} is no finished training, so it has no model")
    return register(client, run, alias, measured[0])


def load_registered(uri: str) -> Answering:
    """Return the network of the model at `uri`, with what it knows of its data.

    Raises:
        UserError: if there is no store here, `uri` is none of a model, or the model is not of this project.
        MlflowException: if there is no such model.
    """
    if not uri.startswith("models:/"):
        raise UserError(f"--model {uri}: should be such as models:/mnist@champion or models:/mnist/1")
    open_registry()
    from mlflow.artifacts import download_artifacts  # only now: it takes seconds

    with TemporaryDirectory() as folder:
        files = Path(download_artifacts(uri, dst_path=folder)) / "artifacts"
        if not (files / "model.npz").exists():
            raise UserError(f"--model {uri} is not a model that this pipeline has trained")
        return Answering.open(files)


def open_registry() -> "MlflowClient":
    """Connect to the store.

    Raises:
        UserError: if it is a database that is not there.
    """
    if (path := database()) and not path.exists():
        raise UserError(f"there is no {path} here: run this at the repository's root, after a training")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return open_store()


def register(client: "MlflowClient", run: "Run", alias: str, measure: str) -> Promoted:
    """Make the model of `run` a version of its experiment's registered model, and have `alias` point to it.

    A model that is registered already gets no second version. The version's description says what is known of
    it, with the `measure` that it was chosen by.

    Raises:
        UserError: if the model or its files are gone, or `alias` points to a model of another task.
        MlflowException: if MLflow takes no such alias.
    """
    from mlflow.artifacts import list_artifacts, load_text  # only now: it takes seconds
    from mlflow.exceptions import MlflowException

    logged = newest_model(client, run)
    location = logged.artifact_location
    if not list_artifacts(location):
        raise UserError(
            f"the model of {run.info.run_name} is not in {location}: bring that folder back, or delete the"
            " run and train anew"
        )
    title = client.get_experiment(run.info.experiment_id).name
    # A title may be any text: MLflow refuses / and : in a name, and a quotation mark would end the filter.
    name = re.sub(r"[^\w.-]+", "-", title.lower()).strip("-.") or "model"
    with suppress(MlflowException):  # it is registered already
        client.create_registered_model(name)
    check_task(client, name, alias, run)
    run_id, source = run.info.run_id, f"models:/{logged.model_id}"
    same = f"name = '{name}' and run_id = '{run_id}' and source_path = '{source}'"
    model = (
        found[0]
        if (found := client.search_model_versions(same))
        else client.create_model_version(name, source, run_id=run_id, model_id=logged.model_id)
    )
    value = formatted(measure, run.data.metrics[measure])
    description = f"{title}: {run.info.run_name}, {in_words(measure)} {value}"
    averaged = measure.replace("_accuracy", "_averaged_accuracy")
    if averaged != measure and not math.isnan(share := run.data.metrics.get(averaged, math.nan)):
        description += f", {in_words(averaged)} {formatted(averaged, share)}"
    if commit := run.data.tags.get("git.commit"):
        description += f", commit {commit[:7]}"
    if run.data.tags.get("git.dirty") == "true":
        description += " with uncommitted changes"
    client.update_model_version(name, str(model.version), description)
    client.set_registered_model_alias(name, alias, str(model.version))
    data = json.loads(load_text(f"{location}/artifacts/dataset.json"))
    shape = None if data.get("encoding") else data["image_shape"]
    example = json.dumps(json.loads(load_text(f"{location}/serving_input_example.json")))
    uri = f"models:/{name}@{alias}"
    return Promoted(uri, str(model.version), description, tuple(shape) if shape else None, example)


def newest_model(client: "MlflowClient", run: "Run") -> "LoggedModel":
    """Return the model of `run`; of several, which average over other copies of an image, the newest.

    Raises:
        UserError: if it was deleted.
    """
    from mlflow.exceptions import MlflowException

    assert run.outputs  # as every run has that is finished
    models = []
    for output in run.outputs.model_outputs:
        with suppress(MlflowException):  # it is deleted, perhaps as the rest of an attempt that failed
            models.append(client.get_logged_model(output.model_id))
    ready = [model for model in models if model.status == "READY"]
    if not ready:
        raise UserError(
            f"the model of {run.info.run_name} was deleted in MLflow: `python -m pipeline.evaluate FOLDER`,"
            " with the folder of that run, logs it again"
        )
    return max(ready, key=lambda model: model.creation_timestamp)


def check_task(client: "MlflowClient", name: str, alias: str, run: "Run") -> None:
    """Raise `UserError` if `alias` of the model `name` points to one of another task than that of `run`."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):  # there is no such alias yet, or its run is deleted
        version = client.get_model_version_by_alias(name, alias)
        promoted = client.get_run(str(version.run_id))
        there, new = (
            "a regression" if "train_rmse" in each.data.metrics else "a classification"
            for each in (promoted, run)
        )
        if there != new:
            raise UserError(
                f"models:/{name}@{alias} is {there}, and {run.info.run_name} is {new}, whose answers are"
                " others: give another --alias"
            )
