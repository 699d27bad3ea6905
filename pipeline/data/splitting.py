"""Which rows go into which part: counts or shares, in file order, shuffled, by class or by group."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from pipeline.support.bounds import STRICT, Count
from pipeline.support.errors import UserError

TRAIN, TEST, VALIDATION, OFFICIAL = range(4)
PART_NAMES = ("train", "test", "validation", "official")
NOWHERE = 255  # of rows that no part asks for
MOST_FOLDS = 100


def _amount(value: Any) -> Any:
    """Return `value` if it is a number of rows or a share of them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("should be a number of rows, or a share of them between 0 and 1")
    if value < 0:
        raise ValueError("should be greater than or equal to 0")
    if isinstance(value, float) and not value < 1:
        raise ValueError("should be a whole number of rows, or a share of them below 1")
    return value


def _positive(value: Any) -> Any:
    if _amount(value) == 0:
        raise ValueError("should be greater than 0")
    return value


Amount = Annotated[int | float, BeforeValidator(_amount)]
"""A number of rows (int), or a share of them (float below 1)."""


@dataclass(frozen=True, config=STRICT)
class Split:
    """Which rows go where.

    Attributes:
        train, test, validation: how many rows, all as counts or all as shares. As counts, `validation` is
            taken from `train`; as shares it is a part beside it.
        order: `file` takes the rows as they come, `shuffled` in random order, `stratified` so that each
            class has the same share in each part.
        seed: of that random order.
        groups: a column of a table; rows with the same value there stay together.
        folds: into how many folds what is not `test` is divided; the fold number `fold` is the validation
            part, and the others are learned from.
        fold: from 0.
    """

    train: Annotated[int | float, BeforeValidator(_positive)]
    test: Amount
    validation: Amount = 0
    order: Literal["file", "shuffled", "stratified"] = "file"
    seed: Count = 0
    groups: str | None = None
    folds: Annotated[int, Field(strict=True, ge=2, le=MOST_FOLDS)] | None = None
    fold: Count = 0

    def __post_init__(self) -> None:
        amounts = {name: getattr(self, name) for name in ("train", "test", "validation")}
        shares = {isinstance(amount, float) for amount in amounts.values() if amount}
        if len(shares) > 1:
            raise ValueError(
                f"split.train, test and validation are {', '.join(map(str, amounts.values()))}: should be all"
                " counts or all shares"
            )
        if self.by_share and sum(amounts.values()) > 1 + 1e-9:
            raise ValueError(f"split: {' + '.join(map(str, amounts.values()))} is more than all rows")
        if not self.by_share and self.validation >= self.train:
            raise ValueError("validation is taken from train, so it should be less")
        if self.groups and (self.order == "stratified" or not self.by_share):
            raise ValueError(
                f"split.groups = {self.groups}: should go with shares, such as split.train=0.7, and with"
                " split.order=file or shuffled, since groups differ in size"
            )
        if self.fold >= (self.folds or 1):
            raise ValueError(
                f"split.fold = {self.fold}: should be less than split.folds = {self.folds}"
                if self.folds
                else f"split.fold = {self.fold}: should be 0 without split.folds"
            )

    @property
    def by_share(self) -> bool:
        """Whether the parts are given as shares."""
        return isinstance(self.train, float)

    def counts(self, rows: int, what: str) -> list[int]:
        """Return how many of `rows` go to train, test and validation.

        Args:
            rows: how many there are.
            what: what they are of, for the message: `the 12 training images of MNIST`.

        Raises:
            UserError: if there are too few.
        """
        if self.by_share:
            ends = [self.train, self.train + self.validation, self.train + self.validation + self.test]
            train, validated, end = (min(int(share * rows + 0.5), rows) for share in ends)
            counts = [train, end - validated, validated - train]
            for name, count in zip(PART_NAMES, counts, strict=False):
                if not count and (share := getattr(self, name)):
                    raise UserError(f"split.{name} = {share}: of {what} that is none")
            return counts
        if self.train + self.test > rows:
            raise UserError(
                f"split.train = {self.train} and split.test = {self.test} ask for {self.train + self.test},"
                f" but there are {what}: make one of them smaller"
            )
        return [int(self.train - self.validation), int(self.test), int(self.validation)]


def assign(
    split: Split,
    rows: int,
    what: str,
    classes: np.ndarray | None,
    groups: np.ndarray | None,
) -> list[np.ndarray]:
    """Return the part of each row, uint8 (rows,): one array, or one a fold.

    Args:
        split: what is asked for.
        rows: how many there are.
        what: what they are, for a message.
        classes: int (rows,), the class of each; None for a regression.
        groups: int (rows,), the group of each, if `split.groups` names a column.

    Raises:
        UserError: if the data cannot be split so.
    """
    train, test, validation = split.counts(rows, what)
    # In file order, validation is at the end of what is learned from, and test comes last.
    wanted = {TRAIN: train, VALIDATION: validation, TEST: test, NOWHERE: rows - train - test - validation}
    if split.order == "stratified" and classes is None:
        raise UserError("split.order = stratified: should be shuffled for a regression, which has no classes")
    strata = classes if split.order == "stratified" else None
    rng = np.random.Generator(np.random.PCG64(split.seed)) if split.order != "file" else None
    if not split.folds:
        return [_deal(wanted, strata, groups, rng)]
    wanted = {TRAIN: train + validation, TEST: test, NOWHERE: wanted[NOWHERE]}
    parts = _deal(wanted, strata, groups, rng)
    chosen = parts == TRAIN
    count = int(chosen.sum())
    if count < split.folds:
        raise UserError(f"split.folds = {split.folds}: there are only {count} rows to be divided into folds")
    even = {
        fold: (fold + 1) * count // split.folds - fold * count // split.folds for fold in range(split.folds)
    }
    fold_of = _deal(
        even,
        None if strata is None else strata[chosen],
        None if groups is None else groups[chosen],
        rng,
    )
    folds = []
    for fold in range(split.folds):
        of_fold = parts.copy()
        of_fold[chosen] = np.where(fold_of == fold, VALIDATION, TRAIN).astype(np.uint8)
        folds.append(of_fold)
    return folds


def _deal(
    wanted: dict[int, int],
    strata: np.ndarray | None,
    groups: np.ndarray | None,
    rng: np.random.Generator | None,
) -> np.ndarray:
    """Return which of the parts `wanted`, with the number of rows of each, every row goes to, as uint8."""
    if groups is not None:
        return _deal_groups(wanted, groups, rng)
    names = np.array(list(wanted), np.uint8)
    counts = np.array(list(wanted.values()))
    if strata is None:
        parts = np.repeat(names, counts)
        if rng:
            rng.shuffle(parts)
        return parts
    parts = np.empty(len(strata), np.uint8)
    owed = np.zeros(len(counts))  # what rounding has kept from each part so far
    for stratum in range(int(strata.max()) + 1):
        members = strata == stratum
        size = int(members.sum())
        ideal = counts * (size / len(strata)) + owed
        given = np.maximum(np.floor(ideal), 0)
        while given.sum() < size:
            given[np.argmax(ideal - given)] += 1
        while given.sum() > size:
            given[np.argmin(np.where(given > 0, ideal - given, np.inf))] -= 1
        owed = ideal - given
        dealt = np.repeat(names, given.astype(int))
        if rng:
            rng.shuffle(dealt)
        parts[members] = dealt
    return parts


def _deal_groups(wanted: dict[int, int], groups: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Return the part of each row if groups stay whole: a group goes where its middle row would go."""
    sizes = np.bincount(groups)
    order = np.arange(len(sizes))
    if rng:
        rng.shuffle(order)
    ends = np.cumsum(sizes[order])
    middles = ends - sizes[order] / 2
    bounds = np.cumsum(list(wanted.values()))
    names = np.array(list(wanted), np.uint8)
    of_group = np.empty(len(sizes), np.uint8)
    of_group[order] = names[np.searchsorted(bounds, middles, side="right").clip(max=len(names) - 1)]
    parts = of_group[groups]
    for name, count in wanted.items():
        if count and name != NOWHERE and not (parts == name).any():
            raise UserError(
                f"split.groups: the {len(sizes)} groups are too few or too large for so many parts:"
                " one of them gets none"
            )
    return parts
