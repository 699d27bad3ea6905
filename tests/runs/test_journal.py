"""A journal holds what happened in a training; whatever its bytes have become, nobody ends in a traceback."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.runs.journal import FAILED, FINISHED, KILLED, STOPPED, Journal, read_end, read_journal
from pipeline.runs.run import Run
from pipeline.support.errors import UserError
from pipeline.support.files import sha256

HEADER = {"token": "t", "config": {"seed": 0}, "source": "test"}


def with_results(folder: Path) -> Run:
    """Return the run in `folder`, which gets a model and a history."""
    run = Run(folder)
    for path in (run.model, run.history):
        path.parent.mkdir()
        path.write_text(path.name)
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return with_results(tmp_path)


def test_a_training_that_finished_is_told_from_one_whose_results_changed(run: Run) -> None:
    with Journal(run, HEADER) as journal:
        journal.epoch({"epoch": 1, "loss": 0.5}, 0.1)
    record = read_journal(run)
    assert record
    assert (record.status, record.header["token"], record.epochs[0]["row"]["loss"]) == (FINISHED, "t", 0.5)
    assert record.holds_for(run)
    assert read_end(run)["status"] == FINISHED
    run.history.write_text("other")
    assert not record.holds_for(run)
    record.results = {}  # as an end has it that does not say them
    assert not record.holds_for(run)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (UserError("no data"), FAILED, "no data"),
        (ZeroDivisionError("0"), FAILED, "0"),
        (KeyboardInterrupt(), KILLED, ""),
    ],
)
def test_how_a_training_broke_off_is_its_last_line(
    run: Run, error: BaseException, status: str, reason: str
) -> None:
    with pytest.raises(type(error)), Journal(run, HEADER):
        raise error
    record = read_journal(run)
    assert record
    assert (record.status, read_end(run)["status"]) == (status, status)
    assert reason in record.reason


def test_a_training_that_stopped_goes_on_in_the_same_journal_and_has_each_epoch_once(run: Run) -> None:
    with Journal(run, HEADER) as journal:
        journal.epoch({"epoch": 1, "loss": 0.5}, 0.1)
        journal.stop(1)
    record = read_journal(run)
    assert record and record.holds_for(run)
    assert (record.status, record.stopped, read_end(run)["epoch"]) == (STOPPED, 1, 1)
    with Journal(run, HEADER) as journal:
        assert not read_end(run)
        journal.epoch({"epoch": 1, "loss": 0.5}, 0.1)  # from the checkpoint
        journal.epoch({"epoch": 2, "loss": 0.4}, 0.1)
    whole = read_journal(run)
    assert whole and whole.holds_for(run)
    assert (whole.status, whole.stopped, whole.started_ms) == (FINISHED, None, record.started_ms)
    assert [event["row"]["epoch"] for event in whole.epochs] == [1, 2]
    assert whole.epochs[0] == record.epochs[0]

    with Journal(run, {**HEADER, "token": "another training's"}):
        pass
    anew = read_journal(run)
    assert anew and anew.epochs == []


def test_a_training_at_work_has_no_end_yet(run: Run) -> None:
    with Journal(run, HEADER) as journal:
        journal.epoch({"epoch": 1}, 0.1)
        assert not read_end(run)
        record = read_journal(run)
        assert record
        assert not record.status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*HEADER, "event", "status"]), inner)
    ),
    max_leaves=6,
)


@given(
    line=st.sampled_from([0, 1, 2]),
    change=st.one_of(
        JSON, st.sampled_from(["drop token", "drop status", "drop reason", "drop event", "drop results"])
    ),
    status=st.sampled_from([FINISHED, FAILED]),
)
@example(line=2, change="drop results", status=FINISHED)
@example(line=2, change="drop nothing", status=FINISHED)
def test_a_damaged_journal_is_none_or_incomplete(
    tmp_path_factory: pytest.TempPathFactory, line: int, change: object, status: str
) -> None:
    run = with_results(tmp_path_factory.mktemp("run"))
    results = {path.name: sha256(path) for path in (run.model, run.history)}
    events: list[object] = [
        {"event": "start", "time_ms": 1, **HEADER},
        {"event": "epoch", "time_ms": 2, "row": {"epoch": 1}, "seconds": 0.1},
        {"event": "end", "time_ms": 3, "status": status, "reason": "why", "results": results},
    ]
    event = events[line]
    if isinstance(change, str) and change.startswith("drop ") and isinstance(event, dict):
        event.pop(change.removeprefix("drop "), None)
    else:
        events[line] = change
    run.journal.write_text("".join(json.dumps(each) + "\n" for each in events), encoding="utf-8")
    record, end = read_journal(run), read_end(run)
    if record:
        assert record.header["token"] is not None
        assert record.holds_for(run) == ((record.status, record.results) == (FINISHED, results))
        run.history.write_text("other")
        assert not record.holds_for(run)
    if end.get("status") == FAILED:
        assert "reason" in end
