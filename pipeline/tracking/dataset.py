"""What MLflow is told of the data that a model was trained on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.dataset import PROCESSED, digest, digest_part, load_dataset
from pipeline.data.generated import GENERATORS, generate


@dataclass(frozen=True)
class DataSource:
    """The data that a model was trained on.

    Attributes:
        description: name, title, classes and image_shape.
        digest: a SHA-256 of all of it.
        origin: where it is from, in MLflow's terms.
        images: how many there were to learn from, with those held out for validation.
        example: one image, shape (1, d).
        tags: the dataset's name, and for each part that runs are compared by a digest of its images and
            labels: accuracies can be compared where these are equal, however the other images are split.
    """

    description: dict[str, Any]
    digest: str
    origin: dict[str, str]
    images: int
    example: np.ndarray
    tags: dict[str, str]


def describe_data(config: Mapping[str, Any], root: Path) -> DataSource:
    """Return what there is to say of the data that `config`, nested, asks for.

    Args:
        config: of the training.
        root: the folder with `data/processed`, which is not looked at for a generated dataset.

    Raises:
        UserError: if they are missing or damaged.
    """
    if config["dataset"]["kind"] in GENERATORS:
        dataset = generate(**config["dataset"])
        made_from = json.dumps(config["dataset"])
        digest_of_data, tags = hashlib.sha256(made_from.encode()).hexdigest(), {}
        origin = {"source_type": "code", "source": made_from}
    else:
        dataset = load_dataset(root / PROCESSED)
        digest_of_data = digest(root / PROCESSED)
        tags = digest_parts(root / PROCESSED, config["split"]["validation"], digest_of_data)
        origin = {"source_type": "local", "source": json.dumps({"uri": PROCESSED.as_posix()})}
    return DataSource(
        description={key: getattr(dataset, key) for key in ("name", "title", "classes", "image_shape")},
        digest=digest_of_data,
        origin=origin,
        images=len(dataset.train.images),
        example=np.array(dataset.train.images[:1]),
        tags={"dataset": dataset.name, **tags},
    )


@cache
def digest_parts(folder: Path, validation: int, digest_of_data: str) -> dict[str, str]:
    """Return the tag for each part by which runs are compared, of the processed dataset in `folder`.

    Args:
        folder: where the dataset is.
        validation: how many images are held out.
        digest_of_data: the dataset's; the parts are read again only when it is another.
    """
    dataset = load_dataset(folder).hold_out(validation)
    parts = {"validation": dataset.validation, "test": dataset.test}
    return {f"images.{name}": digest_part(part) for name, part in parts.items() if part and len(part.images)}
