"""Sweeps as users start them: what they report, in the terminal, as files and in MLflow."""

import json
import os
import re
import signal
import time
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

import pipeline.sweeps.outcome
from pipeline.runs.history import read_history
from pipeline.runs.journal import Journal
from pipeline.runs.run import Run
from pipeline.support.errors import UserError
from pipeline.sweeps.callback import SweepReport
from pipeline.sweeps.job import FINISHED
from pipeline.sweeps.launchers import POLL_S
from pipeline.sweeps.outcome import write_json
from tests.commands import (
    PATIENCE,
    ROOT,
    SMALL,
    TRACKED,
    copy_code,
    kill,
    run_module,
    start_module,
    wait_for,
)
from tests.stores import client, free_port
from tests.sweeping import (
    EXPLODING,
    JOBLIB,
    composed,
    runs,
    sweep,
    table,
)


def test_one_parent_run_with_table_figure_and_the_best_jobs_metrics(tracked: Path) -> None:
    done = sweep(tracked, "optimizer.learning_rate=0.03,0.3", "seed=0,1", base=TRACKED)
    assert done.returncode == 0, done.stderr
    store = client(tracked)
    [parent], jobs = runs(store)
    assert parent.info.run_name == "sweep of learning_rate × seed, 4 jobs"
    assert parent.info.status == "FINISHED"
    assert parent.data.params["optimizer.learning_rate"] == "0.03,0.3"
    assert {run.data.tags["mlflow.parentRunId"] for run in jobs} == {parent.info.run_id}
    assert all("train_seconds" in run.data.metrics for run in jobs)  # recorded while each was trained
    assert [run.info.run_name for run in jobs] == [
        f"learning_rate {rate}, seed {seed}" for rate in (0.03, 0.3) for seed in (0, 1)
    ]
    held = {path.path for path in store.list_artifacts(parent.info.run_id)}
    assert held == {"sweep.csv", "sweep.png", "sweep.html"}
    best = max(run.data.metrics["test_accuracy"] for run in jobs)
    assert parent.data.metrics["test_accuracy"] == best
    assert parent.data.metrics["test_error"] == pytest.approx(1 - best, abs=1e-6)

    first, second = table(tracked)
    errors = [1 - run.data.metrics["test_accuracy"] for run in jobs]
    assert (first["rank"], first["optimizer.learning_rate"], first["jobs"]) == ("1", "0.3", "2")
    assert float(first["test_error"]) == pytest.approx((errors[2] + errors[3]) / 2, abs=1e-5)
    assert float(second["spread"]) == pytest.approx(abs(errors[0] - errors[1]) / 2**0.5, abs=1e-5)
    assert f"test error {errors[0]:.2%}" in done.stdout
    assert f"{float(first['test_error']):.2%}" in done.stdout

    port = free_port()
    server = start_module(tracked, "pipeline.tracking.page", MLFLOW_PORT=str(port))
    try:
        assert server.stdout
        page = server.stdout.readline().strip()
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.communicate()
    address = f"Strokes: http://127.0.0.1:{port}/#/experiments/{parent.info.experiment_id}/runs?workflowType="
    assert page.startswith(address)
    view = page.rpartition("=")[2]
    assert f"mlflow.sharedViewState.{view}" in store.get_experiment(parent.info.experiment_id).tags
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:4]] == [f"job {i}" for i in range(4)]


@pytest.mark.parametrize(
    ("swept", "combinations", "status"),
    [
        pytest.param(
            ["optimizer.learning_rate=0.1,0.3", "model.hidden=[5],[9]"], *(4, 0), marks=pytest.mark.stress
        ),
        pytest.param(
            ["optimizer.learning_rate=0.1,0.3", "model.hidden=[5],[9]", "optimizer=sgd,adam"],
            *(8, 0),
            marks=pytest.mark.stress,
        ),
        pytest.param(["seed=0", "optimizer.learning_rate=0.1"], 1, 0, marks=pytest.mark.stress),
        ([], 1, 0),
        ([*EXPLODING, "optimizer.learning_rate=5,9"], 2, 1),
    ],
)
def test_every_sweep_gets_a_table_and_a_figure(
    workspace: Path, swept: list[str], combinations: int, status: int
) -> None:
    done = sweep(workspace, *swept, "training.epochs=1")
    assert done.returncode == status, done.stderr
    assert len(table(workspace)) == combinations
    assert (workspace / "sweep/sweep.png").read_bytes().startswith(b"\x89PNG")
    page = (workspace / "sweep/sweep.html").read_text(encoding="utf-8")
    assert len(re.findall("<tr><td", page)) == combinations


class Returned(Callback):
    """Notes what each job returned, which is what a sweeper minimises."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        with (Path(config.hydra.sweep.dir) / "returned").open("a", encoding="utf-8") as file:
            print(job_return.return_value, file=file)


def test_to_a_sweeper_a_failed_job_is_infinitely_bad_and_another_as_bad_as_on_the_validation_part(
    workspace: Path,
) -> None:
    note = "+hydra.callbacks.returned._target_=tests.sweeps.test_callback.Returned"
    options = [*EXPLODING, "optimizer.learning_rate=9,0.01", "split.validation=50", note]
    assert sweep(workspace, *options).returncode == 1
    failed, good = (workspace / "sweep/returned").read_text().split()
    last = read_history(workspace / "sweep/1/reports/history.csv")[-1]
    assert (failed, float(good)) == ("inf", pytest.approx(1 - last["validation_accuracy"], abs=1e-6))
    assert last["validation_accuracy"] != last["test_accuracy"]
    assert float(table(workspace)[0]["validation_error"]) == float(good)


class Lost(Callback):
    """Takes all that the second job left, as if its process had been killed and the launcher kept silent."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        outcome = Path(config.hydra.sweep.dir) / "jobs/1.json"
        time.sleep(5 * POLL_S)  # until the progress has told of it, and reads the file no more
        key = json.loads(outcome.read_text(encoding="utf-8"))["key"]
        outcome.unlink()
        (FINISHED / f"{key}.json").unlink()
        pipeline.sweeps.outcome.NFS_DELAY_S = 0.0  # no shared folder here that could show it late


@pytest.mark.stress
def test_a_sweep_whose_job_left_no_outcome_is_not_complete(tracked: Path) -> None:
    lose = "+hydra.callbacks.lost._target_=tests.sweeps.test_callback.Lost"
    done = sweep(tracked, "seed=0,1,2", lose, base=TRACKED)
    assert done.returncode == 1
    told = "1 of 3 jobs left no outcome: the same command again finishes them"
    assert done.stderr.endswith(f"error: {told}\n")
    assert [row["seed"] for row in sorted(table(tracked), key=itemgetter("seed"))] == ["0", "2"]
    [parent], _ = runs(client(tracked))
    assert (parent.info.status, parent.data.tags["failure"]) == ("FAILED", told)

    again = sweep(tracked, "seed=0,1,2", base=TRACKED)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("(finished before, skipped)") == 2
    [parent], jobs = runs(client(tracked))
    assert [run.info.status for run in (parent, *jobs)] == ["FINISHED"] * 4
    assert "failure" not in parent.data.tags


@pytest.mark.stress
def test_one_bad_job_spoils_nothing(tracked: Path) -> None:
    options = [*EXPLODING, "optimizer.learning_rate=0.01,9,0.02"]
    done = sweep(tracked, JOBLIB, *options, base=TRACKED)
    assert done.returncode == 1
    assert done.stderr.endswith("error: 1 of 3 jobs failed: the table says why\n")
    *good, bad = table(tracked)
    assert sorted(row["optimizer.learning_rate"] for row in good) == ["0.01", "0.02"]
    assert (bad["optimizer.learning_rate"], bad["status"]) == ("9", "FAILED")
    assert "in epoch 1, step" in bad["reason"]
    [parent], jobs = runs(client(tracked))
    assert parent.info.status == "FAILED"
    ended = {run.info.run_name: run for run in jobs}
    assert ended["learning_rate 9"].info.status == "FAILED"
    assert ended["learning_rate 9"].data.tags["failure"] == bad["reason"]
    assert ended["learning_rate 0.01"].info.status == ended["learning_rate 0.02"].info.status == "FINISHED"


def test_a_sweep_that_cannot_be_summed_up_after_its_last_job_has_failed(workspace: Path) -> None:
    """Hydra makes a warning of what goes wrong in a callback, and exit status 0."""
    (workspace / "broken").mkdir()
    (workspace / "broken/matplotlib.py").write_text("raise RuntimeError('broken')", encoding="utf-8")
    search_path = os.pathsep.join([str(workspace / "broken"), str(ROOT)])
    done = sweep(workspace, "seed=0", PYTHONPATH=search_path)
    assert done.returncode == 1
    assert "broken" in done.stderr
    assert [path.name for path in (workspace / "sweep/jobs").iterdir()] == ["0.json"]


def test_a_second_sweep_in_the_folder_of_one_that_is_running_is_refused(workspace: Path) -> None:
    options = [
        *SMALL,
        "hydra.sweep.dir=sweep",
        "training.epochs=100000",
        "training.snapshots=null",
        "seed=0,1",
    ]
    first = start_module(workspace, "pipeline.train", "-m", *options)
    wait_for(lambda: (workspace / "sweep/0").exists() or first.poll() is not None)
    second = sweep(workspace, "seed=2,3")
    kill(first.pid)
    first.wait(PATIENCE)
    assert second.returncode == 1
    assert second.stderr.startswith("error: another sweep is at work in sweep: wait for its end, or set")
    assert second.stderr.count("\n") == 1


def test_what_an_earlier_sweep_left_in_the_folder_is_none_of_this_one(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setattr("pipeline.sweeps.outcome.NFS_DELAY_S", 0.0)
    with suppress(UserError), Journal(Run(Path("sweep/7")), {"config": {}}):
        raise UserError("this job failed")
    write_json(Path("sweep/jobs/7.json"), {"folder": "sweep/7", "overrides": {}, "skipped": False})
    report = SweepReport()
    with composed("seed=0") as config:
        report.on_multirun_start(config)
    with pytest.raises(SystemExit):
        report.on_multirun_end(config)
    assert table(workspace) == []
    told = "error: 1 of 1 jobs left no outcome: the same command again finishes them\n"
    assert capsys.readouterr().err == told


WHAT_IS_IMPORTED = """
import atexit, sys

ours = ("pipeline.sweeps", "pandas", "filelock", "joblib")
atexit.register(lambda: print(sorted(name for name in sys.modules if name.startswith(ours)), file=sys.stderr))
"""


def test_a_single_training_imports_only_the_callback_and_reads_no_dvc_yaml(
    tmp_path: Path,
) -> None:
    code = copy_code(tmp_path / "code")
    assert not (code / "dvc.yaml").exists()
    (code / "sitecustomize.py").write_text(WHAT_IS_IMPORTED, encoding="utf-8")
    options = ["dataset=xor", "training.batch_size=null", "training.epochs=1", "tracking.enabled=false"]
    done = run_module(tmp_path, "pipeline.train", *options, PYTHONPATH=str(code))
    assert done.returncode == 0, done.stderr
    imported = "['pipeline.sweeps', 'pipeline.sweeps.callback', 'pipeline.sweeps.launchers']"
    assert done.stderr.splitlines()[-1] == imported
