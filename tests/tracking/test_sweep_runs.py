"""A sweep in MLflow: a parent run, a run for each of its jobs, and what becomes of those that broke off."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.runs.history import read_history
from pipeline.runs.journal import Journal
from pipeline.runs.run import Run
from pipeline.runs.training import journal_header
from pipeline.support.errors import UserError
from pipeline.tracking import MirrorProcess
from tests.commands import wait_for
from tests.stores import client, configuration, failing_server, mirror, runs

SWEEP = Path("sweep")
MEASURED = {"test_error": 0.25, "test_accuracy": 0.75}


def begin(**changes: Any) -> None:
    """Have the folder of a sweep of the seed that has just begun."""
    sweep = {
        "key": "sweep",
        "name": "sweep of seed",
        "overrides": {"seed": "0,1,2"},
        "config": json.loads(json.dumps(journal_header(configuration(), None)["config"])),
        "time_ms": 1_000_000,
        **changes,
    }
    shutil.rmtree(SWEEP / "jobs", ignore_errors=True)
    (SWEEP / "jobs").mkdir(parents=True)
    (SWEEP / "sweep.json").write_text(json.dumps(sweep))
    (SWEEP / "sweep.csv").write_text("rank,seed,test_error\n1,0,0.25\n")


def start_job(seed: int, token: str, skipped: bool = False) -> Run:
    """Note that attempt `token` at the job has started, and return its run, in which the model is already."""
    run = Run(SWEEP / str(seed))
    job = {"folder": str(run.folder), "key": f"job {seed}", "token": token, "skipped": skipped}
    (SWEEP / f"jobs/{seed}.json").write_text(json.dumps(job))
    for path in ("models/model.npz", "reports/history.csv"):
        (run.folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, run.folder / path)
    return run


def do_job(seed: int, token: str, failure: BaseException | None = None) -> None:
    """Do the job, which ends by `failure` if there is one."""
    run = start_job(seed, token)
    header = journal_header(
        configuration(seed=seed), {"key": f"job {seed}", "sweep": "sweep", "token": token}
    )
    try:
        with Journal(run, {**header, "name": f"seed {seed}"}) as journal:
            for row in read_history(Run().history):
                journal.epoch(row, seconds=0.1)
            if failure:
                raise failure
    except (UserError, KeyboardInterrupt):
        pass


def ends(store: Any) -> dict[str, str]:
    return {run.info.run_name: run.info.status for run in runs(store)}


def test_a_sweep_that_broke_off_goes_on_in_the_same_runs(project: Path, store: Any) -> None:
    """The first attempt is killed in job 1; the second does it again and job 2, which fails."""
    begin()
    do_job(0, "first 0")
    do_job(1, "first 1", KeyboardInterrupt())
    with MirrorProcess(SWEEP, configuration(), "sweep") as recording:
        assert recording.process
        wait_for(lambda: len(runs(store)) == 3)
        assert recording.process.stdin
        recording.process.stdin.close()  # as the system does when the sweep is killed
        recording.process.wait()
        recording.process = None
    killed = {"sweep of seed": "KILLED", "seed 0": "FINISHED", "seed 1": "KILLED"}
    assert ends(store) == killed
    before = {run.info.run_name: run.info.run_id for run in runs(store)}

    begin(overrides={"seed": "range(3)", "split.validation": "0"})
    start_job(0, "first 0", skipped=True)
    do_job(1, "second 1")
    do_job(2, "second 2", UserError("the loss became infinite"))
    for _ in range(2):  # to look at it again changes nothing
        mirror("sweep", configuration(), "sweep", metrics=MEASURED, failure="1 of 3 jobs failed")
        found = {run.info.run_name: run for run in runs(store)}
        assert ends(store) == {
            **{"sweep of seed": "FAILED", "seed 0": "FINISHED", "seed 1": "FINISHED", "seed 2": "FAILED"}
        }
        assert len(runs(store)) == 4
        parent = found["sweep of seed"]
        for name in ("sweep of seed", "seed 0"):
            assert found[name].info.run_id == before[name]
        assert parent.data.params == {"seed": "0,1,2", "split.validation": "0"}
        assert parent.data.metrics == MEASURED
        assert parent.data.tags["failure"] == "1 of 3 jobs failed"
        assert [file.path for file in store.list_artifacts(parent.info.run_id)] == ["sweep.csv"]
        assert found["seed 2"].data.tags["failure"] == "the loss became infinite"
        for seed in range(3):
            job = found[f"seed {seed}"]
            assert job.data.tags["mlflow.parentRunId"] == parent.info.run_id
            assert job.data.params["seed"] == str(seed)
            assert [p.step for p in store.get_metric_history(job.info.run_id, "train_loss")] == [1, 2, 3]
            assert bool(job.outputs.model_outputs) == (seed < 2)
    begin()
    mirror("sweep", configuration(), "sweep", metrics={}, failure=None)
    assert "failure" not in store.get_run(before["sweep of seed"]).data.tags


def test_the_end_of_a_sweep_has_a_second_more_for_each_job(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    begin()
    for seed in range(60):
        start_job(seed, "a token that no journal has")
    with MirrorProcess(SWEEP, configuration(patience=0.1), "sweep") as recording:
        recording.finish({}, "60 of 60 jobs failed")
    assert capfd.readouterr().err == ""
    assert ends(client(project)) == {"sweep of seed": "FAILED"}


def test_a_sweep_that_cannot_be_recorded_warns_once_and_shows_nothing_of_a_foreign_page(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    begin()
    do_job(0, "first")
    with failing_server(stalls=False, page="<html>some other program's page</html>") as (other, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
        with MirrorProcess(SWEEP, configuration(patience=5.0), "sweep"):
            assert asked.wait(60)
    [told] = capfd.readouterr().err.splitlines()
    assert told.startswith("warning: not recorded in MLflow: http://127.0.0.1:")
    assert told.endswith("; the same command again records what was missed.")
    assert "some other" not in told
