"""How a raw row becomes inputs: found out on the training part, then the same for every row."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from pipeline.data.dataset import Description
from pipeline.support.errors import shorten

MAX_SHOWN = 60  # characters of a value that a message quotes
NO_VALUE = pa.array(pyarrow.csv.ConvertOptions().null_values)  # `NA`, `NaN`, `null` and so on


class Encoding(Protocol):
    """What makes inputs of raw rows."""

    def encode(self, raw: Any, first_row: int = 1) -> np.ndarray:
        """Return the inputs, float32 (n, d), of `raw` rows.

        Args:
            raw: the rows, as the data have them.
            first_row: the number of the first of them, for messages.

        Raises:
            ValueError: naming row and column of what is wrong, in one line.
        """


@plain_dataclass(frozen=True)
class Bytes:
    """Images of 8 bits, uint8 (n, rows, columns) or (n, rows, columns, 3): divided by 255."""

    def encode(self, raw: np.ndarray, first_row: int = 1) -> np.ndarray:
        return raw.reshape(len(raw), -1) / np.float32(255)


@dataclass(frozen=True)
class Range:
    """Images of other numbers: what was `low` to `high` becomes 0 to 1."""

    low: float
    high: float
    kind: Literal["range"] = "range"

    def encode(self, raw: np.ndarray, first_row: int = 1) -> np.ndarray:
        values = np.asarray(raw, np.float64).reshape(len(raw), -1)
        _refuse_infinite(values, first_row)
        return ((values - self.low) / (self.high - self.low)).astype(np.float32)


@dataclass(frozen=True)
class Standard:
    """Numbers (n, d): less the mean of their column, divided by its deviation."""

    mean: list[float]
    deviation: list[float]
    kind: Literal["standard"] = "standard"

    def encode(self, raw: np.ndarray, first_row: int = 1) -> np.ndarray:
        values = np.asarray(raw, np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.mean):
            raise ValueError(f"numbers of shape {values.shape}: should be (n, {len(self.mean)})")
        _refuse_infinite(values, first_row)
        return ((values - np.array(self.mean)) / np.array(self.deviation)).astype(np.float32)


@dataclass(frozen=True)
class Number:
    """A column of numbers, which becomes one input, or two.

    Attributes:
        name: the column's.
        mean, deviation: of the training part; the input is (value − mean) / deviation.
        median: of the training part, for rows that have no value; None if each has to have one.
        indicator: whether a second input is 1 where there is no value, and 0 elsewhere.
    """

    name: str
    mean: float
    deviation: Annotated[float, Field(gt=0)]
    median: float | None = None
    indicator: bool = False
    kind: Literal["number"] = "number"

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs."""
        return [self.name, f"{self.name} is missing"] if self.indicator else [self.name]

    def encode(self, column: pa.Array, inputs: np.ndarray, decimal: str, first_row: int) -> None:
        """Write what comes of `column` to the columns of `inputs`."""
        values = numbers(column, self.name, decimal, first_row + np.arange(len(column)))
        missing = np.isnan(values)
        if missing.any():
            if self.median is None:
                raise ValueError(missing_value(self.name, first_row + int(np.argmax(missing))))
            values = np.where(missing, self.median, values)
        with np.errstate(over="ignore"):
            inputs[:, 0] = (values - self.mean) / self.deviation
        if (infinite := np.isinf(inputs[:, 0])).any():
            at = place(self.name, first_row + int(np.argmax(infinite)))
            raise ValueError(f"{at}: too large beside the numbers of the training part")
        if self.indicator:
            inputs[:, 1] = missing


@dataclass(frozen=True)
class Text:
    """A column of texts, which becomes one input for each category: 1 for the row's own, 0 for the others.

    Attributes:
        name: the column's.
        categories: of the training part, in order. Of a text that is none of them all inputs are 0.
        optional: whether a row may have no value: then all inputs are 0.
        indicator: whether a last input is 1 where there is no value.
    """

    name: str
    categories: list[str]
    optional: bool = False
    indicator: bool = False
    kind: Literal["text"] = "text"

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs."""
        names = [f"{self.name} = {category}" for category in self.categories]
        return [*names, f"{self.name} is missing"] if self.indicator else names

    def encode(self, column: pa.Array, inputs: np.ndarray, decimal: str, first_row: int) -> None:
        """Write what comes of `column` to the columns of `inputs`."""
        values, codes = distinct_texts(column)
        missing = codes < 0
        if missing.any() and not self.optional:
            raise ValueError(missing_value(self.name, first_row + int(np.argmax(missing))))
        found = pc.index_in(values, value_set=pa.array(self.categories, pa.string())).fill_null(-1)
        categories = np.append(np.asarray(found), -1)[codes]
        known = categories >= 0
        inputs[:] = 0
        inputs[np.flatnonzero(known), categories[known]] = 1
        if self.indicator:
            inputs[:, -1] = missing


@dataclass(frozen=True)
class Columns:
    """The columns of a table, in the order of the inputs; raw rows are a pandas DataFrame or of pyarrow.

    Attributes:
        columns: what becomes of each.
        decimal: what stands before the fraction of a number that is given as text.
    """

    columns: list[Annotated[Number | Text, Field(discriminator="kind")]]
    decimal: str = "."
    kind: Literal["columns"] = "columns"

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs."""
        return [name for column in self.columns for name in column.inputs]

    def encode(self, raw: Any, first_row: int = 1) -> np.ndarray:
        columns = dict(_columns(raw))
        if missing := [column.name for column in self.columns if column.name not in columns]:
            raise ValueError(
                f"there is no column {shown(missing[0])}: there are {', '.join(columns) or 'none'}"
            )
        inputs = np.empty((len(raw), len(self.inputs)), np.float32)
        start = 0
        for column in self.columns:
            end = start + len(column.inputs)
            column.encode(columns[column.name], inputs[:, start:end], self.decimal, first_row)
            start = end
        return inputs


AnyEncoding = Annotated[Range | Standard | Columns, Field(discriminator="kind")]


def read_encoding(description: Description) -> Encoding:
    """Return how the inputs of the dataset with this `description` are made."""
    if description.encoding is None:
        return Bytes()
    encoding: Encoding = TypeAdapter(AnyEncoding).validate_python(description.encoding)
    return encoding


def numbers(column: pa.Array, name: str, decimal: str, rows: np.ndarray) -> np.ndarray:
    """Return the values of `column` as float64, NaN where there is none.

    Args:
        column: its values.
        name: the column's.
        decimal: what stands before the fraction. If it is a comma, points are refused: 1.234 may be meant
            as one thousand and more.
        rows: int (n,), the number of each row in the file.

    Raises:
        NotANumberError: if a value is no number.
        ValueError: naming the row, if a value has such a point or is infinite.
    """
    if is_text(column.type):
        if decimal != ".":
            pointed = pc.match_substring(column, ".").fill_null(False)
            if (at := pointed.index(True).as_py()) >= 0:
                raise ValueError(
                    f"{place(name, rows[at])}: {shown(column[at].as_py())!r} has a point, and"
                    f" dataset.decimal = '{decimal}': take points out that only group the digits"
                )
            column = pc.replace_substring(column, decimal, ".")
        try:
            values = column.cast(pa.float64())
        except pa.ArrowInvalid:
            values = _parse(texts(column), name, rows)
    else:
        values = column.cast(pa.float64(), safe=False)
    found: np.ndarray = values.to_numpy(zero_copy_only=False)
    if (infinite := np.isinf(found)).any():
        raise ValueError(f"{place(name, rows[np.argmax(infinite)])}: infinite")
    return found


def texts(column: pa.Array) -> pa.StringArray:
    """Return the values of `column` as texts without spaces around them; null where nothing is left.

    Truth values are `true` and `false`, whoever wrote them.
    """
    values, codes = distinct_texts(column)
    return values.take(pa.array(codes, mask=codes < 0))


def distinct_texts(column: pa.Array) -> tuple[pa.StringArray, np.ndarray]:
    """Return the different values of `column` as in `texts`, and which of them each row has, −1 for none.

    Two of them may be the same, if there were spaces around one of them.
    """
    encoded = column.cast(pa.string()).dictionary_encode()
    values = pc.utf8_trim_whitespace(encoded.dictionary)
    # pyarrow has taken `NA` for no value, but not ` NA`, as it is after a comma and a space.
    no_value = pc.and_(pc.not_equal(values, encoded.dictionary), pc.is_in(values, value_set=NO_VALUE))
    values = pc.if_else(no_value, "", values)
    truth = pc.is_in(values, value_set=pa.array(["True", "TRUE", "False", "FALSE"]))
    values = pc.if_else(truth, pc.utf8_lower(values), values)
    codes = np.asarray(encoded.indices.fill_null(-1))
    empty = np.append(np.asarray(pc.equal(values, "")), False)
    return values, np.where(empty[codes], -1, codes)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this `kind` holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def place(column: str, row: int) -> str:
    """Return where something is wrong."""
    return f"row {row}, column {shown(column)}"


def shown(text: str) -> str:
    """Return `text`, shortened, in one line."""
    return shorten(text, MAX_SHOWN)


def option(key: str, column: str) -> str:
    """Return the option of `dvc exp run` that sets `key` to a list of this `column`, to paste into a shell.

    Hydra needs the quotation marks around the name, and a shell would take them away.
    """
    name = re.sub(r'(["$`\\])', r"\\\1", shown(column).replace("'", r"\'"))
    return f"-S \"{key}=['{name}']\""


def missing_value(column: str, row: int) -> str:
    """Return the message that a row has no value."""
    return f"{place(column, row)}: no value; dataset.missing=median or indicator says what stands in for it"


class NotANumberError(ValueError):
    """A text in a column of numbers.

    Args:
        column: the column's name.
        row: the row's number in the file.
        text: what stands there.
    """

    def __init__(self, column: str, row: int, text: str) -> None:
        super().__init__(f"{place(column, row)}: {shown(text)!r} is no number")
        self.column, self.row, self.text = column, row, text


def _parse(column: pa.StringArray, name: str, rows: np.ndarray) -> pa.Array:
    """Return the numbers that the trimmed texts of `column` spell."""
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        for row, text in zip(rows.tolist(), column.to_pylist(), strict=True):
            if text is not None and not is_number(text):
                raise NotANumberError(name, row, text) from None
        raise


def is_number(text: str) -> bool:
    """Return whether `text` is a number as tables have them: 3, -0.5, 1e-3, inf."""
    try:
        pa.scalar(text, pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _columns(raw: Any) -> Iterator[tuple[str, pa.Array]]:
    if isinstance(raw, pa.RecordBatch):
        yield from zip(raw.schema.names, raw.columns, strict=True)
        return
    for name in raw.columns:
        column = pa.array(raw[name], from_pandas=True)
        yield str(name), column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _refuse_infinite(values: np.ndarray, first_row: int) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        row, column = divmod(int(np.argmin(finite)), math.prod(values.shape[1:]))
        raise ValueError(f"row {first_row + row}, number {column + 1} in it: NaN or infinite")
