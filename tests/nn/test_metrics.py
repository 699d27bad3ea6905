"""The metrics are scikit-learn's, whatever the blocks that the rows come in."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score, root_mean_squared_error

from pipeline.nn.metrics import RegressionErrors, formatted, in_words, roc_auc, rounded


def blocks(rows: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, rows, size))


def tallied(
    outputs: np.ndarray, targets: np.ndarray, deviations: list[float], size: int = 500
) -> RegressionErrors:
    tally = RegressionErrors(deviations)
    for block in blocks(len(outputs), size):
        tally.add(outputs[block], targets[block])
    return tally


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("shift", [0, 7, -40])  # of a part that is far from the training part
def test_a_regressions_metrics_are_scikit_learns_in_the_targets_own_units(targets: int, shift: float) -> None:
    rng = np.random.default_rng(targets)
    true = (rng.normal(size=(1203, targets)) + shift).astype(np.float32)
    predicted = true + rng.normal(scale=0.3, size=true.shape)
    means, deviations = rng.normal(size=targets) * 1e3, rng.random(targets) * 1e4
    metrics = tallied(predicted, true, deviations.tolist()).metrics()
    own = [means + deviations * numbers.astype(np.float64) for numbers in (true, predicted)]
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(*own))
    assert metrics["mae"] == pytest.approx(mean_absolute_error(*own))
    assert metrics["r2"] == pytest.approx(r2_score(*own))


@pytest.mark.parametrize(
    ("true", "predicted", "r2"), [([5, 5, 5], [5, 5, 5], 1), ([5, 5, 5], [5, 5, 6], 0), ([0.1], [0.2], 0)]
)
def test_of_a_constant_target_r2_is_defined(true: list[float], predicted: list[float], r2: float) -> None:
    outputs, targets = (np.array(numbers, np.float64)[:, None] for numbers in (predicted, true))
    assert tallied(outputs, targets, [2.0]).metrics()["r2"] == r2


def test_bits_do_not_depend_on_the_order_of_the_rows_in_a_block() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.normal(size=(2, 500, 2)) * 10.0 ** rng.integers(-8, 8, size=(500, 1))
    metrics = tallied(predicted, true, [1.0, 3.0]).metrics()
    for _ in range(5):
        order = np.concatenate([[0], 1 + rng.permutation(499)])
        assert tallied(predicted[order], true[order], [1.0, 3.0]).metrics() == metrics


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_the_area_under_the_roc_curve_is_scikit_learns(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([score / 5 for score, _ in rows]), np.array([is_one for _, is_one in rows])
    if positive.all() or not positive.any():
        assert roc_auc(scores, positive) is None
    else:
        assert roc_auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("write", "name", "value", "expected"),
    [
        (formatted, "test_accuracy", 0.971351, "97.14%"),
        (formatted, "validation_error", 0.0286, "2.86%"),
        (formatted, "test_rmse", 53210.7, "53,211"),
        (formatted, "rmse", 0.0123456, "0.01235"),
        (formatted, "rmse", 9.9999, "10.00"),
        (formatted, "mae", 0.0, "0.000"),
        (formatted, "mae", 1.5e-9, "1.5e-09"),
        (formatted, "train_r2", -0.5, "-0.5000"),
        (formatted, "roc_auc", 0.98765, "0.9877"),
        (rounded, "accuracy", 2 / 3, 0.666667),
        (rounded, "test_rmse", 1 / 3e9, 3.33333e-10),
        (rounded, "test_mae", 1234567.8, 1234570.0),
        (rounded, "test_r2", 1 / 3, 0.333333),
    ],
)
def test_how_a_value_is_written(
    write: Callable[..., object], name: str, value: float, expected: object
) -> None:
    assert write(name, value) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("validation_rmse", "validation RMSE"),
        ("test_roc_auc", "test ROC AUC"),
        ("error", "error"),
        ("r2", "R²"),
    ],
)
def test_what_a_metric_is_called(name: str, words: str) -> None:
    assert in_words(name) == words
