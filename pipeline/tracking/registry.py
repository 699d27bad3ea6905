"""The registry of models: which run's model is the one to use."""

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from pipeline.tracking.store import database, find_experiment, missing_folder, open_store

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Promoted:
    """A model in the registry.

    Attributes:
        uri: where MLflow finds it.
        version: of the registered model.
        run: the name of the run that it comes from.
        accuracy: the run's.
        image_shape: rows and columns of the images that it was trained on.
    """

    uri: str
    version: str
    run: str
    accuracy: float
    image_shape: tuple[int, int]


def promote_best(experiment: str, alias: str, part: str) -> Promoted:
    """Register the model of the run with the highest accuracy on `part`, and have `alias` point to it.

    Of the runs, those count that were measured on the same images as the newest one. A model that is
    registered already gets no second version.

    Raises:
        UserError: if there is no such experiment, or it was deleted, or it has no finished run with such an
            accuracy, or MLflow takes no such alias.
    """
    if not re.fullmatch(r"[\w-]{1,255}", alias) or re.fullmatch(r"latest|v\d+", alias, re.IGNORECASE):
        raise UserError(
            f"--alias {alias}: should be letters, digits, _ and -, but neither latest nor v and a number"
        )
    if (path := database()) and not path.exists():
        raise UserError(f"there is no {path} here: run this at the repository's root, after a training")
    from mlflow.exceptions import MlflowException  # only now: it takes seconds

    client = open_store()
    found = find_experiment(client, experiment)
    if not found:
        names = ", ".join(other.name for other in client.search_experiments())
        raise UserError(f"there is no experiment {experiment}: the store has {names}")

    def first(condition: str, order: str) -> "Run | None":
        runs = client.search_runs([found.experiment_id], condition, order_by=[order], max_results=1)
        return runs[0] if runs else None

    measured = f"attributes.status = 'FINISHED' and metrics.{part}_accuracy >= 0 and tags.model_sha256 != ''"
    newest = first(measured, "attributes.start_time DESC")
    if not newest:
        raise UserError(
            f"the experiment {experiment} has no finished run with a {part} accuracy: that takes images and"
            f" split.{part} above 0"
        )
    assert newest.inputs  # as every run has that is finished
    dataset = newest.inputs.dataset_inputs[0].dataset
    held_out = newest.data.params["split.validation"]
    alike = f"{measured} and dataset.digest = '{dataset.digest}' and params.`split.validation` = '{held_out}'"
    best = first(alike, f"metrics.{part}_accuracy DESC")
    assert best and best.outputs
    [output, *_] = best.outputs.model_outputs
    if gone := missing_folder(client.get_logged_model(output.model_id).artifact_location):
        raise UserError(
            f"the model of {best.info.run_name} is not in {gone}: bring that folder back, or delete the run"
            " and train anew"
        )
    rows, columns = json.loads(str(dataset.profile))["image_shape"]
    # A title may be any text: MLflow refuses / and : in a name, and a quotation mark would end the filter.
    name = re.sub(r"[^\w.-]+", "-", experiment.lower()).strip("-.") or "model"
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{best.info.run_id}'")
    if versions:
        version = versions[0].version
    else:
        source = f"models:/{output.model_id}"
        version = client.create_model_version(
            name, source, run_id=best.info.run_id, model_id=output.model_id
        ).version
    client.set_registered_model_alias(name, alias, version)
    return Promoted(
        uri=f"models:/{name}@{alias}",
        version=str(version),
        run=best.info.run_name,
        accuracy=best.data.metrics[f"{part}_accuracy"],
        image_shape=(rows, columns),
    )
