"""Which rows go into which part."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.splitting import NOWHERE, TEST, TRAIN, VALIDATION, Split, assign


@settings(max_examples=50)
@given(st.integers(10, 300), st.integers(1, 4), st.integers(0, 3), st.booleans())
def test_stratified_parts_have_their_sizes_and_their_share_of_every_class(
    rows: int, classes: int, seed: int, folded: bool
) -> None:
    labels = np.random.default_rng(seed).integers(0, classes, rows)
    labels[:classes] = np.arange(classes)
    split = Split(train=0.6, test=0.2, validation=0.2, order="stratified", folds=3 if folded else None)
    train, test, validation = split.counts(rows, "rows")
    for parts in assign(split, rows, "rows", labels, None):
        assert (parts == TEST).sum() == test
        assert folded or [(parts == part).sum() for part in (TRAIN, VALIDATION)] == [train, validation]
        for label in range(classes):
            share = (labels == label).sum() * test / rows
            assert abs(((parts == TEST) & (labels == label)).sum() - share) <= 2


@pytest.mark.parametrize("order", ["file", "shuffled"])
def test_rows_of_a_group_stay_together(order: Any) -> None:
    groups = np.random.default_rng(0).integers(0, 40, 1000)
    for folds in (None, 3):
        split = Split(train=0.6, test=0.2, validation=0.2, order=order, groups="patient", folds=folds)
        for parts in assign(split, 1000, "rows", None, groups):
            assert all(len(set(parts[groups == group])) == 1 for group in range(40))
            assert abs((parts == TEST).mean() - 0.2) < 0.05


def test_shuffled_parts_are_the_same_for_a_seed_and_leave_out_what_nobody_asks_for() -> None:
    split = Split(train=60, test=20, validation=10, order="shuffled", seed=1)
    [parts] = assign(split, 100, "rows", None, None)
    counts = {part: int((parts == part).sum()) for part in (TRAIN, TEST, VALIDATION, NOWHERE)}
    assert counts == {TRAIN: 50, TEST: 20, VALIDATION: 10, NOWHERE: 20}
    np.testing.assert_array_equal(parts, assign(split, 100, "rows", None, None)[0])
    other = Split(train=60, test=20, validation=10, order="shuffled", seed=2)
    assert (parts != assign(other, 100, "rows", None, None)[0]).any()


@pytest.mark.parametrize("folds", [None, 3])
@pytest.mark.parametrize(
    ("order", "grouped"),
    [("shuffled", False), ("stratified", False), ("shuffled", True)],
    ids=["rows", "classes", "groups"],
)
def test_a_shuffled_part_and_fold_is_drawn_by_the_seed_and_is_no_block_of_the_file(
    order: Any, grouped: bool, folds: int | None
) -> None:
    """Here classes and groups are blocks of the file themselves."""
    labels, groups = np.repeat([0, 1, 2], 100), np.repeat(np.arange(100), 3)
    drawn = []
    for seed in (1, 2):
        split = Split(train=0.6, test=0.2, validation=0.2, order=order, seed=seed, folds=folds)
        [parts, *_] = assign(split, 300, "rows", labels, groups if grouped else None)
        drawn.append([parts == TEST, parts[parts != TEST] == VALIDATION])
    for one, other in zip(*drawn, strict=True):
        assert one.tolist() != other.tolist()
        assert min(np.diff(one).sum(), np.diff(other).sum()) > 20  # from one row to the next


def test_in_file_order_the_validation_part_is_between_train_and_test() -> None:
    [parts] = assign(Split(train=0.7, test=0.15, validation=0.15), 20, "rows", None, None)
    assert parts.tolist() == [TRAIN] * 14 + [VALIDATION] * 3 + [TEST] * 3
