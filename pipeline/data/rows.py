"""What every kind of data offers the preprocess stage: rows, gone over two or three times, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.data.encoding import Encoding

MOST_CLASSES = 1000  # with more, the target is rather a number


@dataclass(frozen=True)
class Rows:
    """What there is to know of all rows before they are split.

    Attributes:
        targets: whole numbers (n,), the class of each row, or float64 (n, t) of a regression.
        classes: their names; none for a regression.
        target_names: of a regression.
        groups: int32 (n,), the group of each row, if the split asks for groups.
        official: how many of the last rows are the dataset's own test part, which no split touches.
    """

    targets: np.ndarray
    classes: list[str]
    target_names: list[str]
    groups: np.ndarray | None = None
    official: int = 0


class Source(Protocol):
    """The raw data of one kind."""

    def scan(self) -> Rows:
        """Go over all rows once, without their inputs.

        Raises:
            UserError: if a file is damaged, or a target is not what a target should be.
        """

    def fit(self, training: np.ndarray) -> Encoding:
        """Find out, on the training part alone, how rows become inputs.

        Args:
            training: bool (n,), whether a row is of the training part.

        Raises:
            UserError: naming file, row and column, if a value is not what it should be.
        """

    def blocks(self) -> Iterator[Any]:
        """Yield all rows in their order, in blocks that the encoding takes and `len` counts.

        Raises:
            UserError: if a file is damaged.
        """

    def image_shape(self) -> list[int] | None:
        """Return rows and columns of an image, and 3 if it has colours; None if these are no images."""

    def place(self) -> str:
        """Return the name of the file, for messages."""

    @property
    def first_row(self) -> int:
        """The number of the first row, for messages."""
