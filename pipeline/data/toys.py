"""Small real datasets that come with scikit-learn, written to files, as if they were your own."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.support.errors import UserError
from pipeline.support.files import replacing, sha256, write_text

TABLES = {
    "breast_cancer": "diagnosis",
    "diabetes": "progression",
    "iris": "species",
    "wine": "cultivar",
}
"""The names of the tables, and what the target of each is called here."""

ARRAYS = ("digits",)


def write_toy(name: str, kind: str, folder: Path) -> dict[str, str]:
    """Write the dataset of this `name`, as data of that `kind`, to `folder`.

    Returns:
        The SHA-256 of each file, by name.

    Raises:
        UserError: if there is none.
    """
    there = {"table": tuple(TABLES), "arrays": ARRAYS}.get(kind, ())
    if name not in there:
        raise UserError(
            f"dataset.path = sklearn:{name}: of the kind {kind} there is {', '.join(there) or 'none'}"
        )
    from sklearn import datasets  # here, since it takes a second

    if name in ARRAYS:
        digits: Any = datasets.load_digits()  # images (1797, 8, 8) from 0 to 16
        arrays = {"x.npy": digits.images.astype(np.uint8), "y.npy": digits.target.astype(np.uint8)}
        for file, array in arrays.items():
            with replacing(folder / file) as temporary:
                np.save(temporary, array)
        return {file: sha256(folder / file) for file in arrays}
    write_text(folder / f"{name}.csv", _as_csv(name))
    return {f"{name}.csv": sha256(folder / f"{name}.csv")}


def _as_csv(name: str) -> str:
    """Return the table of this `name` as CSV, with the target as its last column."""
    from sklearn import datasets

    unscaled = {"scaled": False} if name == "diabetes" else {}
    toy: Any = getattr(datasets, f"load_{name}")(**unscaled)
    classes = getattr(toy, "target_names", None)
    targets = toy.target.tolist() if classes is None else [str(classes[label]) for label in toy.target]
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([*toy.feature_names, TABLES[name]])
    writer.writerows([*row, target] for row, target in zip(toy.data.tolist(), targets, strict=True))
    return lines.getvalue()
