"""How the jobs of a sweep ended, read from their folders.

A job that starts writes `jobs/<number>.json` in the sweep's folder, which says what the job is and in which
folder it works. How it ended is in the journal and the history there.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.config.overrides import label
from pipeline.nn.metrics import formatted, in_words, rounded
from pipeline.runs.history import Row, kept_row, objective, read_history
from pipeline.runs.journal import FAILED, FINISHED, STOPPED, read_end
from pipeline.runs.run import Run
from pipeline.support.files import reading, write_text
from pipeline.sweeps.launchers import POLL_S

NFS_DELAY_S = 60.0  # that a file written on another machine may take to appear on this one


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        overrides: what the job was started with, by key.
        run: where its files are.
        skipped: whether it was finished before this sweep.
        measure: what jobs are compared by: `validation_error`, or without such a part `test_error`, or
            `train_error`; of a regression `validation_rmse`, …. None if the job failed.
        error: its value, of which the smaller is the better. None if the job failed.
        failure: why the job failed. None if it finished.
        until: up to which epoch a search has it trained so far; None in other sweeps. `error` is the one
            after that epoch, even if an earlier sweep has trained the job further.
        patience: the job's `training.patience`. Where it is set, `error` is the lowest one.
    """

    overrides: Mapping[str, str]
    run: Run
    skipped: bool = False
    measure: str | None = None
    error: float | None = None
    failure: str | None = None
    until: int | None = None
    patience: int | None = None

    def history(self) -> list[Row]:
        """Return what was measured up to the epoch that counts."""
        rows = read_history(self.run.history)
        return [row for row in rows if self.until is None or row["epoch"] <= self.until]

    def result(self) -> Row:
        """Return what was measured after the epoch by which the job is compared."""
        return kept_row(self.history(), self.patience)

    def describe(self, swept: Sequence[str]) -> str:
        """Say in a line which job it was, by its values of the `swept` keys, and how it ended."""
        name = label(self.overrides, swept) or "the only one"
        if self.measure is None or self.error is None:
            return f"{name}: FAILED: {self.failure}"
        end = f" after epoch {self.until}" if self.until else ""
        end += " (finished before, skipped)" if self.skipped else ""
        return f"{name}: {in_words(self.measure)} {formatted(self.measure, self.error)}{end}"


def started_jobs(folder: Path) -> list[Path]:
    """Return the files of the jobs that the sweep in `folder` has started, in the order of their numbers."""
    return sorted((folder / "jobs").glob("[0-9]*.json"), key=lambda path: int(path.stem))


def read_outcome(path: Path) -> Outcome | None:
    """Return how the job of the file `path` ended; None while it is at work, or if its process was killed.

    In a search a job ends, for the time being, at the epoch up to which it is trained.

    Raises:
        UserError: if `path`, or the history of a job that finished, is damaged.
    """
    with reading(path, "train", remedy="the same sweep again writes it anew"):
        job = json.loads(path.read_text(encoding="utf-8"))
        overrides, run, skipped = dict(job["overrides"]), Run(Path(job["folder"])), bool(job["skipped"])
        until = job.get("until")
    end = read_end(run)
    status = end.get("status")
    if status == FAILED:
        return Outcome(overrides, run, failure=end["reason"], until=until)
    far_enough = status == FINISHED or (status == STOPPED and until and until <= end["epoch"])
    if not far_enough or not run.history.exists():  # a shared folder may show it later
        return None
    outcome = Outcome(overrides, run, skipped, until=until, patience=end.get("patience"))
    measure, error = objective(outcome.result())
    return replace(outcome, measure=measure, error=rounded(measure, error))


def read_outcomes(folder: Path) -> dict[int, Outcome]:
    """Return the outcomes of the jobs of the sweep in `folder` that have ended, by their numbers."""
    outcomes = {int(path.stem): read_outcome(path) for path in started_jobs(folder)}
    return {number: outcome for number, outcome in outcomes.items() if outcome}


def await_outcomes(folder: Path, numbers: Collection[int], until: int | None = None) -> dict[int, Outcome]:
    """Return the outcomes in `folder`; wait for those that a shared folder does not show yet.

    Args:
        folder: the sweep's.
        numbers: those of the jobs that have been done.
        until: up to which epoch; None in a sweep that is no search, or at its end.
    """
    deadline = time.monotonic() + NFS_DELAY_S
    while True:
        outcomes = read_outcomes(folder)
        seen = [
            number for number in numbers if number in outcomes and until in {None, outcomes[number].until}
        ]
        if len(seen) == len(numbers) or time.monotonic() >= deadline:
            return outcomes
        time.sleep(POLL_S)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` to `path`, whole or not at all."""
    write_text(path, json.dumps(values, indent=2))
