"""What is said of a column and of its values."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline.data.encoding import option


@pytest.mark.parametrize("column", ["date", "date of sale", "a, b", "it's", 'a"b', "a\\b", ""])
def test_the_option_that_an_error_shows_can_be_pasted_into_a_shell(column: str) -> None:
    [flag, override] = shlex.split(option("dataset.drop", column))
    parsed = OverridesParser.create().parse_override(override)
    assert (flag, parsed.key_or_group, parsed.value()) == ("-S", "dataset.drop", [column])
