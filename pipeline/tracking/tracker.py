"""The stages' side of tracking. Importing it costs milliseconds: MLflow lives in a process of its own."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self

from pipeline.config.schema import Config
from pipeline.runs.history import Row
from pipeline.support.errors import UserError, tell

# A Ctrl-C in the terminal must not reach the child process: it has to record that.
APART: dict[str, Any]
if sys.platform == "win32":
    APART = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    APART = {"start_new_session": True}
PACKAGES = Path(__file__).parents[2]


@dataclass(frozen=True)
class Job:
    """One training of a sweep.

    Attributes:
        key: what it is made from, hashed: the same job in another sweep has the same key. Empty for the
            sweep itself.
        sweep: the key of the sweep.
        token: the attempt, which names its run.
        name: what tells its run apart from the others; empty for the usual name.
        data: the digest of the processed dataset.
    """

    key: str
    sweep: str
    token: str
    name: str
    data: str


class RecorderProcess:
    """The child process: acts go in as lines and reports come out, neither of which holds the caller up."""

    def __init__(self) -> None:
        search_path = os.pathsep.join([str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.tracking.recorder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": search_path},
            encoding="utf-8",
            **APART,
        )
        self.lines: SimpleQueue[str | None] = SimpleQueue()
        self.reports: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        Thread(target=self._write, daemon=True).start()
        Thread(target=self._read, daemon=True).start()

    def _write(self) -> None:
        assert self.process.stdin is not None
        with suppress(OSError), self.process.stdin as stdin:
            for line in iter(self.lines.get, None):
                stdin.write(line)
                stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                self.reports.put(json.loads(line))
        self.process.wait()
        self.reports.put(None)


_idle: list[RecorderProcess] = []  # that have imported MLflow, or are about to, for the next trackers


def start_ahead() -> None:
    """Start the child process of the next tracker, which imports MLflow while the caller prepares."""
    with suppress(OSError):  # the tracker meets it as well, and tells of it
        _idle.append(RecorderProcess())


class Tracker:
    """Has a stage's doings recorded in MLflow, as a context manager around the stage's work.

    On entering, a child process (`pipeline.tracking.recorder`) starts to import MLflow, which takes seconds,
    on another core than the stage's. The methods only put a line into a queue, which a thread empties into
    the child's standard input. So nothing that happens there raises here or holds the stage up, until the
    block is left: then the tracker waits for the child, `tracking.patience` seconds at most. Whatever was
    not recorded by then is told in one warning.

    If the block raises, the run that `start` opened ends as FAILED, with the reason as its tag `failure`;
    when the stage is interrupted or killed, as KILLED.

    Args:
        config: the run's configuration, which becomes its params.
        folder: where the stage's `models/` and `reports/` are.
        job: the job of a sweep that the run is of. Jobs that one process does after another share a child,
            and say nothing where all went well.

    Attributes:
        recorder: the child, from entering the block on; None where tracking is off.
        failure: why something was not recorded, once that is told; None while there is nothing to tell.
    """

    def __init__(self, config: Config, folder: Path = Path(), job: Job | None = None) -> None:
        self.config = config
        self.folder = folder
        self.job = job
        self.patience = config.tracking.patience
        self.recorder: RecorderProcess | None = None
        self.failure: str | None = None
        self._used = False

    def __enter__(self) -> Self:
        if self.config.tracking.enabled:
            self._open()
        return self

    def turn_to(self, config: Config, folder: Path) -> None:
        """Go on with another run, of this `config` and `folder`, in the same recorder."""
        self.config, self.folder = config, folder
        self._send(
            "open",
            patience=self.patience,
            config=asdict(config),
            folder=str(folder.absolute()),
            source=Path(sys.argv[0]).name,
            job=asdict(self.job) if self.job else None,
        )

    def start(self) -> None:
        """Open a run for the training that now begins, with params, tags and the dataset."""
        self._send("start", timestamp=milliseconds())

    def epoch(self, row: Row, seconds: float) -> None:
        """Log what was measured after one epoch, and how long the epoch took."""
        metrics = {column: value for column, value in row.items() if column != "epoch"}
        metrics["seconds"] = seconds
        self._send("epoch", step=int(row["epoch"]), timestamp=milliseconds(), metrics=metrics)

    def finish(self) -> None:
        """Log `models/model.npz` and `reports/history.csv`: the training has ended well."""
        self._send("finish")

    def evaluation(self) -> None:
        """Log `reports/metrics.json` and `reports/predictions.csv` on the run of `models/model.npz`.

        A model without a run, since the server was down while it was trained or since the model came from
        DVC's cache, gets one, complete with params and every epoch's metrics.
        """
        self._send("evaluation")

    def figures(self) -> None:
        """Log `reports/figures/` on the run of `models/model.npz`, which is made where there is none."""
        self._send("figures")

    def record(self) -> None:
        """Make sure that `models/model.npz` has a complete run."""
        self._send("record")

    def start_sweep(self, name: str, overrides: Mapping[str, str]) -> None:
        """Open the parent run of the sweep `job.sweep`, or open it again.

        Args:
            name: the run's name.
            overrides: its params: what was swept and what was fixed, as the user gave it.
        """
        self._send("start_sweep", timestamp=milliseconds(), name=name, overrides=dict(overrides))

    def finish_sweep(
        self, jobs: Sequence[Mapping[str, Any]], metrics: Mapping[str, float], failure: str | None
    ) -> None:
        """Complete the runs of all jobs, log the sweep's table and figure, and end the parent run.

        Args:
            jobs: each job's `key`, `token`, `folder`, `name` and `failure`, None where it ended well.
            metrics: those of the best job.
            failure: why the sweep is not complete, if it is not.
        """
        self.patience += len(jobs)
        self._send(
            "finish_sweep", patience=self.patience, jobs=list(jobs), metrics=dict(metrics), failure=failure
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.recorder is None:
            return
        if not self._used:  # the stage broke off before there was anything to record
            self.recorder.process.kill()
        elif isinstance(error, UserError):
            self._send("fail", reason=str(error))
        elif isinstance(error, Exception):
            self._send("fail", reason=f"{type(error).__name__}: {error}")
        failure = self._wait(self.recorder)
        if failure and self._used:
            self._warn(failure, recoverable=error is None)

    def _send(self, act: str, **values: Any) -> None:
        if self.recorder is not None:
            self._used |= act not in {"open", "close"}
            self.recorder.lines.put(json.dumps({"act": act, **values}) + "\n")

    def _open(self) -> None:
        try:
            self.recorder = _idle.pop() if _idle else RecorderProcess()
        except OSError as error:
            self._warn(str(error), recoverable=True)
            return
        self.turn_to(self.config, self.folder)

    def _wait(self, recorder: RecorderProcess) -> str | None:
        """Return why something was not recorded, or None where all was."""
        shared = self.job and self.job.key
        deadline = time.monotonic() + self.patience
        if shared:
            self._send("close")
        else:
            recorder.lines.put(None)
        last: dict[str, Any] = {}
        warnings: set[str] = set()  # of several runs perhaps the same
        try:
            while report := recorder.reports.get(timeout=max(0.0, deadline - time.monotonic())):
                if "warning" in report:
                    warnings.add(report["warning"])
                    continue
                last = report
                if "recorded" in report:
                    if shared:
                        _idle.append(recorder)
                        return None
                    if report["recorded"]:
                        print("MLflow:", report["recorded"])
            for warning in warnings:
                tell(f"warning: {warning}")
            if recorder.process.returncode == 0:
                return None
            ended = f"its process ended with status {recorder.process.returncode}"
        except Empty:
            recorder.process.kill()
            ended = f"it was not done {self.patience:g} s after the stage (tracking.patience)"
        recorder.lines.put(None)
        return last.get("error", ended)

    def _warn(self, reason: str, recoverable: bool) -> None:
        self.failure = reason
        if self.job and self.job.key:
            return  # the end of the sweep records what was missed, or warns once for all jobs
        if self.job:
            remedy = "the same command again"
        elif self.folder == Path():
            remedy = "`dvc repro -sf evaluate plot`"
        elif self.folder.is_relative_to("models/problems"):
            remedy = "`dvc repro -sf problems`"
        else:
            remedy = f"`python -m pipeline.tracking {shlex.quote(str(self.folder))}`"
        advice = f" The results are safe; {remedy} records what was missed." if recoverable else ""
        tell(f"warning: not recorded in MLflow: {reason}.{advice}")


def milliseconds() -> int:
    """Return the time in the unit that MLflow keeps it in."""
    return time.time_ns() // 1_000_000
