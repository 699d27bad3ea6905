"""The runs that are to match published results, and what is kept of them in `outputs/records/`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT
from benchmarks.published import Record
from pipeline.config.schema import Config
from pipeline.problems import read_experiment

FOLDER = ROOT / "outputs/records"


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        key: of its training: configuration, data and code.
        evaluation: how answers are averaged, as in the configuration.
        errors: on each part of the data at one look at each image, in percent.
        averaged: errors of averaged answers on each part but the training part, if any are asked for.
        epochs: it took.
        minutes: it took from its last start.
        parameters: how many the network has.
        commit: of the code that trained it.
        averaged_by: the commit of the code that averaged its answers.
        machine: where it ran.
    """

    key: str
    evaluation: dict[str, float]
    errors: dict[str, float]
    averaged: dict[str, float]
    epochs: int
    minutes: float
    parameters: int
    commit: str
    averaged_by: str
    machine: str


@dataclass(frozen=True)
class SeedRun:
    """A training with one of a record's seeds.

    Attributes:
        config: its configuration.
        workspace: a folder; the dataset, split as `config` asks, is in `data/processed` below it.
        folder: where its results go, below the workspace.
    """

    config: Config
    workspace: Path
    folder: Path

    @property
    def result(self) -> Path:
        """Where the result is kept."""
        return self.workspace / self.folder / "result.json"

    @property
    def committee(self) -> Path:
        """Where the result of all seeds together is kept."""
        return self.result.parent.parent / "committee.json"


def plan_runs(record: Record) -> list[SeedRun]:
    """Return the runs of `record`."""
    config = compose(record.experiment, record.changes)
    return [
        SeedRun(replace(config, seed=seed), workspace_for(config), Path(record.experiment) / str(seed))
        for seed in record.seeds
    ]


@cache
def compose(experiment: str, changes: tuple[str, ...]) -> Config:
    """Return the configuration of an `experiment` with `changes`, which rows share: composing takes long."""
    return read_experiment(experiment, *changes)


def workspace_for(config: Config) -> Path:
    """Return the folder for the data of `config` and all runs on them."""
    return FOLDER / config.dataset.name / str(config.split.train)


def read_result(run: SeedRun) -> Result | None:
    """Return the result of `run` if it has one, of the fields that results have now."""
    try:
        return Result(**json.loads(run.result.read_text(encoding="utf-8")))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def finished(runs: Sequence[SeedRun]) -> list[Result]:
    """Return the results of those `runs` that are trained and measured."""
    return [result for run in runs if (result := read_result(run)) and result.errors]


def read_committee(runs: Sequence[SeedRun], results: Sequence[Result]) -> dict[str, Any] | None:
    """Return what was kept of the networks of `runs` together, if it was measured for these `results`.

    Its keys are `members`, `errors` and `averaged_by`.
    """
    try:
        kept: dict[str, Any] = json.loads(runs[0].committee.read_text(encoding="utf-8"))
        complete = {"errors", "averaged_by"} <= kept.keys()
        return kept if complete and kept["members"] == members(results) else None
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def members(results: Sequence[Result]) -> list[list[Any]]:
    """Return what the answer of a committee depends on: the trainings and how answers are averaged."""
    return [[result.key, result.evaluation] for result in results]
