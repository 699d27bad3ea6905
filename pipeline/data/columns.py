"""What there is to know of a table's column: found out on the rows of the training part."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from pipeline.data.encoding import (
    NotANumberError,
    Number,
    Text,
    distinct_texts,
    is_number,
    is_text,
    missing_value,
    numbers,
    option,
    place,
    shown,
    texts,
)
from pipeline.data.moments import Moments
from pipeline.support.errors import warn

MOST_CATEGORIES = 1000
DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})( .*)?")
WITH_COMMAS = re.compile(r"[+-]?[\d.]*\d,\d+")
WITH_SIGN = re.compile(r"[$€£¥]\s?[+-]?\d[\d.,]*|[+-]?\d[\d.,]*\s?[%$€£¥]")
MOST_NUMBERS = 0.5  # of the categories: if more are numbers, the others are in the wrong place


class ColumnStatistics:
    """The statistics of a column, which is of numbers if its first value is one, and of texts otherwise.

    Args:
        name: the column's.
        decimal: what stands before the fraction of a number.
        as_text: whether it is taken as text, whatever its values are.
        share: of the rows, drawn at random, that count for the median; 0 if none is needed.
    """

    def __init__(self, name: str, decimal: str, as_text: bool, share: float) -> None:
        self.name, self.decimal, self.as_text, self.share = name, decimal, as_text, share
        self.of_texts = as_text
        self.first_missing: int | None = None
        self.random = np.random.Generator(np.random.PCG64(0))  # the same rows in every run
        self.first_text: tuple[int, str] | None = None
        self.moments = Moments()
        self.sample: list[np.ndarray] = []
        self.categories: set[str] = set()

    def add(self, column: pa.Array, rows: np.ndarray) -> None:
        """Take in the values of `column`; `rows` are the numbers of their rows in the file.

        Raises:
            ValueError: naming the row of a value that is not what the column's other values are.
        """
        if self.first_text is None:
            self._look_at_first(column, rows)
        if self.of_texts:
            values, codes = distinct_texts(column)
            missing = codes < 0
            if len(self.categories) <= MOST_CATEGORIES:
                self.categories |= set(values.to_pylist()) - {""}
        else:
            found = self._numbers(column, rows)
            missing = np.isnan(found)
            self.moments.add(found[~missing])
            if self.share:
                self.sample.append(found[self.random.random(len(found)) < self.share])
        if self.first_missing is None and missing.any():
            self.first_missing = int(rows[np.argmax(missing)])

    def _look_at_first(self, column: pa.Array, rows: np.ndarray) -> None:
        """Decide by the first value that is there what the column is of."""
        if not is_text(column.type):
            self.first_text = int(rows[0]), ""
            return
        values = texts(column)
        there = np.flatnonzero(~values.is_null().to_numpy(zero_copy_only=False))
        if not len(there):
            return
        row, text = int(rows[there[0]]), values[int(there[0])].as_py()
        self.first_text = row, text
        if self.as_text:
            return
        self.of_texts = not is_number(text.replace(self.decimal, "."))
        where = f"{place(self.name, row)}: {shown(text)!r}"
        if text == self.name:
            raise ValueError(self._header_twice(row))
        if DATE.fullmatch(text):
            raise ValueError(
                f"{where} is a date: make numbers of it, such as year and month, or leave the column out:"
                f" {option('dataset.drop', self.name)}"
            )
        if self.of_texts and WITH_COMMAS.fullmatch(text):
            raise ValueError(
                f"{where} is no number: say -S \"dataset.decimal=','\" if the comma stands before the"
                " fraction, and take commas out that only group the digits"
            )
        if self.of_texts and WITH_SIGN.fullmatch(text):
            raise ValueError(
                f"{where} is no number: take out the sign beside the digits, or say"
                f" {option('dataset.text', self.name)} to take the column as text"
            )

    def _numbers(self, column: pa.Array, rows: np.ndarray) -> np.ndarray:
        """Return the numbers in `column`; an error names the row in the file."""
        try:
            return numbers(column, self.name, self.decimal, rows)
        except NotANumberError as error:
            if error.text == self.name:
                raise ValueError(self._header_twice(error.row)) from None
            raise

    def _header_twice(self, row: int) -> str:
        name = shown(self.name)
        return f"{place(self.name, row)}: {name!r} is the column's name: the header is there twice"

    def finish(self, missing: str) -> Number | Text:
        """Return how the column is encoded.

        Args:
            missing: `dataset.missing`.

        Raises:
            ValueError: if the training part does not say.
        """
        if self.first_text is None or not (self.of_texts or self.moments.count):
            raise ValueError(
                f"column {shown(self.name)}: no row of the training part has a value: leave it out:"
                f" {option('dataset.drop', self.name)}"
            )
        if self.first_missing is not None and missing == "error":
            raise ValueError(missing_value(self.name, self.first_missing))
        indicator = missing == "indicator" and self.first_missing is not None
        if self.of_texts:
            self._check_categories()
            return Text(self.name, sorted(self.categories), missing != "error", indicator)
        mean, deviation = float(self.moments.mean()), float(self.moments.deviation())
        if not np.isfinite([mean, deviation]).all():
            raise ValueError(f"column {shown(self.name)}: its numbers are too large to be added up")
        median = self._median() if missing != "error" else None
        return Number(self.name, mean, deviation or 1.0, median, indicator)

    def _median(self) -> float:
        sample = np.concatenate(self.sample)
        there = sample[~np.isnan(sample)]
        return float(np.median(there)) if len(there) else float(self.moments.mean())

    def _check_categories(self) -> None:
        row, text = self.first_text or (0, "")
        of_numbers = [category for category in self.categories if is_number(category)]
        if not self.as_text and len(of_numbers) > MOST_NUMBERS * len(self.categories):
            raise NotANumberError(self.name, row, text)
        if len(self.categories) > MOST_CATEGORIES:
            raise ValueError(
                f"column {shown(self.name)}: more than {MOST_CATEGORIES:,} different texts, and each would be"
                f" an input: leave it out: {option('dataset.drop', self.name)}"
            )


def warn_of_unknown(unknown: Mapping[str, Mapping[str, int]]) -> None:
    """Warn the user of texts that are no categories, by column and with the number of their rows."""
    for column, counts in unknown.items():
        text, _ = max(counts.items(), key=lambda item: (item[1], item[0]))
        rows = sum(counts.values())
        hold = "rows hold texts" if rows > 1 else "row holds a text"
        warn(
            f"warning: column {column}: {rows:,} {hold} that no training row has, such as {shown(text)!r}:"
            " all inputs of the column are 0 there"
        )


def unknown_categories(columns: Sequence[Number | Text], raw: pa.RecordBatch) -> dict[str, dict[str, int]]:
    """Return how many `raw` rows have which text that is no category, by column."""
    found: dict[str, dict[str, int]] = {}
    for column in columns:
        if isinstance(column, Text):
            values, codes = distinct_texts(raw.column(column.name))
            counts = np.bincount(codes[codes >= 0], minlength=len(values))
            known = {*column.categories, ""}
            of_column = {
                text: int(count)
                for text, count in zip(values.to_pylist(), counts, strict=True)
                if text not in known
            }
            found |= {column.name: of_column} if of_column else {}
    return found
