"""Stage 2: from the dataset's own files to arrays that a network can read.

Flatten, scale to [0, 1], encode the labels one-hot, split in file order.
"""

from pipeline.support.program import program

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pipeline.config.reading import read_params
from pipeline.config.schema import Split
from pipeline.data.dataset import (
    FILES,
    PROCESSED,
    RAW,
    RawDescription,
    load_dataset,
    read_description,
    warn_of_unseen_classes,
    write_description,
)
from pipeline.data.idx import read_idx
from pipeline.support.errors import UserError
from pipeline.support.files import reading, refuse_links, remove_leftovers, replacing, sha256, warn_of_others

BLOCK_IMAGES = 1000  # that are converted at once


def main() -> None:
    """Run the stage."""
    preprocess(RAW, PROCESSED, read_params().split)


def preprocess(raw: Path, processed: Path, split: Split) -> None:
    """Write the arrays that `load_dataset` opens.

    Args:
        raw: the folder that the download stage wrote.
        processed: the folder to write to.
        split: how many of the training images go to `train` and `test`.

    Raises:
        UserError: if a file is bad, two of them do not belong together, or the split asks for too much; if
            `processed` is reached through a symbolic link, perhaps to a folder that others share.
    """
    refuse_links(processed, "remove the link, and the stage makes the folder")
    remove_leftovers(processed)
    description = read_description(raw, RawDescription, "download")
    files, title, classes = description.files, description.title, description.classes
    for file in (files.train_images, files.train_labels, files.official_images, files.official_labels):
        _refuse_changed(raw / file.name, file.sha256)
    # The files are those that the dataset's configuration names. Whatever is wrong with them from here on,
    # fetching them again does not help.
    images, labels = _read_pair(raw / files.train_images.name, raw / files.train_labels.name, len(classes))
    official = _read_pair(raw / files.official_images.name, raw / files.official_labels.name, len(classes))
    shape, official_shape = images.shape[1:], official[0].shape[1:]
    if official_shape != shape:
        raise UserError(
            f"images of {_size(shape)} in {raw / files.train_images.name} but of {_size(official_shape)} in"
            f" {raw / files.official_images.name}: dataset.files should name images of one size"
        )
    end = split.train + split.test
    if end > len(images):
        raise UserError(
            f"split.train = {split.train} and split.test = {split.test} ask for {end} images,"
            f" but {title} has {len(images)} training images: make one of them smaller"
        )
    parts = {
        "train": (images[: split.train], labels[: split.train]),
        "test": (images[split.train : end], labels[split.train : end]),
        "official": official,
    }
    _write_parts(processed, parts, len(classes))
    write_description(
        processed,
        {"name": description.name, "title": title, "classes": classes, "image_shape": list(shape)},
    )
    warn_of_others(processed, FILES)
    warn_of_unseen_classes(load_dataset(processed))
    counts = f"{split.train:,} train, {split.test:,} test and {len(official[0]):,} official images"
    print(f"{title}: {counts} of {_size(shape)}")


def _refuse_changed(path: Path, known_sha256: str) -> None:
    """Raise `UserError` if the file at `path` is not as the download stage left it."""
    with reading(path, "download"):
        intact = sha256(path) == known_sha256
    if not intact:
        raise UserError(
            f"{path} is not the file that `dvc repro download` left there:"
            " `dvc repro -f download` brings it again"
        )


def _read_pair(images_path: Path, labels_path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read images (n, rows, columns) and their labels (n,), both uint8."""
    images = read_idx(images_path, dimensions=3)
    labels = read_idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise UserError(
            f"{len(images)} images in {images_path} but {len(labels)} labels in {labels_path}:"
            " dataset.files should name labels that belong to the images"
        )
    if labels.max() >= classes:
        first = int(np.argmax(labels >= classes))
        raise UserError(
            f"{labels_path}: label {labels[first]} at position {first}, but the dataset's {classes} classes"
            f" go from 0 to {classes - 1}: check dataset.classes"
        )
    return images, labels


def _write_parts(folder: Path, parts: Mapping[str, tuple[np.ndarray, np.ndarray]], classes: int) -> None:
    """Write the images and labels of each part to `folder`: all files are replaced, or none.

    If the stage is killed while it replaces them, there is no `dataset.json`, and `load_dataset` refuses the
    rest.
    """
    with ExitStack() as together:
        for part, (images, labels) in parts.items():
            path = together.enter_context(replacing(folder / f"{part}_images.npy"))
            _write_images(path, images)
            path = together.enter_context(replacing(folder / f"{part}_labels.npy"))
            one_hot = np.eye(classes, dtype=np.uint8)[labels]
            _write_array(path, "|u1", one_hot.shape, [one_hot])
        (folder / "dataset.json").unlink(missing_ok=True)


def _write_images(path: Path, images: np.ndarray) -> None:
    """Write images (n, rows, columns) as an array (n, rows · columns) of float32 in [0, 1]."""
    shape = len(images), images.shape[1] * images.shape[2]
    starts = range(0, len(images), BLOCK_IMAGES)
    blocks = (images[start : start + BLOCK_IMAGES] / np.float32(255) for start in starts)
    _write_array(path, "<f4", shape, blocks)


def _write_array(path: Path, dtype: str, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> None:
    """Write the array that `blocks` make up, in the format of `np.save`.

    `np.save` itself needs the whole array in memory, and its error on a full disk does not say why.
    """
    with path.open("wb") as file:
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block.data)


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


if __name__ == "__main__":
    with program(__doc__, stage="preprocess"):
        main()
