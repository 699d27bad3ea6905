"""The journal of a training: what happened and when, a line of JSON for each event.

It is in the run's folder, so that others can follow the training or finish its record later: tracking
mirrors it into MLflow, and a sweep reads from it how a job ended. The results themselves do not depend on the
clock, so times are kept here and not in the history.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.runs.history import Row
from pipeline.runs.run import Run
from pipeline.support.errors import UserError, shorten
from pipeline.support.files import sha256

FINISHED, FAILED, KILLED = "FINISHED", "FAILED", "KILLED"  # as MLflow calls them
STOPPED = "STOPPED"  # before its last epoch, by a search: it may go on
DAMAGE = (FileNotFoundError, AttributeError, IndexError, KeyError, TypeError, ValueError)  # of other bytes
LONGEST_END_BYTES = 10_000  # of the last line


class Journal:
    """Writes a run's journal, as a context manager around its training.

    The end of the block writes how the training ended: FINISHED, STOPPED with the epoch, FAILED with the
    reason, or KILLED by Ctrl-C. A journal without an end is of a training that is at work, or was killed.

    Args:
        run: the run. A journal of an earlier training in its folder is replaced, unless this training
            continues that one, which equal tokens show.
        header: what the first line says, besides the time: see `Record`.
    """

    def __init__(self, run: Run, header: Mapping[str, Any]) -> None:
        self._run = run
        self._header = header
        self._latest = 0.0  # the last epoch of which the journal holds a row
        self._stopped: int | None = None

    def __enter__(self) -> Self:
        self._run.journal.parent.mkdir(parents=True, exist_ok=True)
        earlier = read_journal(self._run)
        goes_on = earlier and earlier.status == STOPPED and earlier.header["token"] == self._header["token"]
        if earlier and goes_on:
            self._latest = max(event["row"]["epoch"] for event in earlier.epochs)
        self._file = self._run.journal.open("a" if goes_on else "w", encoding="utf-8", newline="\n")
        self._write("start", **self._header)
        return self

    def epoch(self, row: Row, seconds: float) -> None:
        """Write what was measured after an epoch, and how long that took, unless it is there already."""
        if row["epoch"] > self._latest:
            self._write("epoch", row=row, seconds=seconds)

    def stop(self, epoch: int) -> None:
        """Note that training stops after `epoch`, though it is not the last one."""
        self._stopped = epoch

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._file:
            # By it a sweep knows that the best epoch counts, and not the last.
            patience = self._header["config"].get("training", {}).get("patience")
            if error is None and self._stopped:
                results, stopped = self._hashes(self._run.history), self._stopped
                self._write("end", status=STOPPED, epoch=stopped, patience=patience, results=results)
            elif error is None:
                results = self._hashes(self._run.model, self._run.history)
                self._write("end", status=FINISHED, patience=patience, results=results)
            elif isinstance(error, Exception):
                name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
                self._write("end", status=FAILED, reason=shorten(f"{name}{error}"))
            else:
                self._write("end", status=KILLED)

    def _hashes(self, *paths: Path) -> dict[str, str]:
        return {path.name: sha256(path) for path in paths}

    def _write(self, event: str, **values: Any) -> None:
        self._file.write(
            json.dumps({"event": event, "time_ms": time.time_ns() // 1_000_000, **values}) + "\n"
        )
        self._file.flush()


@dataclass
class Record:
    """What a journal says so far.

    Attributes:
        header: `token`, which identifies this training and no other; `config`, nested; `source`, the name of
            the program; of a job of a sweep `key`, `sweep` (its key) and `name` too.
        started_ms: when training began, in milliseconds since 1970.
        epochs: for each epoch that was measured `row`, as in the history, `seconds` and `time_ms`.
        status: how training ended; empty while it has not.
        reason: why it failed.
        stopped: after which epoch it stopped, where it did.
        results: SHA-256 of the model and the history by file name, where it finished; of the history, where
            it stopped.
        ended_ms: when it ended, in milliseconds since 1970.
    """

    header: dict[str, Any]
    started_ms: int
    epochs: list[dict[str, Any]] = field(default_factory=list)
    status: str = ""
    reason: str = ""
    stopped: int | None = None
    results: dict[str, str] = field(default_factory=dict)
    ended_ms: int | None = None

    @property
    def rung(self) -> str:
        """After how many of its epochs it stopped; empty if it did not."""
        return (
            f"{self.stopped} of {self.header['config']['training']['epochs']} epochs" if self.stopped else ""
        )

    def holds_for(self, run: Run) -> bool:
        """Return whether the training finished or stopped, and its results in `run` are as they were then."""
        paths = {path.name: path for path in (run.model, run.history)}
        return (
            self.status in {FINISHED, STOPPED}
            and bool(self.results)
            and all(
                name in paths and paths[name].exists() and sha256(paths[name]) == digest
                for name, digest in self.results.items()
            )
        )


def read_end(run: Run) -> dict[str, Any]:
    """Return how the training of `run` ended, from the last line of its journal; empty while it has not.

    Returns:
        `status`, `reason` where it failed, `epoch` where it stopped, and `patience`, as in `Journal`.
    """
    try:
        with run.journal.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_END_BYTES))
            last = json.loads(file.read().split(b"\n")[-2])
        if (
            last["event"] != "end"
            or {FAILED: "reason", STOPPED: "epoch"}.get(last["status"], "event") not in last
        ):
            return {}
    except DAMAGE:
        return {}
    return dict(last)


def read_journal(run: Run) -> Record | None:
    """Return what the journal of `run` says; None where there is none, or it was damaged.

    The last line may be half written, and does not count then.
    """
    try:
        lines = run.journal.read_text(encoding="utf-8").split("\n")
        events = [json.loads(line) for line in lines[:-1]]
        first = events.pop(0)
        record = Record({"token": first["token"], "config": first["config"], **first}, first["time_ms"])
        for event in events:
            if event["event"] == "epoch":
                record.epochs.append(event)
            elif event["event"] == "start":  # again: it goes on from where it stopped
                record.status, record.stopped, record.results, record.ended_ms = "", None, {}, None
            else:
                record.status, record.reason = event["status"], event.get("reason", "")
                record.stopped = event.get("epoch")
                record.results, record.ended_ms = dict(event.get("results", {})), event["time_ms"]
    except DAMAGE:
        return None
    return record
