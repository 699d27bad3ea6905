"""Sweeps that are killed or interrupted: the same command again ends as if nothing had happened."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from pipeline.support.files import sha256
from tests.commands import PATIENCE, TRACKED, freezing, kill, wait_for, wait_until_frozen
from tests.stores import client, failing_server
from tests.sweeping import (
    JOBLIB,
    KILLED,
    LONGER,
    command_line,
    descendants,
    finished,
    needs_proc,
    runs,
    start,
    sweep,
    table,
    thawed,
)


def disturb(folder: Path, victim: str) -> None:
    """Start the sweep of `LONGER` and do away with `victim` in the middle of a job."""
    with freezing(checkpoint=18) as (frozen, environment):  # of 180: however often, one gets there
        started = start(folder, JOBLIB, "hydra.launcher.n_jobs=2", **environment)
        job = wait_until_frozen(started, frozen)
        children = descendants(started.pid)
        match victim:
            case "everything":
                kill(started.pid, *children)
            case "parent":
                kill(started.pid)
            case "job":
                kill(job)
            case "interrupted":
                os.killpg(started.pid, signal.SIGINT)
        wait_for(lambda: thawed(frozen) and started.poll() is not None)
        wait_for(lambda: thawed(frozen) and not any("loky" in command_line(pid) for pid in children))
    assert started.returncode != 0


@needs_proc
@pytest.mark.stress
def test_a_sweep_killed_again_and_again_ends_as_if_undisturbed(tracked: Path, tmp_path: Path) -> None:
    undisturbed = shutil.copytree(tracked, tmp_path / "undisturbed")
    assert sweep(undisturbed, JOBLIB, *LONGER, "tracking.enabled=false").returncode == 0

    for victim in ("everything", "parent", "job", "interrupted"):
        disturb(tracked, victim)
    final = sweep(tracked, JOBLIB, *LONGER, base=TRACKED)
    assert final.returncode == 0, final.stderr
    assert "finished before, skipped" in final.stdout
    assert (tracked / "sweep/sweep.csv").read_bytes() == (undisturbed / "sweep/sweep.csv").read_bytes()
    models, expected = (
        {key: sha256(run.model) for key, run in finished(folder).items()} for folder in (tracked, undisturbed)
    )
    assert models == expected
    assert not (tracked / "models/checkpoints").exists()
    [parent], jobs = runs(client(tracked))
    assert parent.info.status == "FINISHED"
    assert [run.info.status for run in jobs] == ["FINISHED"] * 6
    assert len({run.info.run_name for run in jobs}) == 6


@pytest.mark.stress
@needs_proc
def test_the_same_command_finishes_a_sweep_of_which_a_process_was_killed(workspace: Path) -> None:
    with freezing(checkpoint=45) as (frozen, environment):  # in its second job at least, of 30 each
        options = [JOBLIB, "hydra.launcher.n_jobs=2", "tracking.enabled=false"]
        started = start(workspace, *options, **environment)
        kill(wait_until_frozen(started, frozen))
        errors = started.communicate(timeout=PATIENCE)[1]
    assert started.returncode == 1
    assert errors.endswith(f"{KILLED}\n")
    assert "resource_tracker" not in errors
    assert "Traceback" not in errors

    before = {key: run.journal.read_bytes() for key, run in finished(workspace).items()}
    assert before
    again = sweep(workspace, JOBLIB, *LONGER)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("(finished before, skipped)") == len(before)
    after = {key: run.journal.read_bytes() for key, run in finished(workspace).items()}
    assert after.items() >= before.items()  # each by the same attempt
    assert [row["jobs"] for row in table(workspace)] == ["2"] * 3


@pytest.mark.stress
def test_what_the_server_did_not_take_is_recorded_by_the_same_command_again(tracked: Path) -> None:
    with failing_server(stalls=False) as (broken, _):
        options = ["seed=0,1", "tracking.patience=1"]
        done = sweep(tracked, *options, base=TRACKED, MLFLOW_TRACKING_URI=broken)
    assert done.returncode == 0
    [warning] = [line for line in done.stderr.splitlines() if "warning: not recorded in MLflow" in line]
    assert warning.endswith("The results are safe; the same command again records what was missed.")
    again = sweep(tracked, "seed=0,1", base=TRACKED)
    assert again.stdout.count("(finished before, skipped)") == 2
    [parent], jobs = runs(client(tracked))
    assert [run.info.status for run in (parent, *jobs)] == ["FINISHED"] * 3
    for job in jobs:
        assert job.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert len(client(tracked).get_metric_history(job.info.run_id, "train_loss")) == 2
