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
from contextlib import redirect_stderr
from dataclasses import asdict, replace
from pathlib import Path

from joblib import Parallel, delayed

from benchmarks.common import ROOT, machine
from benchmarks.published import RECORDS, Record
from benchmarks.record_results import (
    Result,
    SeedRun,
    finished,
    members,
    plan_runs,
    read_committee,
    read_result,
    workspace_for,
)
from benchmarks.records_table import table
from pipeline.config.reading import write_params
from pipeline.config.schema import Config, IdxDataset
from pipeline.data.dataset import PROCESSED
from pipeline.download import download
from pipeline.evaluate import averaged_accuracies, measure_parts
from pipeline.preprocess import preprocess
from pipeline.runs.fingerprint import fingerprint
from pipeline.runs.run import Run
from pipeline.runs.trained import TrainedRun
from pipeline.support.cores import usable_cores
from pipeline.support.errors import UserError, warn
from pipeline.support.files import FileError, write_text
from pipeline.support.git import describe_commit
from pipeline.train import train_and_record

PAGE = ROOT / "docs/records.md"
SHORT = 7  # characters of a commit's name
BETWEEN_MARKS = re.compile(r"(?<=<!-- written by `make records` -->\n).*(?=<!-- end -->)", re.DOTALL)


def main() -> None:
    """Train what the command line names, or everything, and write the table."""
    parser = argparse.ArgumentParser(
        prog=command(), description="Reproduce the published results of plain networks."
    )
    parser.add_argument("rows", nargs="*", metavar="row", help=f"any of {', '.join(RECORDS)} (default: all)")
    named = parser.parse_args().rows
    if unknown := set(named) - set(RECORDS):
        raise UserError(f"{', '.join(sorted(unknown))}: no such row; there are {', '.join(RECORDS)}")
    if not BETWEEN_MARKS.search(PAGE.read_text(encoding="utf-8")):
        raise UserError(f"{PAGE.relative_to(ROOT)}: the comments before and after the table are missing")

    wanted = list(dict.fromkeys(named)) or list(RECORDS)
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
    if named and len(records) < len(wanted):
        raise SystemExit(1)


def can_be_trained(record: Record) -> bool:
    """Prepare the data of `record`. Say so and return False where they cannot be had."""
    try:
        prepare(plan_runs(record)[0].config)
    except UserError as error:
        warn(f"{record.title}: not trained: {error}")
        return False
    return True


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
    try:
        if not result or result.key != key:
            result = train(run, key)
            keep(run, result)  # before it is measured, which takes minutes
        result = replace(measure(run, result), evaluation=evaluation)
    except FileError as problem:
        if problem.stage != "preprocess":
            raise
        again = f"remove {run.workspace / 'data'} and run the same command again"
        raise UserError(f"{run.folder}: {problem.what}: {again}") from None
    except UserError as problem:
        raise UserError(f"{run.folder}: {problem}") from None
    keep(run, result)
    print(
        f"{run.folder}: {result.errors['official']:.2f} % error in {result.minutes:.1f} minutes", flush=True
    )


def keep(run: SeedRun, result: Result) -> None:
    """Write the `result` of `run`."""
    write_text(run.result, json.dumps(asdict(result), indent=2))


def measure(run: SeedRun, result: Result) -> Result:
    """Return the `result` of `run`, whose network is trained, with its errors."""
    write_params(run.config, Run(run.folder).params)  # how answers are averaged may have changed
    trained = TrainedRun.open(Run(run.folder))
    metrics = measure_parts(trained.model, trained.dataset)
    averaged = averaged_accuracies([trained]) if run.config.evaluation.copies > 1 else {}
    return replace(
        result,
        errors={part: error(values["accuracy"]) for part, values in metrics.items()},
        averaged={part: error(share) for part, share in averaged.items()},
        averaged_by=commit_here() if averaged else "",
    )


def commit_here() -> str:
    """Return the name of the commit that is checked out, with `+` if tracked files differ from it."""
    try:
        described = describe_commit(ROOT)
    except UserError:  # Git does not tell
        described = {}
    name = described.get("commit", "unknown")[:SHORT]
    return f"{name}+" if described.get("dirty") == "true" else name


def train(run: SeedRun, key: str) -> Result:
    """Train the network of `run`, by the training of this `key`, and return what is known unmeasured."""
    print(f"{run.folder}: see {run.workspace / run.folder}/log.txt", flush=True)
    commit = commit_here()
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
        averaged_by="",
        machine=machine(),
    )


def measure_committee(record: Record) -> None:
    """Keep the errors of the averaged answers of all networks of `record`, unless that was done."""
    runs = plan_runs(record)
    results = finished(runs)
    if read_committee(runs, results):
        return
    os.chdir(runs[0].workspace)
    committee = [TrainedRun.open(Run(run.folder)) for run in runs]
    errors = {part: error(share) for part, share in averaged_accuracies(committee).items()}
    kept = {"members": members(results), "errors": errors, "averaged_by": commit_here()}
    write_text(runs[0].committee, json.dumps(kept, indent=2))
    print(f"{record.title}: {errors['official']:.2f} % error", flush=True)


def error(accuracy: float) -> float:
    """Return the share that is not read correctly, in percent."""
    return round(100 * (1 - accuracy), 4)


if __name__ == "__main__":
    with program():
        main()
