"""CSV, TSV and Parquet files, read in blocks of rows by pyarrow, on one thread."""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.data.encoding import is_number, is_text, option, place, shown
from pipeline.data.idx import GZIP_MAGIC
from pipeline.support.errors import UserError, warn

BLOCK_BYTES = 1 << 20  # of a CSV file that are read at once: what fits into a processor's cache
BLOCK_VALUES = 1 << 19  # of a Parquet file
MOST_COLUMNS = 10_000
LINE_END = re.compile(r"[\r\n]")
INDEX_OF_PANDAS = re.compile(r"__index_level_\d+__")  # rows' numbers before, which pandas keeps
DELIMITERS = {",": "','", ";": "';'", "\t": r"'\t'", "|": "'|'"}
FIRST_BYTES = {
    b"PK\x03\x04": "it is a zip archive, perhaps an Excel workbook: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "it is an old Excel workbook: save the sheet as CSV",
    b"<": "it begins with <, as a web page does, so it is no table",
    b"\xff\xfe": "it begins with ff fe, as UTF-16 does: dataset.encoding=utf-16 reads that",
    b"\xfe\xff": "it begins with fe ff, as UTF-16 does: dataset.encoding=utf-16 reads that",
}


class ConversionError(Exception):
    """A value is no number."""


class TableFile(Protocol):
    """A table on disk.

    Attributes:
        path: where it is.
        names: its columns.
        first_row: the number of its first row of values, as editors and spreadsheets count.
    """

    path: Path
    names: list[str]
    first_row: int

    def blocks(
        self,
        columns: Sequence[str],
        texts: Collection[str] = (),
        numbers: Collection[str] = (),
        unread: Sequence[str] = (),
    ) -> Iterator[pa.RecordBatch]:
        """Yield these `columns`, block by block.

        Args:
            columns: their names.
            texts: those that are read as text, whatever they hold.
            numbers: those that are read as numbers at once, which is faster.
            unread: other columns. If a quotation mark in them seems not to be closed, the user is warned.

        Raises:
            UserError: naming the row, if the file is damaged.
            ConversionError: if a value of `numbers` is none.
        """


def open_table(path: Path, delimiter: str | None, encoding: str) -> TableFile:
    """Open the table at `path`.

    Args:
        path: a CSV, TSV or Parquet file; CSV and TSV may be gzipped.
        delimiter: between two values of a row; None for a tab in a .tsv file and a comma elsewhere.
        encoding: of a CSV file.

    Raises:
        UserError: if it is none of these, or its header is not what a header should be.
    """
    with path.open("rb") as file:
        begin = file.read(4)
    if begin == b"PAR1":
        table: TableFile = ParquetFile(path)
    else:
        suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
        if suffix.lower() == ".parquet":
            raise UserError(f"{path}: it begins with {begin.hex(' ') or 'nothing'}, so it is no Parquet file")
        table = CsvFile(path, delimiter or ("\t" if suffix.lower() == ".tsv" else ","), encoding)
    if len(table.names) > MOST_COLUMNS:
        raise UserError(
            f"{path}: it has {len(table.names):,} columns, and a table is read with at most {MOST_COLUMNS:,}:"
            " save the numbers as an array (x.npy, y.npy), which dataset=arrays reads"
        )
    seen: set[str] = set()
    for name in table.names:
        if name in seen:
            called = f"are called {shown(name)!r}" if name else "have no name in row 1"
            raise UserError(f"{path}: two columns {called}: give each a name of its own")
        seen.add(name)
    return table


class CsvFile:
    """A table as text; each block holds texts."""

    first_row = 2  # the header is row 1

    def __init__(self, path: Path, delimiter: str, encoding: str) -> None:
        self.path, self.delimiter = path, delimiter
        name = codecs.lookup(encoding).name
        self.encoding = name if name.startswith("utf-") else encoding  # not utf8, UTF-16 …
        self._compression: str | None = None
        self._header = self._read_header()
        self.names = [name.strip() for name in self._header]

    def _read_header(self) -> list[str]:
        """Return the names in the first row, as they stand there."""
        with self.path.open("rb") as raw:
            begin = raw.read(4)
            raw.seek(0)
            for magic, reason in FIRST_BYTES.items():
                if begin.startswith(magic) and not (self.encoding.startswith("utf-16") and magic[0] >= 0xFE):
                    raise UserError(f"{self.path}: {reason}")
            self._compression = "gzip" if begin.startswith(GZIP_MAGIC) else None
            opened = gzip.GzipFile(fileobj=raw) if self._compression else raw
            encoding = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
            csv.field_size_limit(1 << 24)
            # More than the header is decoded at once, and what is wrong below it is not wrong here.
            lines = io.TextIOWrapper(opened, encoding, errors="surrogateescape", newline="")
            try:
                header = next(filter(None, csv.reader(lines, delimiter=self.delimiter)), [])
            except UnicodeError:
                raise UserError(self._wrong_encoding("row 1")) from None
            except (csv.Error, EOFError, OSError, zlib.error) as error:
                raise UserError(f"{self.path}: {shown(str(error))}") from None
        if any("\udc80" <= letter <= "\udcff" for name in header for letter in name):
            raise UserError(self._wrong_encoding("row 1"))
        if not header:
            raise UserError(f"{self.path}: there is nothing in it")
        for name in header:
            if LINE_END.search(name):
                raise UserError(
                    f"{self.path}: row 1: the name {shown(name)!r} has several lines: is a quotation mark not"
                    " closed?"
                )
        for other, spelled in DELIMITERS.items():
            if len(header) == 1 and other in header[0]:
                raise UserError(
                    f"{self.path}: row 1 is a single column, {shown(header[0])!r}: should the delimiter be"
                    f' {spelled}? -S "dataset.delimiter={spelled}" says so'
                )
        if all(is_number(name) for name in header):
            raise UserError(f"{self.path}: row 1 holds numbers: it should hold the names of the columns")
        return header

    def blocks(
        self,
        columns: Sequence[str],
        texts: Collection[str] = (),
        numbers: Collection[str] = (),
        unread: Sequence[str] = (),
    ) -> Iterator[pa.RecordBatch]:
        wanted = [self._header[self.names.index(name)] for name in [*columns, *unread]]
        options = {
            "read_options": pyarrow.csv.ReadOptions(
                use_threads=False, block_size=BLOCK_BYTES, encoding=self.encoding
            ),
            "parse_options": pyarrow.csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            "convert_options": pyarrow.csv.ConvertOptions(
                include_columns=wanted,
                column_types={
                    name: pa.float64() if name.strip() in numbers else pa.string() for name in self._header
                },
                strings_can_be_null=True,
            ),
        }
        try:
            row, warned = self.first_row, False
            with pa.input_stream(str(self.path), compression=self._compression) as stream:
                for block in pyarrow.csv.open_csv(stream, **options):
                    named = block.rename_columns([*columns, *unread])
                    read = named.select(columns)
                    if found := several_lines(read, row):
                        raise UserError(f"{self.path}: {found}: is a quotation mark not closed?")
                    if not warned and (found := several_lines(named.select(unread), row)):
                        warn(
                            f"warning: {self.path}: {found}. The column is not used. But if a quotation mark"
                            " is not closed there, the rows up to the next one are lost"
                        )
                        warned = True
                    row += len(block)
                    yield read
        except (pa.ArrowException, UnicodeError, OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            if "conversion error to double" in str(error):
                raise ConversionError from None
            if "Empty CSV file" not in str(error):  # a header and no row
                raise UserError(self._explain(str(error))) from None

    def _explain(self, message: str) -> str:
        """Return pyarrow's `message` in our words."""
        if ragged := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message):
            row, expected, got = ragged.groups()
            quoted = "; is a quotation mark not closed?" if '"' in message else ""
            return f"{self.path}: row {row} has {got} values, but the header has {expected} names{quoted}"
        if "UTF8" in message or "codec can't decode" in message:
            row = re.search(r"Row #(\d+)", message)
            return self._wrong_encoding(f"row {row[1]}" if row else "it")
        if "straddling" in message:
            return (
                f"{self.path}: a row is longer than {BLOCK_BYTES >> 20} MB; is a quotation mark not closed?"
            )
        return f"{self.path}: {shown(message)}"

    def _wrong_encoding(self, where: str) -> str:
        return (
            f"{self.path}: {where} is not {self.encoding}: dataset.encoding should say what it is, such as"
            " latin-1 or cp1252 of a file from Windows"
        )


def several_lines(block: pa.RecordBatch, row: int) -> str | None:
    """Return where a text of `block`, whose first row is `row`, has several lines; None if none has.

    It would be a category that nobody means. And most often, a quotation mark is not closed, and the text
    holds the rows up to the next one.
    """
    for name, column in zip(block.schema.names, block.columns, strict=True):
        if is_text(column.type):
            ends = [pc.match_substring(column, end) for end in "\n\r"]
            several = pc.or_(*ends).fill_null(False)
            if (at := several.index(True).as_py()) >= 0:
                return f"{place(name, row + at)}: {shown(column[at].as_py())!r} has several lines"
    return None


class ParquetFile:
    """A table with a type for each column."""

    first_row = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._schema = pq.ParquetFile(path).schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path}: it is damaged, perhaps cut short ({shown(str(error))})") from None
        self.names = [name for name in self._schema.names if not INDEX_OF_PANDAS.fullmatch(name)]

    def blocks(
        self,
        columns: Sequence[str],
        texts: Collection[str] = (),
        numbers: Collection[str] = (),
        unread: Sequence[str] = (),
    ) -> Iterator[pa.RecordBatch]:
        kinds = {name: self._kind(name, name in texts) for name in columns}
        schema = pa.schema(list(kinds.items()))
        rows = max(1, BLOCK_VALUES // max(1, len(columns)))
        try:
            with pq.ParquetFile(self.path, pre_buffer=False) as file:
                for block in file.iter_batches(rows, columns=list(columns), use_threads=False):
                    # pyarrow yields the columns in the file's order
                    arrays = [_as_kind(block.column(name), kind) for name, kind in kinds.items()]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{self.path}: it is damaged ({shown(str(error))})") from None

    def _kind(self, name: str, as_text: bool) -> pa.DataType:
        """Return as what the column of this `name` is read: text or float64."""
        kind = self._schema.field(name).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if is_text(kind) or pa.types.is_boolean(kind) or (as_text and pa.types.is_temporal(kind)):
            return pa.string()
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return pa.string() if as_text else pa.float64()
        what = "dates or times" if pa.types.is_temporal(kind) else str(kind)
        raise UserError(
            f"{self.path}: column {shown(name)}: it holds {what}: make numbers of it, such as year and month,"
            f" or leave it out: {option('dataset.drop', name)}"
        )


def _as_kind(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return `column` as texts or as numbers; among texts, NaN is no value."""
    if pa.types.is_floating(column.type) and is_text(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
    return column.cast(kind, safe=False)
