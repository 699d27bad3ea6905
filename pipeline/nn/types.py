"""The types that the mathematics is written for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
"""What a network computes with."""


@dataclass(frozen=True)
class Part:
    """A part of a dataset: inputs with what the network should make of them, row by row.

    Attributes:
        inputs: (n, d) float32; of images each row is a flattened one, with values in [0, 1].
        targets: (n, k). Of a classification they are uint8: one-hot rows or, where a single output tells two
            classes apart, a column of 0 and 1.
    """

    inputs: np.ndarray
    targets: np.ndarray
