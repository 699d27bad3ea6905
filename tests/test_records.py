"""The page of published results, and the recipes that are to match them."""

import re

import pytest

from benchmarks.records import BETWEEN_MARKS, PAGE, RECORDS, Record
from pipeline.train import CONF
from tests.commands import ROOT, run_module


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.recipe)
def test_a_recipe_names_its_source_and_the_error_published_there(record: Record) -> None:
    comment = (
        (CONF / f"experiment/{record.recipe}.yaml").read_text(encoding="utf-8").partition("defaults:")[0]
    )
    words = " ".join(comment.replace("#", "").split())
    assert f"{record.published:g} % error" in words
    assert record.source[-4:] in words
    assert record.source.partition(",")[0] in words


def test_the_table_has_a_row_a_record() -> None:
    [table] = BETWEEN_MARKS.findall(PAGE.read_text(encoding="utf-8"))
    rows = re.findall(
        r"^\| (.*?) \| (.*?) \| ([\d.]+) % \|.*`python -m benchmarks.records (\w+)`", table, re.MULTILINE
    )
    assert rows == [(r.title, r.source, f"{r.published:g}", r.recipe) for r in RECORDS]


def test_a_recipe_that_does_not_exist_is_named_in_one_line() -> None:
    done = run_module(ROOT, "benchmarks.records", "lenet")
    assert done.returncode == 1
    assert done.stderr.startswith("error: lenet: no such recipe; there are lecun_300, lecun_300_100,")
