"""The stages' side of tracking: the child process that mirrors a run's folder into MLflow.

Importing this module costs milliseconds. `import mlflow` takes seconds, so only the child does it.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pipeline.config.schema import Config
from pipeline.runs.journal import read_journal
from pipeline.runs.run import PROBLEMS, Run
from pipeline.support.errors import warn
from pipeline.support.files import ROOT

# A Ctrl-C in the terminal must not reach the child: it has to record that the training was interrupted.
APART: dict[str, Any]
if sys.platform == "win32":
    APART = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    APART = {"start_new_session": True}
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the child itself tries again
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Of MLflow in the child, where the user has not set them."""


class MirrorProcess:
    """Has a run, or a sweep, mirrored into MLflow, as a context manager around the work on it.

    On entering, a child process (`pipeline.tracking.child`) starts to import MLflow, and then mirrors what it
    finds in the run's folder until the block is left. Nothing that happens there raises here or holds the
    work up. On leaving, it is waited for, `tracking.patience` seconds at most. Then one line says where the
    run is, or why something was not recorded and which command records it.

    If the block raises, nothing of an evaluation or of figures is recorded, and of a training what its
    journal says. If this process is killed, the child ends the run as KILLED.

    Args:
        folder: the run, several runs that are trained one after another, or the folder of a sweep.
        config: the run's configuration; of several runs or of a sweep, only its `tracking` counts.
        what: what is done in the block: "train", "evaluate", "plot", "page" or "sweep".

    Attributes:
        process: the child, from entering the block on; None where tracking is off.
    """

    def __init__(
        self,
        folder: Run | Sequence[Run] | Path,
        config: Config,
        what: Literal["train", "evaluate", "plot", "page", "sweep"],
    ) -> None:
        self.runs = [folder] if isinstance(folder, Run) else [] if isinstance(folder, Path) else folder
        self.folders = [folder] if isinstance(folder, Path) else [run.folder for run in self.runs]
        self.config = config
        self.what = what
        self.process: subprocess.Popen[str] | None = None
        self._known: set[str] = set()
        self._result: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if self.config.tracking.enabled:
            self._known = self._tokens()
            try:
                self._start()
            except OSError as error:
                self.process = None
                self._warn(str(error), recoverable=True)
        return self

    def finish(self, metrics: Mapping[str, float], failure: str | None) -> None:
        """Say how the sweep ended: the metrics of its best job, and why it is not complete, if it is not."""
        self._result = {"metrics": dict(metrics), "failure": failure}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process is None:
            return
        if error and not (self.what == "train" and self._tokens() - self._known):
            self.process.kill()  # there is nothing to record
            self.process.communicate()
            return
        patience = self.config.tracking.patience
        if self.what == "sweep":
            patience += len(list(self.folders[0].glob("jobs/*.json")))
        result = None if error else json.dumps(self._result)
        if failure := self._wait(self.process, result, patience):
            self._warn(failure, recoverable=error is None)

    def _start(self) -> None:
        search_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.tracking.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**SETTINGS, **os.environ, "PYTHONPATH": search_path},
            encoding="utf-8",
            **APART,
        )
        task = {
            "what": self.what,
            "folders": [str(folder) for folder in self.folders],
            "config": asdict(self.config),
            "known": list(self._known),
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()

    def _tokens(self) -> set[str]:
        """Return which trainings the journals in the runs' folders are of."""
        return {record.header["token"] for run in self.runs if (record := read_journal(run))}

    def _wait(self, process: "subprocess.Popen[str]", result: str | None, patience: float) -> str | None:
        """Send the child the `result`, wait for it, and return why something was not recorded, if so."""
        ended = ""
        try:
            output, _ = process.communicate(result, timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            ended = f"it was not done {patience:g} s after the stage (tracking.patience)"
        reports = [json.loads(line) for line in output.splitlines()]
        for report in reports:
            if "recorded" in report:
                print("MLflow:", report["recorded"])
            if "warning" in report:
                warn(f"warning: {report['warning']}")
        if process.returncode == 0:
            return None
        errors = [report["error"] for report in reports if "error" in report]
        return errors[-1] if errors else ended or f"its process ended with status {process.returncode}"

    def _warn(self, reason: str, recoverable: bool) -> None:
        folder = self.folders[0]
        if self.what == "sweep":
            remedy = "the same command again"
        elif folder == Path():
            remedy = "`dvc repro -sf evaluate plot page`"
        elif folder.is_relative_to(PROBLEMS):
            remedy = "`dvc repro -sf problems`"
        else:
            remedy = f"`python -m pipeline.evaluate {shlex.quote(str(folder))}`"
        advice = f" The results are safe; {remedy} records what was missed." if recoverable else ""
        warn(f"warning: not recorded in MLflow: {reason}.{advice}")
