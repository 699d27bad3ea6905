"""The published results of plain networks, reproduced: `python -m benchmarks.records [experiment …]`.

Each experiment is trained with its seeds, as many runs side by side as there are cores for, in
`outputs/records/`. A run that is finished is not repeated, and one that was interrupted goes on from its
checkpoint. Then the table in `docs/records.md` is written from all that is finished.
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
from pathlib import Path
from statistics import mean, median, stdev

from joblib import Parallel, delayed

from benchmarks.common import ROOT, machine
from pipeline.config.schema import Config, IdxDataset
from pipeline.data.dataset import PROCESSED, load_dataset
from pipeline.download import download
from pipeline.evaluate import measure_parts
from pipeline.preprocess import preprocess
from pipeline.problems import read_experiment
from pipeline.runs.fingerprint import fingerprint
from pipeline.runs.models import load_model
from pipeline.runs.run import Run as RunFolder
from pipeline.support.cores import usable_cores
from pipeline.support.errors import UserError
from pipeline.support.files import write_text
from pipeline.support.git import describe_commit
from pipeline.train import train_and_record

FOLDER = ROOT / "outputs/records"
PAGE = ROOT / "docs/records.md"
LECUN = "LeCun, Bottou, Bengio, Haffner 1998"
SIMARD = "Simard, Steinkraus, Platt 2003"
CIRESAN = "Cireşan, Meier, Gambardella, Schmidhuber 2010"

SHORT = 7  # characters of a commit's name

COLUMNS = (
    "network",
    "published by",
    "error there",
    "ours, official",
    "ours, last 20,000",
    "epochs",
    "minutes",
    "parameters",
    "commit",
    "command",
)
BETWEEN_MARKS = re.compile(r"(?<=<!-- written by `make records` -->\n).*(?=<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Record:
    """A published result, and what is to match it.

    Attributes:
        experiment: the name of ours, in `conf/experiment`.
        title: what is trained.
        source: where the result was published.
        published: the error on the official test images, in percent.
        seeds: of our runs.
        changes: of the experiment.
    """

    experiment: str
    title: str
    source: str
    published: float
    seeds: Sequence[int] = (0, 1, 2)
    changes: Sequence[str] = ()


RECORDS = (
    Record("lecun_300", "300, squared error", LECUN, 4.7),
    Record("lecun_300_100", "300-100, squared error", LECUN, 3.05),
    Record("lecun_500_150", "500-150, squared error", LECUN, 2.95),
    Record("simard_800", "800, cross-entropy", SIMARD, 1.6),
    Record("simard_800_affine", "800, cross-entropy, affine distortions", SIMARD, 1.1),
    Record("simard_800_elastic", "800, cross-entropy, elastic distortions", SIMARD, 0.7),
    Record("best", "best, on the first 40,000 images", CIRESAN, 0.35, seeds=(0,)),
    Record(
        "best",
        "best, on all 60,000 images",
        CIRESAN,
        0.35,
        seeds=(0,),
        changes=("split.train=60000", "split.test=0"),
    ),
)


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        key: of its training: configuration, data and code.
        errors: on each part of the data, in percent.
        epochs: it took.
        minutes: it took from its last start.
        parameters: how many the network has.
        commit: of the code.
        machine: where it ran.
    """

    key: str
    errors: dict[str, float]
    epochs: int
    minutes: float
    parameters: int
    commit: str
    machine: str


@dataclass(frozen=True)
class Run:
    """A record's training with one of its seeds.

    Attributes:
        record: what it is for.
        config: its configuration.
        workspace: a folder; the dataset, split as `config` asks, is in `data/processed` below it.
        folder: where its results go, below the workspace.
    """

    record: Record
    config: Config
    workspace: Path
    folder: Path

    @property
    def result(self) -> Path:
        """Where the result is kept."""
        return self.workspace / self.folder / "result.json"


def main() -> None:
    """Train what the command line names, or everything, and write the table."""
    parser = argparse.ArgumentParser(
        prog=command(), description="Reproduce the published results of plain networks."
    )
    experiments = list(dict.fromkeys(record.experiment for record in RECORDS))
    parser.add_argument(
        "experiments", nargs="*", metavar="experiment", help=f"any of {', '.join(experiments)} (default: all)"
    )
    wanted = parser.parse_args().experiments or experiments
    if unknown := set(wanted) - set(experiments):
        raise UserError(
            f"{', '.join(sorted(unknown))}: no such experiment; there are {', '.join(experiments)}"
        )

    runs = [run for record in RECORDS if record.experiment in wanted for run in plan_runs(record)]
    for workspace in {run.workspace for run in runs}:
        prepare(workspace, next(run.config for run in runs if run.workspace == workspace))
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{ROOT / 'mlflow.db'}")
    for threads in sorted({run.config.training.threads for run in runs}):
        alike = [run for run in runs if run.config.training.threads == threads]
        Parallel(n_jobs=max(usable_cores() // threads, 1))(delayed(train_and_measure)(run) for run in alike)

    page = PAGE.read_text(encoding="utf-8")
    write_text(PAGE, BETWEEN_MARKS.sub(lambda match: table(match[0]), page))
    print(f"the table in {PAGE.relative_to(ROOT)} is written")


def plan_runs(record: Record) -> list[Run]:
    """Return the runs of `record`."""
    config = read_experiment(record.experiment, *record.changes)
    workspace = FOLDER / str(config.split.train)
    return [
        Run(record, replace(config, seed=seed), workspace, Path(record.experiment) / str(seed))
        for seed in record.seeds
    ]


def prepare(workspace: Path, config: Config) -> None:
    """Download and preprocess the data in `workspace` as `config` asks for, where that has not been done."""
    processed = workspace / PROCESSED
    if not (processed / "dataset.json").exists():  # which is written last
        assert isinstance(config.dataset, IdxDataset)
        raw = FOLDER / "raw"  # not the pipeline's, which may hold another dataset
        download(replace(config.dataset, fallback=None), raw, os.environ.get("DATA_MIRROR"))
        preprocess(raw, processed, config.split)


def train_and_measure(run: Run) -> None:
    """Do the run, unless it is finished, and keep its result; what it has to say goes to a file."""
    os.chdir(run.workspace)
    run.folder.mkdir(parents=True, exist_ok=True)
    key = fingerprint(run.config)
    finished = read_result(run)
    if finished and finished.key == key:
        print(f"{run.folder}: finished before", flush=True)
        return
    print(f"{run.folder}: see {run.workspace / run.folder}/log.txt", flush=True)
    commit = describe_commit(ROOT).get("commit", "unknown")  # outside of Git
    started = time.perf_counter()
    with (run.folder / "log.txt").open("a", encoding="utf-8") as log, redirect_stderr(log):
        train_and_record(run.config, run.folder)
    minutes = (time.perf_counter() - started) / 60
    model = load_model(RunFolder(run.folder).model)
    metrics = measure_parts(model, load_dataset())
    errors = {name: round(100 * (1 - values["accuracy"]), 4) for name, values in metrics.items()}
    result = Result(
        key=key,
        errors=errors,
        epochs=run.config.training.epochs,
        minutes=round(minutes, 1),
        parameters=len(model.parameters.vector),
        commit=commit,
        machine=machine(),
    )
    write_text(run.result, json.dumps(asdict(result), indent=2))
    print(f"{run.folder}: {errors['official']:.2f} % error in {minutes:.1f} minutes", flush=True)


def read_result(run: Run) -> Result | None:
    """Return the result of `run` if it has one, of the fields that results have now."""
    try:
        return Result(**json.loads(run.result.read_text(encoding="utf-8")))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def table(before: str) -> str:
    """Return the table, a row for each record, and below it on which machines the commits ran.

    A record whose runs are not all finished here keeps the row that it had `before`.
    """
    rows, machines = [], [line for line in before.splitlines() if line.startswith("- ")]
    for record in RECORDS:
        runs = plan_runs(record)
        results = [result for run in runs if (result := read_result(run))]
        if len(results) == len(runs):
            rows.append(row(record, results))
            machines += [f"- {result.commit[:SHORT]}: {result.machine}" for result in results]
        else:
            rows += [line for line in before.splitlines() if line.startswith(f"| {record.title} |")]
    told = [line for line in dict.fromkeys(machines) if any(line[2 : 2 + SHORT] in cells for cells in rows)]
    return "\n".join([as_line(COLUMNS), as_line(["---"] * len(COLUMNS)), *rows, "", *told, ""])


def row(record: Record, results: Sequence[Result]) -> str:
    """Return the table's row for `record`, of which these are the `results`, by one experiment."""
    cells = (
        record.title,
        record.source,
        f"{record.published:g} %",
        summary([result.errors["official"] for result in results]),
        summary([result.errors["test"] for result in results]) if "test" in results[0].errors else "",
        f"{results[0].epochs}",
        f"{median(result.minutes for result in results):.1f}",
        f"{results[0].parameters:,}",
        ", ".join(dict.fromkeys(result.commit[:SHORT] for result in results)),
        f"`python -m benchmarks.records {record.experiment}`",
    )
    return as_line(cells)


def as_line(cells: Sequence[str]) -> str:
    """Return the `cells` as a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def summary(errors: Sequence[float]) -> str:
    """Return the mean of `errors`, in percent, and their standard deviation; a single one in full."""
    return f"{mean(errors):.2f} ± {stdev(errors):.2f} %" if len(errors) > 1 else f"{errors[0]:g} %"


if __name__ == "__main__":
    with program():
        main()
