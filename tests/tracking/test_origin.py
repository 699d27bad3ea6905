"""What a run says of where its training came from, and of when it was at work."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.runs.history import read_history
from pipeline.runs.journal import Journal, read_journal
from pipeline.runs.run import Run
from pipeline.runs.training import journal_header
from tests.commands import git
from tests.stores import configuration, mirror, runs


def train(seed: int) -> None:
    """Have a journal in the folder, as if the training with that `seed` had just broken off."""
    header = journal_header(configuration(seed=seed), None)
    with pytest.raises(KeyboardInterrupt), Journal(Run(), header) as journal:
        for row in read_history(Run().history):
            journal.epoch(row, seconds=0.1)
        raise KeyboardInterrupt


def test_a_run_names_the_commit_that_is_checked_out_and_whether_the_code_is_still_its(
    project: Path, store: Any
) -> None:
    git(project, "init", "--quiet")
    code = project / "train.py"
    code.write_text("before")
    git(project, "add", code.name)
    git(project, "commit", "--quiet", "--message", "first")
    for seed, text in enumerate(["before", "after"]):
        code.write_text(text)
        train(seed)
        mirror("train", configuration(seed=seed))
    found = {run.data.params["seed"]: run.data.tags for run in runs(store)}
    commit = git(project, "rev-parse", "HEAD")
    for number, dirty in (("0", "false"), ("1", "true")):
        tags = found[number]
        assert (tags["git.commit"], tags["mlflow.source.git.commit"]) == (commit, commit)
        assert tags["git.dirty"] == dirty


def test_a_run_begins_and_ends_when_its_training_did_and_not_when_it_was_recorded(
    project: Path, store: Any
) -> None:
    train(seed=0)
    record = read_journal(Run())
    mirror("train", configuration())
    [run] = runs(store)
    assert record
    assert (run.info.start_time, run.info.end_time) == (record.started_ms, record.ended_ms)
