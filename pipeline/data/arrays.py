"""NumPy arrays x and y: in an .npz file, or as x.npy and y.npy in a folder. No pickle is ever loaded."""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from pipeline.data.encoding import Bytes, Encoding, Range, Standard, shown
from pipeline.data.moments import Moments
from pipeline.data.own import ArraysDataset
from pipeline.data.rows import MOST_CLASSES, Rows
from pipeline.support.errors import UserError

BLOCK_BYTES = 1 << 22
MOST_HEADER = 10_000  # bytes of an array's header


class Arrays:
    """The rows of the arrays x, the inputs, and y, the targets.

    Attributes:
        shape: of x: (n, d) numbers, or (n, rows, columns) or (n, rows, columns, 3) images.
    """

    first_row = 0  # as NumPy counts

    def __init__(self, folder: Path, files: list[str], dataset: ArraysDataset, groups: str | None) -> None:
        if groups:
            raise UserError(f"split.groups = {groups}: arrays have no column of that name; a table has")
        self.dataset = dataset
        self.paths = [folder / name for name in sorted(files)]
        with self._opened("x") as (_, dtype, shape):
            self.dtype = dtype
            self.shape = shape[:-1] if len(shape) == 4 and shape[3] == 1 else shape
        if dtype.kind not in "buif":
            raise UserError(f"{self.place()}: x holds {dtype}: it should hold numbers")
        if len(self.shape) == 1:
            self.shape = (*shape, 1)
        right = len(self.shape) in {2, 3} or (len(self.shape) == 4 and self.shape[3] == 3)
        if not right or not math.prod(self.shape):
            raise UserError(
                f"{self.place()}: x has the shape {shape}: it should be (n, d) of numbers, or (n, rows,"
                " columns) or (n, rows, columns, 3) of images"
            )

        if dataset.range and self.image_shape() is None:
            raise UserError(
                f"dataset.range = {dataset.range}: should be null for numbers, which become inputs with mean"
                " 0 and deviation 1; it is for images, x of shape (n, rows, columns)"
            )

    def place(self) -> str:
        return " and ".join(map(str, self.paths))

    def image_shape(self) -> list[int] | None:
        return list(self.shape[1:]) if len(self.shape) > 2 else None

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[IO[bytes], np.dtype[Any], tuple[int, ...]]]:
        """Open the array of this `name`: its bytes, type and shape."""
        where = f"{self.place()}: {name}"
        try:
            with self._stream(name) as file:
                version = np.lib.format.read_magic(file)
                read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
                    version, np.lib.format.read_array_header_2_0
                )
                shape, fortran, dtype = read(file, max_header_size=MOST_HEADER)
                if dtype.hasobject:
                    raise UserError(
                        f"{where} holds Python objects, which are pickled, and no pickle is loaded here: save"
                        " numbers, as in x.astype(float)"
                    )
                if fortran and len(shape) > 1:
                    raise UserError(f"{where} is in Fortran's order: save np.ascontiguousarray({name})")
                yield file, dtype, shape
        except KeyError:
            raise UserError(f"{self.place()}: there is no array {name}: it holds {self._names()}") from None
        except (ValueError, BadZipFile, EOFError, OverflowError, zlib.error) as error:
            raise UserError(f"{where} is damaged ({shown(str(error))})") from None

    @contextmanager
    def _stream(self, name: str) -> Iterator[IO[bytes]]:
        if len(self.paths) == 2:
            with self.paths["xy".index(name)].open("rb") as plain:
                yield plain
            return
        with ZipFile(self.paths[0]) as archive, archive.open(f"{name}.npy") as member:
            yield member

    def _names(self) -> str:
        with ZipFile(self.paths[0]) as archive:
            return shown(", ".join(name.removesuffix(".npy") for name in archive.namelist()) or "nothing")

    def _read(self, name: str) -> Iterator[np.ndarray]:
        """Yield the rows of the array of this `name`, block by block."""
        with self._opened(name) as (file, dtype, shape):
            row_bytes = max(1, math.prod(shape[1:]) * dtype.itemsize)
            left = shape[0]
            while left:
                rows = min(left, max(1, BLOCK_BYTES // row_bytes))
                data = file.read(rows * row_bytes)
                if len(data) < rows * row_bytes:
                    raise ValueError(f"it ends after {shape[0] - left + len(data) // row_bytes} rows")
                yield np.frombuffer(data, dtype).reshape(rows, *shape[1:])
                left -= rows

    def blocks(self) -> Iterator[np.ndarray]:
        for block in self._read("x"):
            yield block.reshape(len(block), *self.shape[1:])

    def scan(self) -> Rows:
        with self._opened("y") as (_, dtype, shape):
            pass
        regression = self.dataset.task == "regression"
        if not shape or shape[0] != self.shape[0]:
            rows = shape[0] if shape else 1
            raise UserError(f"{self.place()}: x has {self.shape[0]} rows, but y has {rows}")
        if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1 and not regression):
            raise UserError(
                f"{self.place()}: y has the shape {shape}: it should be (n,), the class of each row"
                if not regression
                else f"{self.place()}: y has the shape {shape}: it should be (n,) or (n, targets)"
            )
        y = np.concatenate([*self._read("y")]).reshape(shape[0], -1)
        if regression:
            return self._numbers(y)
        y = y[:, 0]
        if y.dtype.kind not in "buifU":
            raise UserError(f"{self.place()}: y holds {dtype}: classes should be whole numbers or texts")
        if y.dtype.kind == "f":
            whole = (np.abs(y) < 2**53) & (y == np.floor(y))  # beyond, floats skip whole numbers
            if not whole.all():
                row = int(np.argmin(whole))
                raise UserError(
                    f"{self.place()}: row {row} of y is {y[row]:g}: classes should be whole numbers or texts;"
                    " if it is a number to be predicted, say dataset.task=regression"
                )
            y = y.astype(np.int64)
        names, targets = np.unique(y, return_inverse=True)
        if len(names) > MOST_CLASSES:
            raise UserError(
                f"{self.place()}: y has more than {MOST_CLASSES:,} different classes; if it is a number to be"
                " predicted, say dataset.task=regression"
            )
        return Rows(targets.astype(np.int32), [str(name) for name in names], [])

    def _numbers(self, y: np.ndarray) -> Rows:
        """Return the targets `y` (n, t) of a regression."""
        if y.dtype.kind not in "buif":
            raise UserError(f"{self.place()}: y holds {y.dtype}: a regression predicts numbers")
        values = y.astype(np.float64)
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            raise UserError(f"{self.place()}: row {int(np.argmin(finite))} of y is NaN or infinite")
        names = ["y"] if y.shape[1] == 1 else [f"y{column}" for column in range(y.shape[1])]
        return Rows(values, [], names)

    def fit(self, training: np.ndarray) -> Encoding:
        if self.image_shape() is None:
            return self._standard(training)
        if self.dataset.range:
            low, high = self.dataset.range
            return Range(low, high)
        if self.dtype == np.uint8:
            return Bytes()
        return range_of(self.blocks(), training, self.place())

    def _standard(self, training: np.ndarray) -> Standard:
        moments, start = Moments(), 0
        for block in self.blocks():
            values = block.astype(np.float64)
            chosen = training[start : start + len(block)]
            finite = np.isfinite(values).all(axis=1) | ~chosen
            if not finite.all():
                row = int(np.argmin(finite))
                column = int(np.argmin(np.isfinite(values[row])))
                raise UserError(f"{self.place()}: row {start + row} of x, number {column}: NaN or infinite")
            moments.add(values[chosen])
            start += len(block)
        deviation = moments.deviation()
        mean, deviation = moments.mean(), np.where(deviation == 0, 1.0, deviation)
        if not (np.isfinite(mean).all() and np.isfinite(deviation).all()):
            raise UserError(f"{self.place()}: the numbers in x are too large to be added up")
        return Standard(mean.tolist(), deviation.tolist())


def range_of(blocks: Iterator[np.ndarray], training: np.ndarray, place: str) -> Range:
    """Return the encoding by the lowest and the highest value of the `training` rows of `blocks`.

    Raises:
        UserError: if a value of a training image is not finite, or all are the same.
    """
    low, high, start = math.inf, -math.inf, 0
    for block in blocks:
        chosen = training[start : start + len(block)]
        finite = np.isfinite(block).reshape(len(block), -1).all(axis=1) | ~chosen
        if not finite.all():
            raise UserError(
                f"{place}: image {start + int(np.argmin(finite))}, counted from 0: NaN or infinite"
            )
        values = block[chosen]
        if len(values):
            low, high = min(low, float(values.min())), max(high, float(values.max()))
        start += len(block)
    if not low < high:
        raise UserError(
            f"{place}: the values of the training images go from {low:g} to {high:g}: dataset.range should"
            " say which become 0 and 1, as in -S 'dataset.range=[0,16]'"
        )
    return Range(low, high)
