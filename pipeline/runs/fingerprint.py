"""The fingerprint of a training: a hash of everything that its model is made from.

Trainings with the same fingerprint have the same configuration, data and code, and so give the same bits. A
checkpoint serves only the training of its fingerprint, and a sweep skips a job whose fingerprint is that of a
finished one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from typing import Any

from pipeline.config.schema import Config, GeneratedDataset, ingredients
from pipeline.data.dataset import digest
from pipeline.support.files import ROOT, hash_files

CODE = (
    "pipeline/train.py",
    "pipeline/data",
    "pipeline/nn",
    "pipeline/runs",
    "pipeline/support/elementary.py",
)
"""The files and folders that a model depends on: the code in train's deps in dvc.yaml."""
LIBRARIES = ("numpy",)
"""Those that a model depends on, and that its file needs to be used."""


def fingerprint(config: Config) -> str:
    """Return a hash of what `config` trains a model from, with the data and the code that are here now.

    The files in `data/processed` count, unless the dataset is generated from the configuration.
    """
    return digest_values({**ingredients(asdict(config), digest_data(config)), "code": digest_code()})


def digest_data(config: Config) -> str | None:
    """Return the digest of `data/processed`; None if `config` generates its dataset."""
    return None if isinstance(config.dataset, GeneratedDataset) else digest()


@cache
def digest_code() -> str:
    """Return a hash of the libraries' versions and the code that models depend on.

    The code is hashed at the first call only, since later changes do not reach this process.
    """
    return digest_values(
        {**{name: version(name) for name in LIBRARIES}, **{path: hash_files(ROOT / path) for path in CODE}}
    )


def digest_values(values: Mapping[str, Any]) -> str:
    """Return a hash of `values`, which JSON can hold."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
