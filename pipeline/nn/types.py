"""The types that the mathematics is written for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
"""What a network computes with."""


@dataclass(frozen=True)
class Part:
    """A part of a dataset: images with their labels, row by row.

    Attributes:
        images: (n, d) float32 in [0, 1], each row a flattened image (or a point of a generated problem).
        labels: (n, k) uint8, one-hot; of a generated problem (n, 1), 0 or 1.
    """

    images: np.ndarray
    labels: np.ndarray
