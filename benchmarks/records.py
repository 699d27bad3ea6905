"""The published results of plain networks, reproduced: `python -m benchmarks.records [row …]`.

Each row's experiment is trained with its seeds, as many runs side by side as there are cores for, in
`outputs/records/`. Rows with the same experiment and data share their runs. A run that is finished is not
repeated, and one that was interrupted goes on from its checkpoint. Then the table in `docs/records.md` is
written from all that is finished.
"""

from pipeline.support.program import command, program

import argparse
import json
import os
import re
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from joblib import Parallel, delayed

from benchmarks.common import ROOT, machine
from benchmarks.published import RECORDS, Record
from pipeline.config.schema import Config, IdxDataset
from pipeline.data.dataset import PROCESSED
from pipeline.download import download
from pipeline.evaluate import averaged_accuracies, measure_parts
from pipeline.preprocess import preprocess
from pipeline.problems import read_experiment
from pipeline.runs.fingerprint import fingerprint
from pipeline.runs.run import Run
from pipeline.runs.trained import TrainedRun
from pipeline.support.cores import usable_cores
from pipeline.support.errors import UserError, warn
from pipeline.support.files import write_text
from pipeline.support.git import describe_commit
from pipeline.train import train_and_record

FOLDER = ROOT / "outputs/records"
PAGE = ROOT / "docs/records.md"
SHORT = 7  # characters of a commit's name

COLUMNS = (
    "network",
    "published by",
    "error there",
    "ours, official",
    "ours, last 20,000",
    "ours, one look each",
    "epochs",
    "minutes",
    "parameters",
    "commit",
    "command",
)
NOT_MEASURED = "not measured"
SOME = "seeds)"  # in a row whose runs are not all finished: (1 of 3 seeds)
BETWEEN_MARKS = re.compile(r"(?<=<!-- written by `make records` -->\n).*(?=<!-- end -->)", re.DOTALL)


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
        commit: of the code.
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


def main() -> None:
    """Train what the command line names, or everything, and write the table."""
    parser = argparse.ArgumentParser(
        prog=command(), description="Reproduce the published results of plain networks."
    )
    parser.add_argument("rows", nargs="*", metavar="row", help=f"any of {', '.join(RECORDS)} (default: all)")
    wanted = parser.parse_args().rows or list(RECORDS)
    if unknown := set(wanted) - set(RECORDS):
        raise UserError(f"{', '.join(sorted(unknown))}: no such row; there are {', '.join(RECORDS)}")

    records = [RECORDS[name] for name in wanted if can_be_trained(RECORDS[name])]
    runs = {(run.workspace, run.folder): run for record in records for run in plan_runs(record)}
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{ROOT / 'mlflow.db'}")
    for threads in sorted({run.config.training.threads for run in runs.values()}):
        alike = [run for run in runs.values() if run.config.training.threads == threads]
        Parallel(n_jobs=max(usable_cores() // threads, 1))(delayed(train_and_measure)(run) for run in alike)
    for record in records:
        if record.answers == "committee":
            measure_committee(record)

    page = PAGE.read_text(encoding="utf-8")
    write_text(PAGE, BETWEEN_MARKS.sub(lambda match: table(match[0]), page))
    print(f"the table in {PAGE.relative_to(ROOT)} is written")


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


def can_be_trained(record: Record) -> bool:
    """Prepare the data of `record`. Say so and return False where they cannot be had."""
    try:
        prepare(plan_runs(record)[0].config)
    except UserError as error:
        warn(f"{record.title}: not trained: {error}")
        return False
    return True


def workspace_for(config: Config) -> Path:
    """Return the folder for the data of `config` and all runs on them."""
    return FOLDER / config.dataset.name / str(config.split.train)


def prepare(config: Config) -> Path:
    """Download and preprocess the data of `config`, unless that was done, and return where they are.

    Raises:
        UserError: if they cannot be had.
    """
    processed = workspace_for(config) / PROCESSED
    if not (processed / "dataset.json").exists():  # which is written last
        assert isinstance(config.dataset, IdxDataset)
        raw = workspace_for(config).parent / "raw"  # not the pipeline's, which may hold another dataset
        download(replace(config.dataset, fallback=None), raw, os.environ.get("DATA_MIRROR"))
        preprocess(raw, processed, config.split)
    return processed


def train_and_measure(run: SeedRun) -> None:
    """Do the run, unless it is finished, and keep its result; what it has to say goes to a file."""
    os.chdir(run.workspace)
    run.folder.mkdir(parents=True, exist_ok=True)
    key, evaluation = fingerprint(run.config), asdict(run.config.evaluation)
    result = read_result(run)
    if result and (result.key, result.evaluation) == (key, evaluation):
        print(f"{run.folder}: finished before", flush=True)
        return
    if not result or result.key != key:
        result = train(run, key)
    trained = replace(TrainedRun.open(Run(run.folder)), config=run.config)
    metrics = measure_parts(trained.model, trained.dataset)
    averaged = averaged_accuracies([trained]) if run.config.evaluation.copies > 1 else {}
    result = replace(
        result,
        evaluation=evaluation,
        errors={part: error(values["accuracy"]) for part, values in metrics.items()},
        averaged={part: error(share) for part, share in averaged.items()},
    )
    write_text(run.result, json.dumps(asdict(result), indent=2))
    print(
        f"{run.folder}: {result.errors['official']:.2f} % error in {result.minutes:.1f} minutes", flush=True
    )


def train(run: SeedRun, key: str) -> Result:
    """Train the network of `run`, by the training of this `key`, and return what is known unmeasured."""
    print(f"{run.folder}: see {run.workspace / run.folder}/log.txt", flush=True)
    commit = describe_commit(ROOT).get("commit", "unknown")  # outside of Git
    started = time.perf_counter()
    with (run.folder / "log.txt").open("a", encoding="utf-8") as log, redirect_stderr(log):
        train_and_record(run.config, run.folder)
    minutes = (time.perf_counter() - started) / 60
    model = TrainedRun.open(Run(run.folder)).model
    return Result(
        key=key,
        evaluation={},
        errors={},
        averaged={},
        epochs=run.config.training.epochs,
        minutes=round(minutes, 1),
        parameters=len(model.parameters.vector),
        commit=commit,
        machine=machine(),
    )


def measure_committee(record: Record) -> None:
    """Keep the errors of the averaged answers of all networks of `record`, unless that was done."""
    runs = plan_runs(record)
    results = [result for run in runs if (result := read_result(run))]
    if committee_errors(runs, results):
        return
    os.chdir(runs[0].workspace)
    committee = [replace(TrainedRun.open(Run(run.folder)), config=run.config) for run in runs]
    errors = {part: error(share) for part, share in averaged_accuracies(committee).items()}
    kept = {"members": members(results), "errors": errors}
    write_text(runs[0].committee, json.dumps(kept, indent=2))
    print(f"{record.title}: {errors['official']:.2f} % error", flush=True)


def committee_errors(runs: Sequence[SeedRun], results: Sequence[Result]) -> dict[str, float] | None:
    """Return the errors of the networks of `runs` together, if they were measured for these `results`."""
    try:
        kept = json.loads(runs[0].committee.read_text(encoding="utf-8"))
        return kept["errors"] if kept["members"] == members(results) else None
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def members(results: Sequence[Result]) -> list[list[Any]]:
    """Return what the answer of a committee depends on: the trainings and how answers are averaged."""
    return [[result.key, result.evaluation] for result in results]


def read_result(run: SeedRun) -> Result | None:
    """Return the result of `run` if it has one, of the fields that results have now."""
    try:
        return Result(**json.loads(run.result.read_text(encoding="utf-8")))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def error(accuracy: float) -> float:
    """Return the share that is not read correctly, in percent."""
    return round(100 * (1 - accuracy), 4)


def table(before: str) -> str:
    """Return the table, a row for each record, and below it on which machines the commits ran.

    A record keeps the row that it had `before` if none of its runs is finished here, or only some of them are
    and that row is of all.
    """
    rows, machines = [], [line for line in before.splitlines() if line.startswith("- ")]
    for name, record in RECORDS.items():
        results = [result for run in plan_runs(record) if (result := read_result(run))]
        of_this = (line for line in before.splitlines() if line.endswith(f"| {command_for(name)} |"))
        kept, measured = next(of_this, row_without_results(name)), row(name, results)
        if not measured or (SOME in measured and SOME not in kept and NOT_MEASURED not in kept):
            rows.append(kept)
        else:
            rows.append(measured)
            machines += [f"- {result.commit[:SHORT]}: {result.machine}" for result in results]
    told = [line for line in dict.fromkeys(machines) if any(line[2 : 2 + SHORT] in cells for cells in rows)]
    return "\n".join([as_line(COLUMNS), as_line(["---"] * len(COLUMNS)), *rows, "", *told, ""])


def row(name: str, results: Sequence[Result]) -> str | None:
    """Return the row of the record of this `name` by its `results`; None if there are none to report."""
    record = RECORDS[name]
    errors = errors_reported(record, results)
    if not errors:
        return None
    some = f" ({len(results)} of {len(record.seeds)} {SOME}" if len(results) < len(record.seeds) else ""
    one_look = summary([result.errors["official"] for result in results])
    cells = (
        record.title,
        record.source,
        f"{record.published:g} %",
        summary([each["official"] for each in errors]) + some,
        summary([each["test"] for each in errors]) if "test" in errors[0] else "",
        one_look if record.answers != "one look" else "",
        f"{results[0].epochs}",
        f"{median(result.minutes for result in results):.1f}",
        f"{results[0].parameters:,}",
        ", ".join(dict.fromkeys(result.commit[:SHORT] for result in results)),
        command_for(name),
    )
    return as_line(cells)


def row_without_results(name: str) -> str:
    """Return the row of a record that was never trained."""
    record = RECORDS[name]
    empty = [""] * (len(COLUMNS) - 5)
    return as_line(
        [record.title, record.source, f"{record.published:g} %", NOT_MEASURED, *empty, command_for(name)]
    )


def errors_reported(record: Record, results: Sequence[Result]) -> list[dict[str, float]]:
    """Return the errors by part that `record` is about: of each of `results`, or of a committee."""
    match record.answers:
        case "one look":
            return [result.errors for result in results]
        case "averaged":
            return [result.averaged for result in results if result.averaged]
        case "committee":
            together = committee_errors(plan_runs(record), results)
            return [together] if together else []


def command_for(name: str) -> str:
    """Return what trains and measures the record of this `name`."""
    return f"`python -m benchmarks.records {name}`"


def as_line(cells: Sequence[str]) -> str:
    """Return the `cells` as a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def summary(errors: Sequence[float]) -> str:
    """Return the mean of `errors`, in percent, and their standard deviation; a single one in full."""
    if len(errors) > 1:
        return f"{mean(errors):.2f} ± {stdev(errors):.2f} %"
    return f"{max(f'{errors[0]:.2f}', f'{errors[0]:g}', key=len)} %"


if __name__ == "__main__":
    with program():
        main()
