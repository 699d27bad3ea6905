"""The combinations that a search tries: of the values that are swept, different, and the same every time."""

from collections.abc import Sequence

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.support.errors import UserError
from pipeline.sweeps.proposals import propose


def proposed(swept: Sequence[str], count: int, seed: int = 0) -> list[list[str]]:
    """Return the values of the combinations, without the keys."""
    overrides = OverridesParser.create().parse_overrides(list(swept))
    return [[text.partition("=")[2] for text in texts] for texts in propose(overrides, count, seed)]


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_they_are_different_and_as_many_as_asked_for_and_depend_on_the_seed_alone(
    count: int, seed: int
) -> None:
    space = ["rate=tag(log,interval(0.001,1))", "width=[8],[16],[32]", "seed=range(0,3)"]
    combinations = proposed(space, count, seed)
    assert len({tuple(values) for values in combinations}) == count
    assert combinations == proposed(space, count, seed)
    assert (
        combinations == proposed(space, count + 5, seed)[:count]
    )  # so a larger search adds to a smaller one
    for rate, width, number in combinations:
        assert 0.001 <= float(rate) <= 1 and len(rate) <= len("0.0001234")
        assert width in {"[8]", "[16]", "[32]"} and number in {"0", "1", "2"}


def test_they_are_the_same_on_every_machine() -> None:
    assert proposed(["a=tag(log,interval(0.001,1.0))", "b=interval(-1,1)", "c=x,y"], 3) == [
        ["0.01698", "0.9282", "y"],
        ["0.2239", "-0.6524", "x"],
        ["0.1371", "0.1714", "y"],
    ]


def test_a_logarithmic_interval_has_as_many_values_in_each_decade() -> None:
    rates = [float(rate) for [rate] in proposed(["rate=tag(log,interval(0.001,1.0))"], 64)]
    decades = np.histogram(np.log10(rates), bins=3, range=(-3, 0))[0]
    assert set(decades) <= {21, 22}
    even = [float(rate) for [rate] in proposed(["rate=interval(0,1)"], 64)]
    assert list(np.histogram(even, bins=8, range=(0, 1))[0]) == [8] * 8


@pytest.mark.parametrize("interval", ["int(interval(1,6))", "tag(log,int(interval(1,6)))"])
def test_whole_numbers_are_between_whole_ends_and_both_of_these_occur(interval: str) -> None:
    assert {width for [width] in proposed([f"width={interval}"], 6)} == set("123456")


def test_where_there_are_fewer_combinations_than_asked_for_each_is_there_once() -> None:
    combinations = proposed(["a=1,2,3", "b=shuffle(range(0,2))"], 100)
    assert sorted(combinations) == [[a, b] for a in "123" for b in "01"]


@pytest.mark.parametrize(
    ("interval", "told"),
    [
        ("interval(1,1)", "a=interval(1,1): should be interval(low,high), low less than high"),
        ("interval(2,1)", "a=interval(2,1): should be interval(low,high), low less than high"),
        ("interval(0,inf)", "a=interval(0,inf): should be interval(low,high), low less than high"),
        ("tag(log,interval(0,1))", "a=tag(log,interval(0,1)): should be interval(low,high), low less than"),
    ],
)
def test_an_interval_that_is_none_is_told(interval: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        proposed([f"a={interval}"], 1)
    assert str(caught.value).startswith(told)
