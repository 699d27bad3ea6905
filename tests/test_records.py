"""The page of published results, and the experiments that are to match them."""

import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import record_results, records, records_table
from benchmarks.published import RECORDS, Record
from benchmarks.record_results import Result, finished, plan_runs
from benchmarks.records import BETWEEN_MARKS, PAGE, measure_committee, train_and_measure
from benchmarks.records_table import NOT_MEASURED, table
from pipeline.data.dataset import PROCESSED
from pipeline.support.errors import UserError
from pipeline.train import CONF
from tests.commands import ROOT, SMALL, run_module


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
            commit="0123456",
            averaged_by="789abcd",
            machine="a machine",
        )
        (folder / str(seed)).mkdir(parents=True)
        (folder / str(seed) / "result.json").write_text(json.dumps(asdict(result)))


def test_a_record_that_was_not_trained_here_keeps_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_results, "FOLDER", tmp_path)
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
    monkeypatch.setattr(record_results, "FOLDER", tmp_path)
    keep_results(tmp_path / "mnist/60000/best", 7)
    rows = {line.rpartition("records ")[2].strip("` |"): line for line in table("").splitlines()}
    assert "| 2.00 ± 1.00 % |  |  | 3 |" in rows["best"]
    assert "| 1.50 ± 1.00 % |  | 2.00 ± 1.00 % | 3 |" in rows["best_averaged"]
    assert "| 0123456 |" in rows["best"] and "| 0123456; averaged by 789abcd |" in rows["best_averaged"]
    assert f"| {NOT_MEASURED} |" in rows["best_committee"]  # the networks are there, but not their answers
    measured = {"errors": {"official": 0.25}, "averaged_by": "789abcd"}
    members = [[f"key {seed}", {"copies": 64}] for seed in range(7)]
    committee = tmp_path / "mnist/60000/best/committee.json"
    committee.write_text(json.dumps({"members": members, **measured}))
    assert "| 0.25 % |  | 4.00 ± 2.16 % | 3 |" in table("")
    committee.write_text(json.dumps({"members": members[1:], **measured}))
    assert "| 0.25 % |" not in table("")


def test_a_row_that_does_not_exist_is_named_in_one_line() -> None:
    done = run_module(ROOT, "benchmarks.records", "lenet")
    assert done.returncode == 1
    assert done.stderr.startswith("error: lenet: no such row; there are lecun_300, lecun_300_100,")


def test_a_row_says_how_many_seeds_are_trained_and_does_not_replace_one_of_all_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_results, "FOLDER", tmp_path)
    keep_results(tmp_path / "mnist/60000/best", 2)
    [some] = [line for line in table("").splitlines() if "records best`" in line]
    assert "| 1.50 ± 0.71 % (2 of 3 seeds) |" in some
    assert some in table(some)
    whole = some.replace(" (2 of 3 seeds)", "")
    assert whole in table(whole) and some not in table(whole)


@pytest.fixture
def small(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A record of two seeds on small data, which are prepared."""
    record = Record(
        "simard_800_affine", "small", "nobody", 50, (0, 1), (*SMALL, "evaluation.copies=2"), "averaged"
    )
    monkeypatch.setattr(record_results, "FOLDER", tmp_path)
    for module in (records, records_table):
        monkeypatch.setattr(module, "RECORDS", {"small": record})
    monkeypatch.chdir(tmp_path)  # `train_and_measure` changes the folder
    shutil.copytree(workspace / PROCESSED, tmp_path / "strokes/205" / PROCESSED)
    return record


def test_a_run_whose_measuring_is_interrupted_is_not_trained_again(
    small: Record, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = plan_runs(small)

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(records, "measure_parts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_and_measure(run)
    trained = (run.workspace / run.folder / "models/model.npz").stat().st_mtime_ns
    assert finished([run]) == [] and NOT_MEASURED in table("")
    train_and_measure(run)
    assert (run.workspace / run.folder / "models/model.npz").stat().st_mtime_ns == trained
    [result] = finished([run])
    assert result.averaged_by == result.commit != "" and "(1 of 2 seeds)" in table("")
    train_and_measure(run)
    assert capsys.readouterr().out.splitlines()[-1] == "simard_800_affine/0: finished before"


def test_other_copies_are_measured_without_training_and_the_committee_anew(small: Record) -> None:
    for run in plan_runs(small):
        train_and_measure(run)
    measure_committee(small)
    [before] = {file.read_bytes() for file in record_results.FOLDER.rglob("committee.json")}
    more = replace(small, changes=(*small.changes, "evaluation.copies=5"))
    runs = plan_runs(more)
    trained = [(run.workspace / run.folder / "models/model.npz").stat().st_mtime_ns for run in runs]
    for run in runs:
        train_and_measure(run)
    assert [(run.workspace / run.folder / "models/model.npz").stat().st_mtime_ns for run in runs] == trained
    assert [result.evaluation["copies"] for result in finished(runs)] == [5, 5]
    assert "copies: 5" in (runs[0].workspace / runs[0].folder / "params.yaml").read_text(encoding="utf-8")
    measure_committee(more)
    assert runs[0].committee.read_bytes() != before


def test_a_file_that_is_gone_is_named_with_its_run_and_a_remedy_that_helps(small: Record) -> None:
    run, _ = plan_runs(small)
    (run.workspace / PROCESSED / "train_images.npy").unlink()
    with pytest.raises(
        UserError, match=r"^simard_800_affine/0: .*train_images.npy.*: remove .*/strokes/205/data and run"
    ):
        train_and_measure(run)
