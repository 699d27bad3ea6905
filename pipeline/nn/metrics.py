"""What a network is measured by: which metrics each task has, and how they are computed and written.

A classification has its accuracy. A regression has RMSE and MAE, both in the target's own unit, and R². Runs
are compared by the first of these.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from pipeline.nn.exact import exact_sum
from pipeline.nn.types import Array

Metrics: TypeAlias = dict[str, float]
"""Values by the name of the metric."""

OF_TASK = {"classification": ("accuracy",), "regression": ("rmse", "mae", "r2")}

WORDS = {
    "accuracy": "accuracy",
    "averaged_accuracy": "accuracy averaged over copies",
    "error": "error",
    "roc_auc": "ROC AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}
"""What each metric is called; `error` is 1 − accuracy."""

SHARES = ("accuracy", "averaged_accuracy", "error")  # shown in percent
IN_THE_TARGETS_UNIT = ("rmse", "mae")  # of any size
DIGITS = 6  # of what is written to files: significant ones where the metric has a unit, else decimals


class Tally(ABC):
    """Adds up, block by block of a part's rows, what the part's metrics are computed from."""

    @abstractmethod
    def add(self, outputs: Array, targets: np.ndarray) -> None:
        """Count in a block of rows: the network's `outputs` and the `targets`, both (rows, k)."""

    @abstractmethod
    def metrics(self) -> Metrics:
        """Return the metrics of all rows so far, of which there are some."""


NewTally: TypeAlias = Callable[[], Tally]


class Accuracy(Tally):
    """The share of the rows that are classified right."""

    def __init__(self) -> None:
        self._rows = self._right = 0

    def add(self, outputs: Array, targets: np.ndarray) -> None:
        self._rows += len(targets)
        self._right += count_correct(outputs, targets)

    def metrics(self) -> Metrics:
        return {"accuracy": self._right / self._rows}


class RegressionErrors(Tally):
    """RMSE, MAE and R² of numbers that are predicted; of several targets the mean, as in scikit-learn.

    The sums have the same bits on every machine: within a block by `exact_sum`, then block after block.

    Args:
        deviations: of each target, by which targets and outputs are divided: (k,).
    """

    def __init__(self, deviations: Sequence[float]) -> None:
        self._deviations = np.array(deviations, np.float64)
        self._rows = 0
        self._squared, self._absolute, self._total, self._total_squared = np.zeros((4, len(deviations)))

    def add(self, outputs: Array, targets: np.ndarray) -> None:
        y = targets.astype(np.float64)
        errors = outputs.astype(np.float64) - y
        if not self._rows:
            self._first = y[0]
        self._rows += len(y)
        # R² needs the targets' spread. From the first one on, it is exactly 0 where all are the same.
        from_first = y - self._first
        self._squared += exact_sum((errors * errors).T, axis=1)
        self._absolute += exact_sum(np.abs(errors).T, axis=1)
        self._total += exact_sum(from_first.T, axis=1)
        self._total_squared += exact_sum((from_first * from_first).T, axis=1)

    def by_target(self) -> dict[str, np.ndarray]:
        """Return each metric's values of the k targets, (k,).

        R² of a constant target is 1 where it is predicted without error, else 0, as in scikit-learn.
        """
        spread = self._total_squared - self._total * self._total / self._rows
        unexplained = np.divide(self._squared, spread, out=np.ones_like(spread), where=spread > 0)
        return {
            "rmse": np.sqrt(self._squared / self._rows) * self._deviations,
            "mae": self._absolute / self._rows * self._deviations,
            "r2": np.where(self._squared == 0, 1, 1 - unexplained),
        }

    def metrics(self) -> Metrics:
        return {name: math.fsum(values) / len(values) for name, values in self.by_target().items()}


def count_correct(outputs: Array, labels: np.ndarray) -> int:
    """Return in how many rows `outputs` say what `labels` say.

    Args:
        outputs: (n, k). The largest one has to be where the 1 of the label is. A single output says the
            second of two classes, whose label is 1, if it is above ½, else the first.
        labels: (n, k), or (n, 2) for a single output; one-hot, or a single column of 0 and 1.
    """
    labels = labels[:, -outputs.shape[1] :]
    if labels.shape[1] == 1:
        return int(((outputs > 0.5) == (labels > 0.5)).sum())
    return int((outputs.argmax(axis=1) == labels.argmax(axis=1)).sum())


def metric_in(name: str) -> str:
    """Return which metric a `name` such as `validation_rmse` is about."""
    return max((metric for metric in WORDS if f"_{name}".endswith(f"_{metric}")), key=len)


def rounded(name: str, value: float) -> float:
    """Return the `value` of a metric as files hold it."""
    return float(f"{value:.{DIGITS}g}") if metric_in(name) in IN_THE_TARGETS_UNIT else round(value, DIGITS)


def formatted(name: str, value: float) -> str:
    """Return the `value` of a metric as people read it: `97.18%`, or four digits: `53,210`, `0.8312`."""
    metric = metric_in(name)
    if metric in SHARES:
        return f"{value:.2%}"
    if metric not in IN_THE_TARGETS_UNIT:
        return f"{value:.4f}"
    exponent = int(f"{value:.3e}".partition("e")[2])
    return f"{value:,.{max(0, 3 - exponent)}f}" if -4 <= exponent < 15 else f"{value:.4g}"


def in_words(name: str) -> str:
    """Return what people call a metric: `validation_rmse` is the validation RMSE."""
    metric = metric_in(name)
    return name.removesuffix(metric).replace("_", " ") + WORDS[metric]


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """Return the area under the ROC curve: how often a positive row has a higher score than a negative one.

    Equal scores count half. The sum of ranks that it is computed from is exact.

    Args:
        scores: (n,).
        positive: (n,) of bool.

    Returns:
        The area, or None where no row or every row is positive.
    """
    positives, rows = int(positive.sum()), len(positive)
    if positives in (0, rows):
        return None
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = sizes.cumsum() - (sizes - 1) / 2  # of equal scores
    above = float(mean_ranks[group[positive]].sum()) - positives * (positives + 1) / 2
    return above / (positives * (rows - positives))
