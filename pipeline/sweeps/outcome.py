"""How the jobs of a sweep ended, read from their folders.

A job that starts writes `jobs/<number>.json` in the sweep's folder, which says what the job is and in which
folder it works. How it ended is in the journal and the history there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.overrides import label
from pipeline.runs.history import objective, read_history
from pipeline.runs.journal import FAILED, FINISHED, read_end
from pipeline.runs.run import Run
from pipeline.support.files import reading, write_text


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        overrides: what the job was started with, by key.
        run: where its files are.
        skipped: whether it was finished before this sweep.
        measure: what jobs are compared by: `validation_error`, or without such a part `test_error`, or
            `train_error`. None if the job failed.
        error: its value. None if the job failed.
        failure: why the job failed. None if it finished.
    """

    overrides: Mapping[str, str]
    run: Run
    skipped: bool = False
    measure: str | None = None
    error: float | None = None
    failure: str | None = None

    def describe(self, swept: Sequence[str]) -> str:
        """Say in a line which job it was, by its values of the `swept` keys, and how it ended."""
        name = label(self.overrides, swept) or "the only one"
        if self.error is None:
            return f"{name}: FAILED: {self.failure}"
        end = " (finished before, skipped)" if self.skipped else ""
        return f"{name}: {str(self.measure).replace('_', ' ')} {self.error:.2%}{end}"


def started_jobs(folder: Path) -> list[Path]:
    """Return the files of the jobs that the sweep in `folder` has started, in the order of their numbers."""
    return sorted((folder / "jobs").glob("[0-9]*.json"), key=lambda path: int(path.stem))


def read_outcome(path: Path) -> Outcome | None:
    """Return how the job of the file `path` ended; None while it is at work, or if its process was killed.

    Raises:
        UserError: if `path`, or the history of a job that finished, is damaged.
    """
    with reading(path, "train", remedy="the same sweep again writes it anew"):
        job = json.loads(path.read_text(encoding="utf-8"))
        overrides, run, skipped = dict(job["overrides"]), Run(Path(job["folder"])), bool(job["skipped"])
    end = read_end(run)
    if end.get("status") == FAILED:
        return Outcome(overrides, run, failure=end["reason"])
    if end.get("status") != FINISHED or not run.history.exists():  # a shared folder may show it later
        return None
    part, error = objective(read_history(run.history)[-1])
    return Outcome(overrides, run, skipped, f"{part}_error", round(error, 6))


def read_outcomes(folder: Path) -> list[Outcome]:
    """Return the outcomes of the jobs of the sweep in `folder` that have ended."""
    outcomes = [read_outcome(path) for path in started_jobs(folder)]
    return [outcome for outcome in outcomes if outcome]


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` to `path`, whole or not at all."""
    write_text(path, json.dumps(values, indent=2))
