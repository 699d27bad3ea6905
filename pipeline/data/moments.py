"""Mean and deviation of numbers that come in blocks, with the same bits however they are cut into blocks."""

import numpy as np


class Moments:
    """Mean and standard deviation by column.

    The sums are added up row by row, so they depend on the rows and their order alone: neither on the blocks
    nor on the processor. They are of the differences from the first row, which keeps the digits of columns
    that are far from zero (T. Chan, G. Golub, R. LeVeque, "Algorithms for Computing the Sample Variance",
    1983).
    """

    def __init__(self) -> None:
        self.count = 0
        self._first = self._sum = self._squares = np.zeros(0)

    def add(self, values: np.ndarray) -> None:
        """Take in the rows of `values`, float64 (n,) for one column or (n, d), all finite."""
        if not len(values):
            return
        if not self.count:
            self._first = values[0].copy()
            self._sum, self._squares = np.zeros_like(self._first), np.zeros_like(self._first)
        with np.errstate(over="ignore", invalid="ignore"):
            differences = values - self._first
            self._sum = _add_rows(self._sum, differences)
            self._squares = _add_rows(self._squares, differences * differences)
        self.count += len(values)

    def mean(self) -> np.ndarray:
        """Return the mean of each column; it is not finite where the values are too large to be added up."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self._first + self._sum / self.count)

    def deviation(self) -> np.ndarray:
        """Return the standard deviation of each column, which is exactly 0 where all values are the same."""
        with np.errstate(over="ignore", invalid="ignore"):
            variance = (self._squares - self._sum * self._sum / self.count) / self.count
            return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def _add_rows(total: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return `total` plus each of `rows`, one by one; `sum` would add them in an order of its own."""
    return np.cumsum(np.concatenate([total[np.newaxis], rows]), axis=0)[-1]
