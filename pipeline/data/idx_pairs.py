"""A dataset in MNIST's format: four IDX files, images and labels to be split and the official ones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.data.arrays import range_of
from pipeline.data.dataset import RawDescription
from pipeline.data.encoding import Bytes, Encoding, Range
from pipeline.data.idx import read_idx
from pipeline.data.rows import Rows
from pipeline.support.errors import UserError

BLOCK_IMAGES = 1000


class IdxPairs:
    """The images of both pairs of files, the official ones last."""

    first_row = 0

    def __init__(self, folder: Path, description: RawDescription) -> None:
        files, self.description = description.files, description
        self.path = folder / files.train_images.name
        # The files are those that the dataset's configuration names. Whatever is wrong with them from here
        # on, fetching them again does not help.
        self.pairs = [
            _read_pair(folder / images.name, folder / labels.name, len(description.classes))
            for images, labels in [
                (files.train_images, files.train_labels),
                (files.official_images, files.official_labels),
            ]
        ]
        shape, official_shape = (images.shape[1:] for images, _ in self.pairs)
        if official_shape != shape:
            raise UserError(
                f"images of {size(shape)} in {self.path} but of {size(official_shape)} in"
                f" {folder / files.official_images.name}: dataset.files should name images of one size"
            )

    def place(self) -> str:
        return str(self.path)

    def image_shape(self) -> list[int]:
        return list(self.pairs[0][0].shape[1:])

    def scan(self) -> Rows:
        targets = np.concatenate([labels for _, labels in self.pairs]).astype(np.int32)
        return Rows(targets, self.description.classes, [], official=len(self.pairs[1][0]))

    def fit(self, training: np.ndarray) -> Encoding:
        if self.description.range:
            low, high = self.description.range
            return Range(low, high)
        if all(images.dtype == np.uint8 for images, _ in self.pairs):
            return Bytes()
        return range_of(self.blocks(), training, self.place())

    def blocks(self) -> Iterator[np.ndarray]:
        for images, _ in self.pairs:
            for start in range(0, len(images), BLOCK_IMAGES):
                yield images[start : start + BLOCK_IMAGES]


def _read_pair(images_path: Path, labels_path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read images (n, rows, columns) and their labels (n,), whole numbers."""
    images = read_idx(images_path, dimensions=3)
    labels = read_idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise UserError(
            f"{len(images)} images in {images_path} but {len(labels)} labels in {labels_path}:"
            " dataset.files should name labels that belong to the images"
        )
    right = (labels >= 0) & (labels < classes) & (labels == np.floor(labels))
    if not right.all():
        first = int(np.argmin(right))
        raise UserError(
            f"{labels_path}: label {labels[first]:g} at position {first}, but the dataset's {classes} classes"
            f" go from 0 to {classes - 1}: check dataset.classes"
        )
    return images, labels


def size(shape: tuple[int, ...] | list[int]) -> str:
    """Return the size of an image in words: 28×28."""
    return "×".join(map(str, shape))
