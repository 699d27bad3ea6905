"""Pixel values in a CSV or NPY file: one image, several, or a photo."""

from pathlib import Path

import numpy as np

from pipeline.data.photos import MOST_PIXELS, from_grey
from pipeline.nn.types import Array
from pipeline.support.files import reading

SUFFIXES = (".csv", ".npy")
SMALLEST = 8  # pixels of a photo's shorter side


def read_pixels(path: Path, shape: tuple[int, int], photos: bool = True) -> Array:
    """Return the images in the file at `path`, (n, rows, columns) in [0, 1].

    Numbers that fit the data are taken as they are: rows × columns of them, in one row, in several rows of
    that many, or in the image's own shape. Values are from 0 to 1 or from 0 to 255.

    Args:
        path: a CSV or NPY file.
        shape: rows and columns of the images that the network was trained on.
        photos: whether these are digits on paper. Then any other table of numbers is a photo, whose ink is
            looked for. If not, numbers of type uint8 are from 0 to 255, as the training images are.

    Raises:
        UserError: if the file cannot be read or holds other numbers. No pickled object is loaded.
    """
    rows, columns = shape
    fit = f"{rows * columns} values from 0 to 255, a row an image, or {rows} rows of {columns}"
    with reading(path, "", remedy=f"it should hold {fit}{', or a photo' if photos else ''}"):
        values = load_numbers(path)
        if values.dtype.kind not in "biuf" or not values.size:
            raise ValueError(f"{values.dtype} of shape {values.shape}")
        bytes_as_trained = values.dtype == np.uint8 and not photos
        values = values.astype(np.float64)
        if not ((values >= 0) & (values <= 255)).all():
            raise ValueError("values below 0, above 255 or none at all")
        if values.max() > 1 or bytes_as_trained:
            values /= 255
        if values.shape[-2:] == shape and values.ndim <= 3:
            return values.reshape(-1, *shape)
        if values.shape[-1] == rows * columns and values.ndim <= 2:
            return values.reshape(-1, *shape)
        if not photos or values.ndim != 2 or min(values.shape) < SMALLEST:
            raise ValueError(f"numbers of shape {values.shape}")
    return from_grey(values, path, shape)[None]


def load_numbers(path: Path) -> np.ndarray:
    """Return the array in the CSV or NPY file at `path`.

    Raises:
        OSError, ValueError: if it cannot be read, or is too large to be one of images.
    """
    if path.suffix.lower() == ".npy":
        values: np.ndarray = np.lib.format.open_memmap(path, mode="r")  # which refuses pickled objects
    else:
        if path.stat().st_size > 8 * MOST_PIXELS:
            raise ValueError("too large")
        values = np.loadtxt(path, delimiter=",", ndmin=1, encoding="utf-8-sig")
    if values.size > MOST_PIXELS:
        raise ValueError(f"{values.size:,} values, more than {MOST_PIXELS:,}")
    return values
