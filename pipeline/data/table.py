"""Tables: a row for each example, in a CSV, TSV or Parquet file."""

from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.data.columns import ColumnStatistics
from pipeline.data.encoding import (
    Columns,
    NotANumberError,
    is_number,
    numbers,
    option,
    place,
    shown,
    texts,
)
from pipeline.data.own import TableDataset
from pipeline.data.rows import MOST_CLASSES, Rows
from pipeline.data.table_files import ConversionError, open_table
from pipeline.support.errors import UserError

MOST_INPUTS = 100_000
CELLS_OF_SAMPLE = 1 << 22  # numbers kept for the medians: 32 MB


class Table:
    """The rows of a table."""

    def __init__(self, folder: Path, files: list[str], dataset: TableDataset, groups: str | None) -> None:
        [name] = files
        self.dataset, self.groups = dataset, groups
        self.file = open_table(folder / name, dataset.delimiter, dataset.encoding)
        self.first_row = self.file.first_row
        targets = dataset.target or ""
        named = targets if isinstance(targets, list) else [targets]
        self.targets = [self._find(target, "dataset.target") for target in named]
        others = {"dataset.drop": dataset.drop, "dataset.text": dataset.text}
        others |= {"dataset.features": dataset.features or [], "split.groups": [groups] if groups else []}
        for key, names in others.items():
            for column in names:
                self._find(column, key)
        left_out = {*self.targets, *dataset.drop, *([groups] if groups else [])}
        chosen = self.file.names if dataset.features is None else dataset.features
        self.features = [name for name in chosen if dataset.features is not None or name not in left_out]
        self._check_features()

    def _find(self, name: str, key: str) -> str:
        """Return `name`, a column that `key` names."""
        if name in self.file.names and (name or key != "dataset.target"):  # the rows' numbers have no name
            return name
        near = get_close_matches(name, self.file.names, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        columns = shown(", ".join(self.file.names[:20]))
        raise UserError(f"{key} = {name or 'null'}: {self.place()} has the columns {columns}{hint}")

    def _check_features(self) -> None:
        for key, names in {"dataset.features": self.features, "dataset.target": self.targets}.items():
            if twice := [name for name in names if names.count(name) > 1]:
                raise UserError(f"{key} has {twice[0]} twice: leave one out")
        if both := [name for name in self.features if name in self.targets]:
            raise UserError(f"dataset.features has {both[0]}, which is the target: leave it out")
        if not self.features:
            raise UserError(f"{self.place()}: there is no column to predict {', '.join(self.targets)} from")
        if "" in self.features:
            raise UserError(
                f"{self.place()}: column {self.file.names.index('') + 1} has no name in row 1: give it one,"
                f" or leave it out, as in {option('dataset.drop', '')}"
            )

    def place(self) -> str:
        return str(self.file.path)

    def image_shape(self) -> None:
        return None

    def blocks(self) -> Iterator[pa.RecordBatch]:
        done = 0
        try:
            for block in self.file.blocks(self.features, self.dataset.text, self._like_numbers):
                yield block
                done += 1
        except ConversionError:  # what takes the texts can say which value is no number, or trim it
            yield from islice(self.file.blocks(self.features, self.dataset.text), done, None)

    @cached_property
    def _like_numbers(self) -> frozenset[str]:
        """Return the features that hold numbers and nothing else in the first block."""
        found: set[str] = set()
        for block in islice(self.file.blocks(self.features), 1 if self.dataset.decimal == "." else 0):
            for name in set(self.features) - set(self.dataset.text):
                with suppress(ValueError):
                    if not np.isnan(numbers(block.column(name), name, ".", np.arange(len(block)))).all():
                        found.add(name)
        return frozenset(found)

    def scan(self) -> Rows:
        regression = self.dataset.task == "regression"
        wanted = [*self.targets, *([self.groups] if self.groups else [])]
        as_text = wanted[len(self.targets) :] if regression else wanted
        values: list[np.ndarray] = []
        of_groups: list[np.ndarray] = []
        classes, groups = Codes(np.int16), Codes(np.int32)
        row = self.first_row
        try:
            read = {*wanted, *self.features}
            unread = [name for name in self.file.names if name not in read]
            for block in self.file.blocks(list(dict.fromkeys(wanted)), as_text, unread=unread):
                if regression:
                    targets = [self._target_numbers(block.column(name), name, row) for name in self.targets]
                    values.append(np.stack(targets, axis=1))
                else:
                    values.append(classes.of(block.column(self.targets[0]), self.targets[0], row))
                    self._check_class_count(classes)
                if self.groups:
                    of_groups.append(groups.of(block.column(self.groups), self.groups, row))
                row += len(block)
        except ValueError as error:
            raise UserError(f"{self.place()}: {error}") from None
        if row == self.first_row:
            raise UserError(f"{self.place()}: it holds no rows")
        joined = np.concatenate(of_groups) if of_groups else None
        if regression:
            return Rows(np.concatenate(values), [], self.targets, joined)
        names, new = classes.in_order()
        self._check_whole(names)
        return Rows(np.concatenate([new[block] for block in values]), names, [], joined)

    def _target_numbers(self, column: pa.Array, name: str, row: int) -> np.ndarray:
        """Return the values of a regression's target."""
        found = numbers(column, name, self.dataset.decimal, row + np.arange(len(column)))
        if (missing := np.isnan(found)).any():
            raise ValueError(f"{place(name, row + int(np.argmax(missing)))}: the target has no value")
        return found

    def _check_whole(self, names: list[str]) -> None:
        """Raise `UserError` if the classes are numbers with fractions."""
        numbers_in = [name.replace(self.dataset.decimal, ".") for name in names]
        if all(map(is_number, numbers_in)):
            for name, number in zip(names, numbers_in, strict=True):
                if not float(number).is_integer():
                    raise UserError(
                        f"{self.place()}: column {shown(self.targets[0])} holds {shown(name)}: classes should"
                        " be whole numbers or texts; if it is a number to be predicted, say"
                        " dataset.task=regression"
                    )

    def _check_class_count(self, classes: "Codes") -> None:
        if len(classes.names) > MOST_CLASSES:
            raise ValueError(
                f"column {shown(self.targets[0])}: more than {MOST_CLASSES:,} different classes; if it is a"
                " number to be predicted, say dataset.task=regression"
            )

    def fit(self, training: np.ndarray) -> Columns:
        cells = int(training.sum()) * len(self.features)
        share = 0 if self.dataset.missing == "error" else min(1, CELLS_OF_SAMPLE / max(1, cells))
        statistics = [
            ColumnStatistics(name, self.dataset.decimal, name in self.dataset.text, share)
            for name in self.features
        ]
        start = 0
        try:
            for block in self.blocks():
                chosen = training[start : start + len(block)]
                rows = np.flatnonzero(chosen) + self.first_row + start
                if len(rows):
                    training_rows = block if len(rows) == len(block) else block.filter(pa.array(chosen))
                    for column, column_statistics in zip(training_rows.columns, statistics, strict=True):
                        column_statistics.add(column, rows)
                start += len(block)
            columns = [column_statistics.finish(self.dataset.missing) for column_statistics in statistics]
        except ValueError as error:
            raise UserError(f"{self.place()}: {error}{self._hint(error)}") from None
        encoding = Columns(columns, self.dataset.decimal)
        if len(encoding.inputs) > MOST_INPUTS:
            raise UserError(
                f"{self.place()}: its texts make {len(encoding.inputs):,} inputs: leave columns with many"
                " different texts out (dataset.drop)"
            )
        return encoding

    def _hint(self, error: ValueError) -> str:
        """Return what to do about a text among numbers."""
        if not isinstance(error, NotANumberError):
            return ""
        return (
            ", as the values before it are: mend it, leave it empty if there is no value, or say"
            f" {option('dataset.text', error.column)} to take the column as text"
        )


class Codes:
    """Texts, numbered in the order in which they come.

    Args:
        dtype: of the numbers.
    """

    def __init__(self, dtype: type) -> None:
        self.names: dict[str, int] = {}
        self.dtype = dtype

    def of(self, column: pa.Array, name: str, row: int) -> np.ndarray:
        """Return the numbers of the values of `column`; `row` is the number of the first of them."""
        values = texts(column)
        if values.null_count:
            raise ValueError(f"{place(name, row + values.is_null().to_pylist().index(True))}: no value")
        encoded = values.dictionary_encode()
        new = [self.names.setdefault(text, len(self.names)) for text in encoded.dictionary.to_pylist()]
        found: np.ndarray = np.array(new)[np.asarray(encoded.indices)].astype(self.dtype)
        return found

    def in_order(self) -> tuple[list[str], np.ndarray]:
        """Return the texts in order, numbers by their size, and the new number of each old one."""
        names = sorted(self.names, key=_by_size)
        new: np.ndarray = np.empty(len(names), self.dtype)
        new[[self.names[name] for name in names]] = np.arange(len(names))
        return names, new


def _by_size(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
