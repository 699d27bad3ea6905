"""The page of published results, and the experiments that are to match them."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import records
from benchmarks.published import RECORDS, Record
from benchmarks.records import BETWEEN_MARKS, NOT_MEASURED, PAGE, Result, table
from pipeline.train import CONF
from tests.commands import ROOT, run_module


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_an_experiment_names_its_source_and_the_error_published_there(record: Record) -> None:
    comment = (
        (CONF / f"experiment/{record.experiment}.yaml").read_text(encoding="utf-8").partition("defaults:")[0]
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
    assert rows == [(r.title, r.source, f"{r.published:g}", name) for name, r in RECORDS.items()]


def test_the_page_says_that_less_is_reported_where_predictions_are_averaged_over_distorted_copies() -> None:
    words = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert "Sato, Nishimura and Yokoi report about 0.26 % ([arXiv:1505.03229]" in words
    assert "record for a single plain network" not in words


def keep_results(folder: Path, seeds: int) -> None:
    """Write results as a training of each seed leaves them."""
    for seed in range(seeds):
        result = Result(
            key=f"key {seed}",
            evaluation={"copies": 64},
            errors={"train": 0.0, "official": 1.0 + seed},
            averaged={"official": 0.5 + seed},
            epochs=3,
            minutes=4.0,
            parameters=5,
            commit="0123456789",
            machine="a machine",
        )
        (folder / str(seed)).mkdir(parents=True)
        (folder / str(seed) / "result.json").write_text(json.dumps(asdict(result)))


def test_a_record_that_was_not_trained_here_keeps_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    [before] = BETWEEN_MARKS.findall(PAGE.read_text(encoding="utf-8"))
    assert table(before) == before
    keep_results(tmp_path / "mnist/60000/lecun_300", 3)
    after = table(before)
    assert re.findall(r"\| 2.00 ± 1.00 % \|.*\| 3 \| 4.0 \| 5 \| 0123456 \| .*lecun_300`", after)
    rest = [line for line in before.splitlines() if "lecun_300`" not in line]
    assert [line for line in after.splitlines() if "lecun_300`" not in line] == [
        *rest,
        "- 0123456: a machine",
    ]


def test_one_look_averages_and_the_committee_of_the_same_networks_have_rows_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    keep_results(tmp_path / "mnist/60000/best", 7)
    rows = {line.rpartition("records ")[2].strip("` |"): line for line in table("").splitlines()}
    assert "| 2.00 ± 1.00 % |  |  | 3 |" in rows["best"]
    assert "| 1.50 ± 1.00 % |  | 2.00 ± 1.00 % | 3 |" in rows["best_averaged"]
    assert f"| {NOT_MEASURED} |" in rows["best_committee"]  # the networks are there, but not their answers
    members = [[f"key {seed}", {"copies": 64}] for seed in range(7)]
    committee = tmp_path / "mnist/60000/best/committee.json"
    committee.write_text(json.dumps({"members": members, "errors": {"official": 0.25}}))
    assert "| 0.25 % |  | 4.00 ± 2.16 % | 3 |" in table("")
    committee.write_text(json.dumps({"members": members[1:], "errors": {"official": 0.25}}))
    assert "| 0.25 % |" not in table("")


def test_a_row_that_does_not_exist_is_named_in_one_line() -> None:
    done = run_module(ROOT, "benchmarks.records", "lenet")
    assert done.returncode == 1
    assert done.stderr.startswith("error: lenet: no such row; there are lecun_300, lecun_300_100,")


def test_a_row_says_how_many_seeds_are_trained_and_does_not_replace_one_of_all_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    keep_results(tmp_path / "mnist/60000/best", 2)
    [some] = [line for line in table("").splitlines() if "records best`" in line]
    assert "| 1.50 ± 0.71 % (2 of 3 seeds) |" in some
    assert some in table(some)
    whole = some.replace(" (2 of 3 seeds)", "")
    assert whole in table(whole) and some not in table(whole)
