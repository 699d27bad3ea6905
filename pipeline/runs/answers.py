"""What a trained network answers to raw rows: those of a table, numbers, or images.

A raw row is as the user's data have it. The encoding that the preprocess stage has kept makes inputs of it.
So a row gets the same answer in the evaluation, by MLflow's server and on the command line.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.data.columns import unknown_categories, warn_of_unknown
from pipeline.data.dataset import Description, read_description
from pipeline.data.encoding import Columns, Text, read_encoding, shown
from pipeline.data.table_files import open_table
from pipeline.nn.types import Array
from pipeline.runs.copies import NO_COPIES, Copies, as_probabilities, log_probabilities
from pipeline.runs.models import TrainedModel, classify, count_inputs, load_model, predict_numbers
from pipeline.support.files import reading

COPIES = "copies.json"  # what `Copies.of` needs of the configuration that a model in MLflow was trained by


@dataclass(frozen=True)
class Answering:
    """A network with what it knows of its data.

    Attributes:
        model: the network.
        data: the description of what it was trained on.
        copies: of an image, over which its prediction is averaged.
    """

    model: TrainedModel
    data: Description
    copies: Copies = NO_COPIES

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what is in the `folder` of a model's artifacts in MLflow: see `pipeline.tracking.model`.

        Raises:
            UserError: if a file is missing or damaged.
        """
        model = load_model(folder / "model.npz")
        data = read_description(folder, Description, "train")
        path = folder / COPIES
        if not path.exists():  # the model was logged before predictions were averaged
            return cls(model, data)
        with reading(path, "train"):
            return cls(model, data, Copies.of(json.loads(path.read_bytes())))

    @property
    def columns(self) -> list[str]:
        """The columns of a table that a row has to have; none where rows are no table's."""
        encoding = read_encoding(self.data)
        return [column.name for column in encoding.columns] if isinstance(encoding, Columns) else []

    def inputs(self, raw: Any) -> Array:
        """Return the inputs, float32 (n, d), of raw rows.

        Args:
            raw: of a table, a pandas DataFrame with its columns, or a mapping from them to lists. Otherwise
                numbers, as an array, lists or a DataFrame: (n, d) or, of images, (n, rows, columns) or in
                colour (n, rows, columns, 3); one row alone is a batch of one. Of images of 8 bits they are
                in [0, 1].

        Raises:
            ValueError: saying in one line what is wrong.
        """
        encoding = read_encoding(self.data)
        try:
            if isinstance(encoding, Columns):
                return encoding.encode(_as_table(raw, self.columns))
            numbers = self._numbers(raw)
            return numbers.astype(np.float32) if self.data.encoding is None else encoding.encode(numbers)
        except (ValueError, TypeError, pa.ArrowException) as error:
            raise ValueError(" ".join(str(error).split())) from None

    def read(self, path: Path) -> Array:
        """Return the inputs, float32 (n, d), of the rows in the table at `path`.

        It is read as the table that the network was trained on: with its delimiter and its encoding.

        Raises:
            OSError: if the file cannot be opened.
            UserError: if it is no such table.
            ValueError: saying in one line what is wrong with a row.
        """
        encoding = read_encoding(self.data)
        assert isinstance(encoding, Columns)
        told = self.data.prepared
        table = open_table(path, told.get("dataset.delimiter"), told.get("dataset.encoding", "utf-8"))
        if lacking := [name for name in self.columns if name not in table.names]:
            raise ValueError(
                f"there is no column {shown(lacking[0])}: there are {shown(', '.join(table.names))}"
            )
        as_text = [column.name for column in encoding.columns if isinstance(column, Text)]
        inputs, row = [], table.first_row
        unknown: dict[str, Counter[str]] = {}
        read = set(self.columns)
        unread = [name for name in table.names if name not in read]
        for block in table.blocks(self.columns, as_text, unread=unread):
            inputs.append(encoding.encode(block, row))
            for column, texts in unknown_categories(encoding.columns, block).items():
                unknown.setdefault(column, Counter()).update(texts)
            row += len(block)
        if not inputs:
            raise ValueError("it holds no rows")
        warn_of_unknown(unknown)
        return np.concatenate(inputs)

    def answer(self, inputs: Array) -> pd.DataFrame:
        """Return what the network makes of `inputs`, a row each.

        Returns:
            Of a classification `label`, the class's name, and `probabilities`, by class. Of a regression
            `prediction` or, of several targets, `prediction_NAME`, in the target's own unit.
        """
        if self.data.task == "regression":
            numbers = predict_numbers(self.model, inputs, self.data.targets)
            several = len(self.data.targets) > 1
            names = [f"prediction_{each.name}" if several else "prediction" for each in self.data.targets]
            return pd.DataFrame(numbers, columns=names)
        found, probabilities = self.classify(inputs)
        classes = self.data.classes
        return pd.DataFrame(
            {
                "label": [classes[i] for i in found],
                "probabilities": [dict(zip(classes, map(float, row), strict=True)) for row in probabilities],
            }
        )

    def classify(self, inputs: Array) -> tuple[np.ndarray, Array]:
        """Return what the network takes `inputs` for, as `classify` does, averaged over the copies."""
        if self.copies.count == 1:
            return classify(self.model, inputs)
        logarithms = log_probabilities(self.model, inputs, self.copies, self.data.image_shape)
        return logarithms.argmax(axis=1), as_probabilities(logarithms)

    def _numbers(self, raw: Any) -> np.ndarray:
        """Return numbers as rows, shape (n, d)."""
        shape = self.data.image_shape or ()
        size = count_inputs(self.model)
        within = " in [0, 1]" if shape and self.data.encoding is None else ""
        right = f"; expected numbers{within} of shape (n, {size})"
        right += f" or {('n', *shape)}".replace("'", "") if shape else ""
        if isinstance(raw, pd.DataFrame):
            raw = raw.to_numpy()
        try:
            numbers = np.asarray(raw.tolist() if isinstance(raw, np.ndarray) else raw)
        except ValueError:  # rows of unequal length
            raise ValueError(f"not an array{right}") from None
        if numbers.dtype.kind not in ("iuf" if within else "biuf"):
            raise ValueError(f"dtype {numbers.dtype}{right}")
        flat = numbers.ndim in {1, 2} and numbers.shape[-1] == size
        whole = shape and numbers.shape[-len(shape) :] == shape and numbers.ndim - len(shape) in {0, 1}
        if not (flat or whole):
            raise ValueError(f"shape {numbers.shape}{right}")
        if within and not ((numbers >= 0) & (numbers <= 1)).all():
            raise ValueError(f"values outside [0, 1] or NaN{right}")
        return numbers.reshape(-1, size)


def _as_table(raw: Any, columns: list[str]) -> pd.DataFrame:
    if isinstance(raw, dict):
        raw = pd.DataFrame(raw)
    if not isinstance(raw, pd.DataFrame):
        raise ValueError(f"expected rows of a table with the columns {', '.join(columns)}")
    names = [str(name) for name in raw.columns]
    if twice := [name for name in columns if names.count(name) > 1]:
        raise ValueError(f"two columns are called {shown(twice[0])!r}")
    named = raw.set_axis(names, axis=1)
    # A column of several types, such as numbers and texts, is one of texts, as in a file.
    mixed = [name for name in names if pd.api.types.is_object_dtype(named[name])]
    return named.assign(**{name: named[name].map(str, na_action="ignore") for name in mixed})
