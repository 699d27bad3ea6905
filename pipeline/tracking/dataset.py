"""What MLflow is told of the data that a model was trained on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlflow.entities

from pipeline.data.dataset import (
    PROCESSED,
    Dataset,
    Description,
    digest,
    digest_part,
    folder_for,
    load_dataset,
    read_description,
)
from pipeline.data.generated import GENERATORS, generate


@dataclass(frozen=True)
class DataSource:
    """The data that a model was trained on.

    Attributes:
        dataset: all of it.
        description: what it is.
        digest: a SHA-256 of it.
        origin: where it is from, in MLflow's terms.
        tags: the dataset's name, and for each part that runs are compared by a digest of its images and
            labels: accuracies can be compared where these are equal, however the other images are split.
    """

    dataset: Dataset
    description: Description
    digest: str
    origin: dict[str, str]
    tags: dict[str, str]

    def as_values(self) -> dict[str, Any]:
        """Return what the model that is served knows of it, as JSON can hold it."""
        values = asdict(self.description)
        always = {key: values[key] for key in ("name", "title", "classes", "image_shape")}
        return always | {
            key: values[key] for key in ("task", "targets", "encoding", "prepared") if values[key]
        }

    def as_input(self) -> mlflow.entities.DatasetInput:
        """Return it as the input of a run; what is held out for validation counts as well."""
        values = self.as_values()
        described = {key: value for key, value in values.items() if key not in {"encoding", "prepared"}}
        profile = json.dumps({f"{self.dataset.example}s": len(self.dataset.train.inputs), **described})
        dataset = mlflow.entities.Dataset(self.dataset.name, self.digest[:32], **self.origin, profile=profile)
        return mlflow.entities.DatasetInput(
            dataset, [mlflow.entities.InputTag("mlflow.data.context", "training")]
        )


def describe_data(config: Mapping[str, Any], root: Path) -> DataSource:
    """Return the data that `config`, nested, asks for; those on disk are in `data/processed` below `root`.

    Raises:
        UserError: if they are missing or damaged.
    """
    if config["dataset"]["kind"] in GENERATORS:
        dataset = generate(**config["dataset"])
        made_from = json.dumps(config["dataset"])
        digest_of_all = hashlib.sha256(made_from.encode()).hexdigest()
        origin = {"source_type": "code", "source": made_from}
        shape = (1, dataset.train.inputs.shape[1])
        described = Description(dataset.name, dataset.title, dataset.classes, shape)
        return DataSource(dataset, described, digest_of_all, origin, {"dataset": dataset.name})
    split = config["split"]
    folder = folder_for(split.get("folds"), split.get("fold", 0), root / PROCESSED)
    described = read_description(folder, Description, "preprocess")
    dataset, digest_of_all = load_dataset(folder), digest(root / PROCESSED)
    origin = {"source_type": "local", "source": json.dumps({"uri": PROCESSED.as_posix()})}
    parts = digest_parts(folder, split["validation"], digest_of_all)
    return DataSource(dataset, described, digest_of_all, origin, {"dataset": dataset.name, **parts})


@cache
def digest_parts(folder: Path, validation: float, digest_of_all: str) -> dict[str, str]:
    """Return the tag for each part by which runs are compared, of the processed dataset in `folder`.

    Args:
        folder: where the dataset is.
        validation: how many rows are held out, as a count or a share.
        digest_of_all: the dataset's; the parts are read again only when it is another.
    """
    dataset = load_dataset(folder).hold_out(validation)
    parts = {"validation": dataset.validation, "test": dataset.test}
    return {f"images.{name}": digest_part(part) for name, part in parts.items() if part and len(part.inputs)}
