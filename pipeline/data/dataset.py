"""The data as the stages hand them on: three parts of images with one-hot labels, mapped from disk."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import UserError, unreadable
from pipeline.files import sha256, write_text

RAW = Path("data/raw")
PROCESSED = Path("data/processed")
PARTS = ("train", "test", "official")


@dataclass(frozen=True)
class Part:
    """Images with their labels, row by row.

    Attributes:
        images: (n, d) float32 in [0, 1], each row a flattened image (or a point of a generated problem).
        labels: (n, k) uint8, one-hot; of a generated problem (n, 1), 0 or 1.
    """

    images: np.ndarray
    labels: np.ndarray

    def digest(self) -> str:
        """Return a SHA-256 of all images and labels, in their order."""
        hashed = hashlib.sha256()
        for array in (self.images, self.labels):
            hashed.update(f"{array.dtype.str} {array.shape}".encode())
            hashed.update(np.ascontiguousarray(array).data)
        return hashed.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A dataset after preprocessing.

    Attributes:
        name: what it really is, as in the menu: after a fallback not what was asked for.
        title: its name in figures.
        classes: name of each class, in the order of the labels' columns.
        image_shape: rows and columns of an image; their product is d.
        train: what the network learns from.
        test: what was held back of the training images; may have no rows.
        official: the dataset's own test images.
        validation: what is held out of `train` to choose by, if anything is.
    """

    name: str
    title: str
    classes: list[str]
    image_shape: tuple[int, int]
    train: Part
    test: Part
    official: Part
    validation: Part | None = None

    def hold_out(self, count: int) -> "Dataset":
        """Return the dataset with the last `count` images of `train` as its `validation` part.

        Raises:
            UserError: if that leaves none to learn from.
        """
        if not count:
            return self
        if count >= len(self.train.images):
            raise UserError(
                f"split.validation = {count}: should be less than the {len(self.train.images)} train images"
                f" in {PROCESSED}; `dvc repro preprocess` splits them anew"
            )
        return replace(
            self,
            train=Part(self.train.images[:-count], self.train.labels[:-count]),
            validation=Part(self.train.images[-count:], self.train.labels[-count:]),
        )


def load_dataset(folder: Path = PROCESSED) -> Dataset:
    """Open what the preprocess stage wrote to `folder`; the arrays stay on disk until they are read.

    Raises:
        UserError: if a file is missing, cannot be read, or does not fit the others.
    """
    with description_of(folder, "preprocess") as description:
        name, title = str(description["name"]), str(description["title"])
        classes = list(description["classes"])
        rows, columns = map(int, description["image_shape"])
        if min(rows, columns) < 1:
            raise ValueError
    return Dataset(
        name=name,
        title=title,
        classes=classes,
        image_shape=(rows, columns),
        **{part: _open_part(folder, part, rows * columns, len(classes)) for part in PARTS},
    )


def digest(folder: Path = PROCESSED) -> str:
    """Return a SHA-256 of all files in `folder`, if there is one, read without being kept in memory.

    They are read again only when a size or a time of change is another than when they were read.
    """
    files = [(path, path.stat()) for path in sorted(folder.absolute().glob("[!.]*"))]
    return _digest(tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in files))


@cache
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    hashes = [f"{path.name} {sha256(path)}" for path, *_ in files]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


@contextmanager
def description_of(folder: Path, stage: str) -> Iterator[dict[str, Any]]:
    """Yield what is in the `dataset.json` that `stage` wrote to `folder`, for the block to take it apart.

    Raises:
        UserError: if it is missing, or the block does not find in it what it needs.
    """
    path = folder / "dataset.json"
    try:
        yield json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is not there: `dvc repro {stage}` makes it") from None
    except (LookupError, TypeError, ValueError):
        raise UserError(f"{path} is damaged: `dvc repro -f {stage}` writes it anew") from None


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write `description` to the `dataset.json` of `folder`."""
    write_text(folder / "dataset.json", json.dumps(description, indent=2, ensure_ascii=False) + "\n")


def _open_part(folder: Path, part: str, width: int, classes: int) -> Part:
    images = _open_array(folder / f"{part}_images.npy", np.float32, width)
    labels = _open_array(folder / f"{part}_labels.npy", np.uint8, classes)
    if len(images) != len(labels):
        raise UserError(
            f"{folder}: {len(images)} {part} images but {len(labels)} labels:"
            " `dvc repro -f preprocess` writes both anew"
        )
    return Part(images, labels)


def _open_array(path: Path, dtype: type, width: int) -> np.ndarray:
    """Map the array in the file at `path`, which has `width` columns of `dtype`."""
    try:
        array = np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise UserError(f"{path} is not there: `dvc repro preprocess` makes it") from None
    except Exception as error:  # NumPy raises nearly anything of damaged bytes
        damage = f"{path}: {error}: `dvc repro -f preprocess` writes it anew"
        raise unreadable(path, error, damage) from None
    if array.dtype != dtype or array.shape[1:] != (width,):
        raise UserError(
            f"{path} holds {array.dtype} of shape {array.shape}, not {np.dtype(dtype)} of shape"
            f" (n, {width}): `dvc repro -f preprocess` writes it anew"
        )
    return np.asarray(array)  # a plain view: slicing a memmap costs more
