"""The registry of models: which run's model is the one to use."""

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.support.errors import UserError
from pipeline.tracking.store import database, find_experiment, missing_folder, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run


PARTS = ("validation", "test")  # by which runs are chosen; test only where there is no validation part
UNCOMPARED = ("official", "train")  # what else the accuracy of a given run may be of


@dataclass(frozen=True)
class Promoted:
    """A model in the registry.

    Attributes:
        uri: where MLflow finds it.
        version: of the registered model.
        run: the name of the run that it comes from.
        part: the part of the data that `accuracy` was measured on.
        accuracy: the run's.
        image_shape: rows and columns of the images that it was trained on.
    """

    uri: str
    version: str
    run: str
    part: str
    accuracy: float
    image_shape: tuple[int, int]


def promote_best(experiment: str, alias: str, part: str | None = None) -> Promoted:
    """Register the model of the run with the highest accuracy on `part`, and have `alias` point to it.

    Of the runs, those count that were measured on the same images of that part as the newest one.

    Args:
        experiment: the name of the runs' MLflow experiment.
        alias: what the model is called by.
        part: `validation` or `test`; by default validation if a run was measured on such a part, since the
            best of many on the test images is the luckiest on them.

    Raises:
        UserError: if there is no such experiment, or it was deleted, or it has no finished run with such an
            accuracy, or MLflow takes no such alias.
    """
    client = open_registry(alias)
    found = find_experiment(client, experiment)
    if not found:
        names = ", ".join(other.name for other in client.search_experiments())
        raise UserError(f"there is no experiment {experiment}: the store has {names}")

    def first(condition: str, order: str) -> "Run | None":
        runs = client.search_runs([found.experiment_id], condition, order_by=[order], max_results=1)
        return runs[0] if runs else None

    for name in [part] if part else PARTS:
        images = f"tags.`images.{name}`"
        measured = (
            f"attributes.status = 'FINISHED' and tags.model_sha256 != '' and metrics.{name}_accuracy >= 0"
        )
        if newest := first(f"{measured} and {images} != ''", "attributes.start_time DESC"):
            alike = f"{measured} and {images} = '{newest.data.tags[f'images.{name}']}'"
            best = first(alike, f"metrics.{name}_accuracy DESC")
            assert best
            return register(client, best, alias, name)
    raise UserError(
        f"the experiment {experiment} has no finished run with a {part or 'validation or test'} accuracy:"
        f" that takes images and split.{part or 'test'} above 0"
    )


def promote_run(run_id: str, alias: str) -> Promoted:
    """Register the model of the run `run_id`, and have `alias` point to it.

    Raises:
        UserError: if there is no such run, or it is not a finished training, or MLflow takes no such alias.
    """
    client = open_registry(alias)
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        raise UserError(f"--run {run_id}: the store has no such run") from None
    measured = [part for part in (*PARTS, *UNCOMPARED) if f"{part}_accuracy" in run.data.metrics]
    if run.info.status != "FINISHED" or "model_sha256" not in run.data.tags or not measured:
        raise UserError(f"--run {run_id}: {run.info.run_name} is no finished training, so it has no model")
    return register(client, run, alias, measured[0])


def open_registry(alias: str) -> "MlflowClient":
    """Connect to the store, which has to be there, to have `alias` point to a model.

    Raises:
        UserError: if it is not there, or MLflow takes no such alias.
    """
    if not re.fullmatch(r"[\w-]{1,255}", alias) or re.fullmatch(r"latest|v\d+", alias, re.IGNORECASE):
        raise UserError(
            f"--alias {alias}: should be letters, digits, _ and -, but neither latest nor v and a number"
        )
    if (path := database()) and not path.exists():
        raise UserError(f"there is no {path} here: run this at the repository's root, after a training")
    return open_store()


def register(client: "MlflowClient", run: "Run", alias: str, part: str) -> Promoted:
    """Make the model of `run` a version of its experiment's registered model, and have `alias` point to it.

    A model that is registered already gets no second version. Description and tags of the version say what
    is known of it, with the accuracy on `part`.
    """
    assert run.inputs and run.outputs  # as every run has that is finished
    [output, *_] = run.outputs.model_outputs
    if gone := missing_folder(client.get_logged_model(output.model_id).artifact_location):
        raise UserError(
            f"the model of {run.info.run_name} is not in {gone}: bring that folder back, or delete the run"
            " and train anew"
        )
    experiment = client.get_experiment(run.info.experiment_id)
    name = register_name(client, experiment)
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run.info.run_id}'")
    model = (
        versions[0]
        if versions
        else client.create_model_version(
            name, f"models:/{output.model_id}", run_id=run.info.run_id, model_id=output.model_id
        )
    )
    version = str(model.version)
    dataset = run.inputs.dataset_inputs[0].dataset
    accuracy = run.data.metrics[f"{part}_accuracy"]
    commit = run.data.tags.get("git.commit", "")
    description = f"{experiment.name}: {run.info.run_name}, {part} accuracy {accuracy:.2%}"
    description += f", commit {commit[:7]}" if commit else ""
    description += " with uncommitted changes" if run.data.tags.get("git.dirty") == "true" else ""
    client.update_model_version(name, version, description)
    tags = {"dataset": dataset.name, "accuracy": str(accuracy), "part": part}
    tags |= {"commit": commit} if commit else {}
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    client.set_registered_model_alias(name, alias, version)
    rows, columns = json.loads(str(dataset.profile))["image_shape"]
    return Promoted(f"models:/{name}@{alias}", version, run.info.run_name, part, accuracy, (rows, columns))


def register_name(client: "MlflowClient", experiment: "Experiment") -> str:
    """Return the name of the registered model of `experiment`, which is registered if it is not yet.

    Raises:
        UserError: if another experiment's title gives the same name.
    """
    from mlflow.exceptions import MlflowException  # only now: it takes seconds

    # A title may be any text: MLflow refuses / and : in a name, and a quotation mark would end the filter.
    name = re.sub(r"[^\w.-]+", "-", experiment.name.lower()).strip("-.") or "model"
    try:
        client.create_registered_model(name, tags={"experiment": experiment.experiment_id})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        owner = client.get_registered_model(name).tags.get("experiment", experiment.experiment_id)
        if owner != experiment.experiment_id:
            raise UserError(
                f"the registered model {name} is of the experiment {client.get_experiment(owner).name}, so"
                f" {experiment.name} needs another title: `mlflow experiments rename` gives one"
            ) from None
    return name
