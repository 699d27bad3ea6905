"""A folder of images with a subfolder for each class, read by Pillow."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipeline.data.encoding import Bytes
from pipeline.data.own import ImagesDataset
from pipeline.data.rows import Rows
from pipeline.support.errors import UserError

BLOCK_BYTES = 1 << 22
MOST_NAMED = 5  # files in a message
DEEP = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}  # Pillow's modes of more than 8 bits


class Images:
    """The images of a folder, class by class, by the names of their files."""

    first_row = 1

    def __init__(self, folder: Path, files: list[str], dataset: ImagesDataset, groups: str | None) -> None:
        if groups:
            raise UserError(f"split.groups = {groups}: images have no column of that name; a table has")
        self.folder, self.files, self.dataset = folder, sorted(files), dataset
        self._size: tuple[int, ...] | None = tuple(dataset.size) if dataset.size else None
        self.names = sorted({_class_of(name) for name in self.files})

    def place(self) -> str:
        return str(self.folder / "images")

    def scan(self) -> Rows:
        if len(self.names) < 2:
            raise UserError(f"{self.place()}: there is only the class {', '.join(self.names)}")
        number = {name: index for index, name in enumerate(self.names)}
        return Rows(np.array([number[_class_of(name)] for name in self.files], np.int32), self.names, [])

    def fit(self, training: np.ndarray) -> Bytes:
        if self._size is None:
            try:
                self._size = self._read(self.files[0]).shape[:2]
            except ValueError as error:
                raise UserError(f"{self.folder / self.files[0]}: {error}") from None
        return Bytes()

    def image_shape(self) -> list[int] | None:
        return [*(self._size or ()), *([3] if self.dataset.colour else [])]

    def blocks(self) -> Iterator[np.ndarray]:
        shape = self.image_shape() or []
        at_once = max(1, BLOCK_BYTES // int(np.prod(shape)))
        bad: list[str] = []
        for start in range(0, len(self.files), at_once):
            block = np.zeros((len(self.files[start : start + at_once]), *shape), np.uint8)
            for row, name in enumerate(self.files[start : start + at_once]):
                try:
                    image = self._read(name)
                    if image.shape != tuple(shape):
                        raise ValueError(
                            f"it is of {image.shape[0]}×{image.shape[1]} pixels, and {self.files[0]} of"
                            f" {shape[0]}×{shape[1]}: dataset.size scales them, as in"
                            " -S 'dataset.size=[32,32]'"
                        )
                    block[row] = image
                except ValueError as error:
                    bad.append(f"{self.folder / name}: {error}")
            yield block
        if bad:
            more = f"; and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
            raise UserError("; ".join(bad[:MOST_NAMED]) + more)

    def _read(self, name: str) -> np.ndarray:
        """Return the image in the file of this `name`, as `read_image` does."""
        return read_image(self.folder / name, self.dataset.colour, self._size if self.dataset.size else None)


def read_image(path: Path, colour: bool, size: Sequence[int] | None) -> np.ndarray:
    """Return the image in the file at `path`, uint8 (rows, columns) or (rows, columns, 3).

    Args:
        path: the file.
        colour: whether it keeps its colours.
        size: rows and columns to which it is scaled; None to leave it as it is.

    Raises:
        ValueError: if it cannot be read, or not be shown in 8 bits.
    """
    if not path.stat().st_size:
        raise ValueError("it has 0 bytes")
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)  # which also loads it
            return np.asarray(_prepared(upright, colour, size))
    except (OSError, SyntaxError, EOFError, RuntimeError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.filename:  # the system does not let it be opened
            raise
        reason = str(error).split("'")[0].strip() if "cannot identify" in str(error) else str(error)
        raise ValueError(f"it cannot be read ({reason})") from None


def _prepared(image: Image.Image, colour: bool, size: Sequence[int] | None) -> Image.Image:
    """Return `image` in the colours and the size that are asked for."""
    if image.mode in DEEP:
        raise ValueError("its pixels have more than 8 bits: convert it, or use dataset=arrays")
    if image.has_transparency_data:
        if np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
            raise ValueError("it is transparent in places: put it on a background first")
        image = image.convert("RGB")
    image = image.convert("RGB" if colour else "L")
    if size and image.size != tuple(size)[::-1]:
        rows, columns = size
        image = image.resize((columns, rows), Image.Resampling.BILINEAR, reducing_gap=None)
    return image


def _class_of(name: str) -> str:
    """Return the class of the file `images/CLASS/FILE`."""
    return name.split("/")[1]
