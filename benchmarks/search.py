"""A search by halving beside one that trains all the same jobs to the end: `python -m benchmarks.search`.

Both try the same combinations of learning rate, width, batch size and optimizer on the images in
`data/processed`, and choose by the validation part. Each job counts by its best epoch, whose parameters it
keeps: at a constant learning rate, errors go up and down from one epoch to the next, and the last one depends
on luck. `--jobs 27 --epochs 9 --seeds 1` is a smaller search.
"""

from pipeline.support.program import command, program

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from benchmarks.common import ROOT, console, machine, untracked_environment, verdict
from benchmarks.sweep import MAKE_STORE
from pipeline.config.reading import read_params
from pipeline.data.dataset import PROCESSED
from pipeline.support.errors import UserError

SPACE = [
    "optimizer=sgd,momentum,adam",
    "optimizer.learning_rate=tag(log,interval(0.0003,1.0))",
    "model.hidden=[25],[50],[100],[200]",
    "training.batch_size=20,50,100,200",
]
KEEP = 0.3  # compared after epochs 1, 3 and 11 of 20; with 1/3, a search in five took 26 % of the time
BUDGETS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0)  # shares of the time that all trainings take
MOST_WORSE = 0.001  # that the best of halving may be than the best of all
MOST_TIME = 0.25  # of all trainings
MOST_OVERHEAD_S = 0.5  # a job
XOR = [
    "dataset=xor",
    "training.batch_size=null",
    "training.epochs=3",
    "optimizer.learning_rate=interval(0.01,1.0)",
]
FEW, MANY = 9, 36  # jobs of XOR


@dataclass(frozen=True)
class Searched:
    """What a search found, and when.

    Attributes:
        seconds: from its beginning to its end.
        found: the seconds since the beginning and the lowest validation error so far, after each epoch.
        best: the validation error of the best job.
    """

    seconds: float
    found: list[tuple[float, float]]
    best: float

    def at(self, seconds: float) -> str:
        """Return the lowest error up to then, in percent."""
        errors = [error for since, error in self.found if since <= seconds]
        return f"{100 * min(errors):.2f}" if errors else "–"


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog=command(), description="Compare halving with training all jobs.")
    parser.add_argument("--jobs", type=int, default=81)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5, help="how many searches of each kind")
    asked = parser.parse_args()
    if not PROCESSED.exists():
        raise UserError("data/processed is not there: `dvc repro preprocess` makes it")
    split = read_params().split
    options = [
        *SPACE,
        *(f"split.train={split.train}", f"split.test={split.test}", f"split.validation={split.train // 4}"),
        *(f"training.epochs={asked.epochs}", f"training.patience={asked.epochs}"),
        "training.arithmetic=float32",
        *(f"hydra.sweeper.jobs={asked.jobs}", "training.snapshots=null", "tracking.enabled=false"),
    ]
    console.print(machine())
    worse, time_shares = [], []
    for seed in range(asked.seeds):
        seeded = [*options, f"hydra.sweeper.seed={seed}"]
        halving = search([*seeded, f"hydra.sweeper.keep={KEEP}"])
        everything = search([*seeded, f"hydra.sweeper.first={asked.epochs}"])
        worse.append(halving.best - everything.best)
        time_shares.append(halving.seconds / everything.seconds)
        show(f"Search {seed}: lowest validation error (%) so far", halving, everything)
    overhead = (timed(MANY) - timed(FEW)) / (MANY - FEW)
    console.print(
        verdict(max(worse) <= MOST_WORSE, f"at most {MOST_WORSE:.1%} worse than the best: {max(worse):.2%}")
    )
    console.print(
        verdict(max(time_shares) <= MOST_TIME, f"at most {MOST_TIME:.0%} of the time: {max(time_shares):.1%}")
    )
    console.print(
        verdict(
            overhead <= MOST_OVERHEAD_S,
            f"at most {MOST_OVERHEAD_S} s a job beyond training: {overhead:.2f} s",
        )
    )


def show(title: str, halving: Searched, everything: Searched) -> None:
    """Print both curves at the same times."""
    table = Table(title=title)
    for heading in ("seconds", "of all", "halving", "all trained to the end"):
        table.add_column(heading, justify="right")
    for share in BUDGETS:
        seconds = share * everything.seconds
        table.add_row(f"{seconds:,.0f}", f"{share:.0%}", halving.at(seconds), everything.at(seconds))
    best = (f"{100 * searched.best:.2f}" for searched in (halving, everything))
    table.add_row(f"{halving.seconds:,.0f}, {everything.seconds:,.0f}", "at the end", *best)
    console.print(table)


def search(options: list[str]) -> Searched:
    """Run a search in a folder that holds only the data, and return what it found."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "data").symlink_to(PROCESSED.parent.absolute())
        seconds = run(Path(scratch), options)
        folder = Path(scratch, "sweep")
        began_ms = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))["time_ms"]
        events = [
            json.loads(line)
            for path in folder.glob("*/models/journal.jsonl")
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        found = [
            ((event["time_ms"] - began_ms) / 1000, 1 - event["row"]["validation_accuracy"])
            for event in events
            if event["event"] == "epoch"
        ]
        with (folder / "sweep.csv").open(encoding="utf-8", newline="") as file:
            best = next(csv.DictReader(file))
        return Searched(seconds, found, float(best["validation_error"]))


def timed(jobs: int) -> float:
    """Return the seconds of a search among `jobs` trainings of XOR, which take no time, tracked."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            [sys.executable, "-c", MAKE_STORE],
            cwd=scratch,
            env={**untracked_environment(), "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
        )
        return run(Path(scratch), [*XOR, f"hydra.sweeper.jobs={jobs}"])


def run(scratch: Path, options: list[str]) -> float:
    """Run a search in `scratch`, into its folder `sweep`, and return its seconds. A job may diverge."""
    started = time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pipeline.train", "-m", "hydra/sweeper=halving", "hydra.sweep.dir=sweep"),
            *options,
        ],
        cwd=scratch,
        env={**untracked_environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if done.returncode and not (scratch / "sweep/sweep.csv").exists():
        raise UserError(f"the search failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


if __name__ == "__main__":
    with program():
        main()
