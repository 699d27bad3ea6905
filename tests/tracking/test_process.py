"""What a stage sees of its child process, and what MLflow sees of stages and children that were killed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import Event, Timer
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import yaml
from mlflow.exceptions import MlflowException

from pipeline.config.schema import Config, flat
from pipeline.runs.history import read_history
from pipeline.runs.journal import Journal
from pipeline.runs.run import Run
from pipeline.runs.training import journal_header, train_run
from pipeline.support.errors import UserError
from pipeline.tracking import MirrorProcess
from pipeline.tracking.child import make_mirrors
from pipeline.tracking.session import Session
from tests.commands import PATIENCE, ROOT, git, wait_for
from tests.stores import (
    address_of_this_process,
    client,
    configuration,
    failing_server,
    free_port,
    mirror,
    mlflow_server,
    runs,
)

What = Literal["train", "evaluate", "plot", "sweep"]


def train(config: Config, run: Run | None = None) -> None:
    """Have a journal in the folder, as if its training had just been done."""
    with Journal(run or Run(), journal_header(config, None)) as journal:
        for row in read_history(Run().history):
            journal.epoch(row, seconds=0.1)


STAGE = """
import time
from pipeline.config.reading import read_params
from pipeline.runs.journal import Journal
from pipeline.runs.run import Run
from pipeline.runs.training import journal_header, train_run
from pipeline.tracking import MirrorProcess

config, run = read_params(), Run()
with MirrorProcess(run, config, "train"), Journal(run, journal_header(config, None)) as journal:
    journal.epoch({{"epoch": 1, "loss": 0.5}}, seconds=0.1)
    print("at work", flush=True)
    {rest}
"""


def test_a_stage_that_breaks_off_ends_its_run(project: Path) -> None:
    store = client(project)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db",
    }
    stages = {}
    for seed, rest in enumerate(["time.sleep(60)", "time.sleep(60)", "raise ValueError('loss is nan')"]):
        folder = project / str(seed)
        folder.mkdir()
        (folder / "data").symlink_to(project / "data")
        (folder / "params.yaml").write_text(yaml.safe_dump(asdict(configuration(seed=seed))))
        stages[seed] = subprocess.Popen(
            [sys.executable, "-c", STAGE.format(rest=rest)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        output = stages[seed].stdout
        assert output
        assert output.readline() == "at work\n"
    stages[0].kill()
    os.killpg(stages[1].pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    for stage in stages.values():
        stage.communicate(timeout=PATIENCE)
    wait_for(lambda: len(runs(store)) == 3 and all(run.info.status != "RUNNING" for run in runs(store)))
    ended = {run.data.params["seed"]: run for run in runs(store)}
    assert [ended[seed].info.status for seed in "012"] == ["KILLED", "KILLED", "FAILED"]
    assert ended["2"].data.tags["failure"] == "ValueError: loss is nan"
    assert all(run.data.metrics == {"train_loss": 0.5, "train_seconds": 0.1} for run in ended.values())


def test_whoever_comes_next_completes_or_ends_what_killed_children_left(
    project: Path, store: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    def seen(count: int) -> bool:
        return len(runs(store)) == count and bool(runs(store)[0].data.metrics)

    for count, seed in ((1, 1), (2, 0)):
        config = configuration(seed=seed)
        with (
            MirrorProcess(Run(), config, "train") as recording,
            Journal(Run(), journal_header(config, None)) as journal,
        ):
            for row in read_history(Run().history)[:2]:
                journal.epoch(row, seconds=0.1)
            wait_for(partial(seen, count))
            assert recording.process
            recording.process.kill()
    assert capfd.readouterr().err.count("warning: not recorded in MLflow") == 2
    assert [run.info.status for run in runs(store)] == ["RUNNING", "KILLED"]
    begun = runs(store)[0].info.run_id

    mirror("evaluate", configuration())

    complete, broken_off = runs(store)
    assert (broken_off.info.status, broken_off.data.params["seed"]) == ("KILLED", "1")
    assert (complete.info.status, complete.info.run_id) == ("FINISHED", begun)
    assert complete.data.params == {key: str(value) for key, value in flat(configuration()).items()}
    assert complete.data.metrics["official_accuracy"] == 0.5
    assert complete.outputs.model_outputs
    assert [p.step for p in store.get_metric_history(begun, "train_loss")] == [1, 2]


@pytest.mark.stress
def test_servers_that_fail_cost_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    before = {path: path.read_bytes() for path in Path().rglob("*.*") if path.suffix in {".npz", ".csv"}}
    patience, waited = 8.0, []
    with (
        failing_server(stalls=False) as (broken, asked),
        failing_server(stalls=True) as (stalled, called),
        ExitStack() as stages,
    ):
        for address in ("http://127.0.0.1:9", broken, stalled):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            stages.callback(lambda: waited.append(time.monotonic()))
            stages.enter_context(MirrorProcess(Run(), configuration(patience=patience), "train"))
            train(configuration())
        assert asked.wait(PATIENCE)
        assert called.wait(PATIENCE)
        waited.append(time.monotonic())
    assert np.diff(waited).max() < patience + 1
    output, errors = capfd.readouterr()
    assert output == ""
    warnings = errors.splitlines()
    assert len(warnings) == 3
    for warning, reason in zip(
        warnings, ["timed out", "500", "http://127.0.0.1:9: [Errno 111] Connection refused"], strict=True
    ):
        assert warning.startswith("warning: not recorded in MLflow: http://127.0.0.1:")
        assert reason in warning
        assert "The results are safe; `dvc repro -sf evaluate plot page` records what was missed." in warning
        assert "secret" not in warning
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.stress
def test_a_server_that_is_started_late(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
    with ExitStack() as servers:
        with MirrorProcess(Run(), configuration(), "train"):
            train(configuration())
            servers.enter_context(mlflow_server(project, port))
        output, errors = capfd.readouterr()
    assert errors == ""
    (run,) = runs(client(project))
    assert output == (
        f"MLflow: relu 8, sgd 0.1, seed 0: http://127.0.0.1:{port}/#/experiments/1/runs/{run.info.run_id}\n"
    )
    assert run.info.status == "FINISHED"
    assert len(client(project).get_metric_history(run.info.run_id, "train_loss")) == 3
    assert list(Path("mlartifacts").rglob("history.csv"))
    assert list(Path("mlartifacts").rglob("model.npz"))


class Store:
    """A store that fails a number of times, whether the stage is over or not, and then answers."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.run_id = ""

    def update(self, over: bool, result: object) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise MlflowException("no answer")


@pytest.mark.parametrize(
    ("failures", "over_after_s", "recorded"),
    [
        pytest.param(9, 0, False, id="an outage ends the attempts"),
        pytest.param(4, 1.5, True, id="it counts from the end of the stage"),
    ],
)
def test_an_outage_is_waited_out_from_the_end_of_the_stage(
    monkeypatch: pytest.MonkeyPatch, failures: int, over_after_s: float, recorded: bool
) -> None:
    from pipeline.tracking import child

    monkeypatch.setattr(child, "OUTAGE_S", 1.0)
    monkeypatch.setattr(child, "PAUSE_S", 0.3)
    monkeypatch.setattr(child, "Session", lambda root: SimpleNamespace(warnings=[]))
    monkeypatch.setattr(child, "make_mirrors", lambda task, session: [Store(failures)])
    over = Event()
    Timer(over_after_s, over.set).start()
    stage: Any = SimpleNamespace(over=over, task={}, result=None)
    with nullcontext() if recorded else pytest.raises(MlflowException):
        child.work(stage, lambda **report: None)


def test_a_hung_child_holds_nothing_up(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    with MirrorProcess(Run(), configuration(patience=0.5), "train") as recording:
        assert recording.process
        recording.process.send_signal(signal.SIGSTOP)
        with Journal(Run(), journal_header(configuration(), None)) as journal:
            for epoch in range(10_000):
                journal.epoch({"epoch": epoch, "loss": 0.5, "train_accuracy": 0.5}, seconds=0.1)
    assert time.monotonic() - begun < 3
    assert "it was not done 0.5 s after the stage" in capfd.readouterr().err


@pytest.mark.parametrize("what", ["train", "evaluate", "plot"])
def test_an_error_before_there_is_anything_to_record_is_not_waited_for(
    project: Path, capfd: pytest.CaptureFixture[str], what: What
) -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match="no data"), MirrorProcess(Run(), configuration(), what):
        raise ValueError("no data")
    assert time.monotonic() - begun < 1
    assert capfd.readouterr().err == ""


@pytest.fixture
def broken_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a child that fails keeps the lines that it was sent."""
    program = tmp_path / "child"
    program.write_text(f"#!/bin/sh\ncat > '{tmp_path}/lines'\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    return tmp_path / "lines"


def test_an_earlier_training_in_the_same_folder_is_none_of_this_stage(
    project: Path, store: Any, broken_child: Path
) -> None:
    train(configuration(seed=1))
    with MirrorProcess(Run(), configuration(), "train"):
        pass
    task = json.loads(broken_child.read_text().splitlines()[0])
    with address_of_this_process():
        [recording] = make_mirrors(task, Session(project))
        recording.update(over=False, result=None)
        assert runs(store) == []
        train(configuration())
        recording.update(over=False, result=None)
    assert [run.data.params["seed"] for run in runs(store)] == ["0"]


@pytest.mark.parametrize(
    ("folder", "what", "remedy"),
    [
        (Run(), "train", "`dvc repro -sf evaluate plot page`"),
        ([Run(Path("models/problems/xor"))], "train", "`dvc repro -sf problems`"),
        (Run(Path("outputs/my first")), "train", "`python -m pipeline.evaluate 'outputs/my first'`"),
        (Path("multirun/first"), "sweep", "the same command again"),
    ],
)
def test_what_was_not_recorded_is_told_with_what_records_it(
    broken_child: Path, capsys: pytest.CaptureFixture[str], folder: Any, what: What, remedy: str
) -> None:
    with MirrorProcess(folder, configuration(), what):
        pass
    assert capsys.readouterr().err == (
        "warning: not recorded in MLflow: its process ended with status 1."
        f" The results are safe; {remedy} records what was missed.\n"
    )
    assert json.loads(broken_child.read_text().splitlines()[0])["what"] == what


@pytest.mark.parametrize(
    ("error", "reason"),
    [(UserError("the loss is nan"), "the loss is nan"), (ValueError("no"), "ValueError: no")],
)
def test_of_a_training_that_broke_off_no_results_are_promised(
    project: Path,
    broken_child: Path,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    reason: str,
) -> None:
    with (
        suppress(UserError, ValueError),
        MirrorProcess(Run(), configuration(), "train"),
        Journal(Run(), journal_header(configuration(), None)),
    ):
        raise error
    told = "warning: not recorded in MLflow: its process ended with status 1.\n"
    assert capsys.readouterr().err == told
    assert json.loads(Run().journal.read_text().splitlines()[-1])["reason"] == reason


def test_no_process_where_tracking_is_off(project: Path) -> None:
    with MirrorProcess(Run(), configuration(enabled=False), "train") as recording:
        assert recording.process is None


def test_stages_and_sweeps_do_without_mlflow() -> None:
    """Its import takes seconds."""
    commands = (
        "download",
        "preprocess",
        "train",
        "evaluate",
        "plot",
        "page.__main__",
        "problems",
        "promote",
        "experiments",
    )
    modules = ", ".join(f"pipeline.{name}" for name in [*commands, "sweeps.callback"])
    program = f"import sys, {modules}; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_where_git_refuses_to_name_the_commit_the_stage_says_so_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    git(project, "init", "--quiet")
    git(project, "commit", "--quiet", "--allow-empty", "--message", "first")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    for scope in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"GIT_CONFIG_{scope}", os.devnull)
    trainings = {Path("first"): configuration(), Path("second"): configuration(seed=1)}
    with MirrorProcess([Run(folder) for folder in trainings], configuration(), "train"):
        for folder, config in trainings.items():
            train_run(config, Run(folder))
    [told] = [line for line in capfd.readouterr().err.splitlines() if "Git" in line]
    assert told.startswith("warning: recorded without its commit, which Git does not tell: fatal: detected")
    assert f"git config --global --add safe.directory {project}" in told
    assert {run.info.status for run in runs(client(project))} == {"FINISHED"}
