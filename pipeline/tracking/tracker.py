"""The stages' side of tracking. Importing it costs milliseconds: MLflow lives in a process of its own."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self

from pipeline.config import Config
from pipeline.errors import UserError
from pipeline.history import Row

PACKAGES = Path(__file__).parents[2]


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

    Attributes:
        recorder: the child process, from entering the block on; None where tracking is off.
    """

    def __init__(self, config: Config, folder: Path = Path()) -> None:
        self.config = config
        self.folder = folder
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self.recorder: subprocess.Popen[str] | None = None
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
            config=asdict(config),
            folder=str(folder.absolute()),
            source=Path(sys.argv[0]).name,
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.recorder is None:
            return
        if not self._used:  # the stage broke off before there was anything to record
            self.recorder.kill()
        elif isinstance(error, UserError):
            self._send("fail", reason=str(error))
        elif isinstance(error, Exception):
            self._send("fail", reason=f"{type(error).__name__}: {error}")
        self._lines.put(None)
        failure = self._wait(self.recorder)
        if failure and self._used:
            self._warn(failure, recoverable=error is None)

    def _send(self, act: str, **values: Any) -> None:
        if self.recorder is not None:
            self._used |= act != "open"
            self._lines.put(json.dumps({"act": act, **values}) + "\n")

    def _open(self) -> None:
        search_path = os.pathsep.join([str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            self.recorder = subprocess.Popen(
                [sys.executable, "-m", "pipeline.tracking.recorder"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": search_path},
                encoding="utf-8",
                start_new_session=True,  # a Ctrl-C in the terminal must not reach it: it has to record that
            )
        except OSError as error:
            self._warn(str(error), recoverable=True)
            return
        Thread(target=self._write, args=(self.recorder,), daemon=True).start()
        self.turn_to(self.config, self.folder)

    def _write(self, recorder: subprocess.Popen[str]) -> None:
        assert recorder.stdin is not None
        with suppress(OSError), recorder.stdin as stdin:
            for line in iter(self._lines.get, None):
                stdin.write(line)
                stdin.flush()

    def _wait(self, recorder: subprocess.Popen[str]) -> str | None:
        """Return why something was not recorded, or None where all was."""
        assert recorder.stdout is not None
        patience = self.config.tracking.patience
        ended = "its process ended with status {}"
        try:
            recorder.wait(patience)
        except subprocess.TimeoutExpired:
            recorder.kill()
            recorder.wait()
            ended = f"it was not done {patience:g} s after the stage (tracking.patience)"
        with recorder.stdout as stdout:
            reports = [json.loads(line) for line in stdout]
        last = reports[-1] if reports else {}
        if recorder.returncode:
            return last.get("error", ended.format(recorder.returncode))
        for message in reports:
            if "recorded" in message:
                print("MLflow:", message["recorded"])
        return None

    def _warn(self, reason: str, recoverable: bool) -> None:
        if self.folder == Path():
            remedy = "`dvc repro -sf evaluate plot`"
        else:
            remedy = f"`python -m pipeline.tracking {self.folder}`"
        advice = f" The results are safe; {remedy} records what was missed." if recoverable else ""
        print(f"warning: not recorded in MLflow: {reason}.{advice}", file=sys.stderr)


def milliseconds() -> int:
    """Return the time in the unit that MLflow keeps it in."""
    return time.time_ns() // 1_000_000
