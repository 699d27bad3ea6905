"""The child process of a stage, which mirrors into MLflow: `python -m pipeline.tracking.child`.

The stage writes the task to standard input, a line of JSON, and later the result, if its work ended well. The
end of the input means that the stage has ended, for whatever reason. On standard output the child reports, in
lines of JSON, where the runs are, warnings and errors.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from pipeline.runs.run import Run
from pipeline.support.files import find_root
from pipeline.tracking.mirror import ResultsMirror, RunMirror, SweepMirror
from pipeline.tracking.session import Session
from pipeline.tracking.store import cause, failures

PAUSE_S = 0.5  # between two looks at the folders
OUTAGE_S = 15.0  # after the stage, before a store that fails is given up; enough to restart a server


class Stage:
    """What is heard of the stage.

    Attributes:
        task: what to mirror, as `pipeline.tracking.process` writes it.
        result: how the work ended, once it has ended well.
        over: set when the stage has ended, well or not.
    """

    def __init__(self) -> None:
        self.task: dict[str, Any] = json.loads(sys.stdin.readline())
        self.result: dict[str, Any] | None = None
        self.over = Event()
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(json.JSONDecodeError):  # nothing, or half a line: the stage broke off
            self.result = json.loads(sys.stdin.read())
        self.over.set()


def make_mirrors(task: dict[str, Any], session: Session) -> Sequence[RunMirror | SweepMirror]:
    """Return what brings MLflow up to what the folders of the `task` hold."""
    folders = [session.root / folder for folder in task["folders"]]
    match task["what"]:
        case "sweep":
            return [SweepMirror(session, folders[0])]
        case "train":
            session.end_running(task["known"])
            known = set(task["known"])
            return [RunMirror(session, Run(folder), lambda token: token not in known) for folder in folders]
        case what:
            return [ResultsMirror(session, Run(folders[0]), what, task["config"])]


def work(stage: Stage, report: Callable[..., None]) -> None:
    """Mirror what `stage` does until it is over and all of it is in the store.

    As long as the stage is at work, every failure of the store is waited out. After that, the store is given
    up once it has failed for `OUTAGE_S`.

    Raises:
        Exception: what MLflow raised at the end of a longer outage.
    """
    root = Path.cwd()
    os.chdir(find_root(root))  # where relative addresses begin: sqlite:///mlflow.db, ./mlruns
    transient = failures()
    session: Session | None = None
    mirrors: Sequence[RunMirror | SweepMirror] = []
    failing_since_s = 0.0
    while True:
        over = stage.over.is_set()  # read first: if it is set, the folders are complete when they are read
        begun_s = time.monotonic()
        try:
            session = session or Session(root)
            mirrors = mirrors or make_mirrors(stage.task, session)
            for mirror in mirrors:
                mirror.update(over, stage.result)
            if over:
                break
            stage.over.wait(max(PAUSE_S, 10 * (time.monotonic() - begun_s)))
        except transient as error:
            if over:
                report(error=cause(error))
                failing_since_s = failing_since_s or time.monotonic()
                if time.monotonic() - failing_since_s > OUTAGE_S:
                    raise
            time.sleep(PAUSE_S)
    for warning in sorted(session.warnings):
        report(warning=warning)
    for mirror in mirrors:
        if mirror.run_id:
            report(recorded=session.where(mirror.run_id))


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
