"""The child process of a stage that mirrors into MLflow: `python -m pipeline.tracking.child`.

The first line on standard input, in JSON, is the task. A second one says that the work has ended well, and
how. The end of the input is the end of the stage, however that came about. On standard output the child
reports, in JSON lines too, where the runs are, what the user should know, and why something failed.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

from pipeline.runs.run import Run
from pipeline.support.files import find_root
from pipeline.tracking.mirror import RunMirror, SweepMirror
from pipeline.tracking.session import Session
from pipeline.tracking.store import PAUSE_S, cause, failures

OUTAGE_S = 15.0  # that the store may go on failing once the stage is over: time to start a server anew

Report = Callable[..., None]


class Stage:
    """What is heard of the stage: whether it is over, and how it ended if it ended well."""

    def __init__(self) -> None:
        self.task: dict[str, Any] = json.loads(sys.stdin.readline())
        self.over = Event()
        self.ending: dict[str, Any] | None = None
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(json.JSONDecodeError):  # half a line: the stage was killed
            for line in sys.stdin:
                self.ending = json.loads(line)
        patience = (self.ending or self.task["config"]["tracking"])["patience"]
        self.over.set()
        # Nobody waits that long, and nothing else ends a call that hangs.
        timer = Timer(2 * patience, os._exit, [1])
        timer.daemon = True
        timer.start()


class Mirrors:
    """What the stage's runs, or its sweep, become in MLflow.

    Args:
        stage: whose task it is.
        session: with the store.
    """

    def __init__(self, stage: Stage, session: Session) -> None:
        self.stage = stage
        self.session = session
        task = stage.task
        folders = [session.root / folder for folder in task["folders"]]
        self.sweep = SweepMirror(session, folders[0]) if task["what"] == "sweep" else None
        known = set(task["known"])
        self.runs = [
            RunMirror(session, Run(folder), lambda token: token not in known)
            for folder in folders
            if not self.sweep
        ]

    def update(self, over: bool) -> None:
        """Bring MLflow up to what the folders hold; `over` says that the stage has ended."""
        what, ending = self.stage.task["what"], self.stage.ending
        if self.sweep:
            self.sweep.update(over, ending)
        elif what == "train":
            for run in self.runs:
                run.update(over)
        elif over and ending is not None:
            [run] = self.runs
            run.complete(self.stage.task["config"])
            if what == "evaluate":
                run.log_evaluation()
            elif what == "plot":
                run.log_figures()

    def run_ids(self) -> Sequence[str]:
        """Return which runs they are, without those that are not there."""
        return [mirror.run_id for mirror in (self.sweep, *self.runs) if mirror and mirror.run_id]


def work(stage: Stage, report: Report) -> None:
    """Mirror what `stage` does until it is over and all of it is in the store.

    Until then every failure of the store is waited out; once the stage is over, `OUTAGE_S` from the first in
    a row.

    Raises:
        Exception: what MLflow raised when the outage had taken too long.
    """
    root = Path.cwd()
    os.chdir(find_root(root))  # where relative addresses begin: sqlite:///mlflow.db, ./mlruns
    transient = failures()
    mirrors: Mirrors | None = None
    failing_since, completed = 0.0, 0
    while True:
        over = stage.over.is_set()  # before the look at the folders, which then holds all
        begun = time.monotonic()
        try:
            mirrors = mirrors or Mirrors(stage, Session(root))
            mirrors.update(over)
        except transient as error:
            if over:
                report(error=cause(error))
                progress = mirrors.session.completed if mirrors else 0
                if not failing_since or progress > completed:
                    failing_since, completed = time.monotonic(), progress
                if time.monotonic() - failing_since > OUTAGE_S:
                    raise
                time.sleep(PAUSE_S)
        else:
            failing_since = 0.0
            if over:
                break
        stage.over.wait(max(PAUSE_S, 10 * (time.monotonic() - begun)))
    for warning in sorted(mirrors.session.warnings):
        report(warning=warning)
    for run_id in mirrors.run_ids():
        report(recorded=mirrors.session.where(run_id))
    mirrors.session.close()


def main() -> None:
    """Mirror what the stage at the other end of standard input does."""
    # MLflow and those it calls may print what they like: it goes where standard error goes, to nowhere.
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def report(**values: str) -> None:
        with suppress(OSError):  # the stage was killed
            print(json.dumps(values), file=reports, flush=True)

    try:
        work(Stage(), report)
    except Exception as error:
        report(error=cause(error))
        os._exit(1)
    os._exit(0)  # to take all those modules down takes most of a second, for which the stage would wait


if __name__ == "__main__":
    main()
