"""Seconds to an accuracy on MNIST's official images, ours beside PyTorch's and JAX's.

`python -m benchmarks.time_to_accuracy [goal …] [--seeds N] [--libraries NAME …]`. For each goal, a percentage
of the official 10,000 images that is to be read correctly, there is an experiment, which trains on all 60,000
training images. All libraries train its network from the same first weights, on the same mini-batches of
distorted images, at the same learning rates (`benchmarks.accuracy_workers`), on two cores. The clock starts
at the first mini-batch, stands still while the accuracy is measured after each epoch, and stops at the end of
the first epoch after which the goal is reached. The libraries take turns, seed by seed and in alternating
order, so that whatever else the machine does affects all of them alike.

PyTorch and JAX run in the interpreter that BENCH_PYTHON names (see `benchmarks.speed`).
"""

from pipeline.support.program import command, program

import argparse
import json
import math
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.accuracy_workers import PACKAGES
from benchmarks.common import Worker, console, machine
from benchmarks.records import prepare
from benchmarks.speed import interpreter
from pipeline.config.schema import Config
from pipeline.problems import read_experiment
from pipeline.support.cores import usable_cores
from pipeline.support.errors import UserError

RECIPES = {"97": "quick_97", "98": "quick_98", "98.5": "quick", "99": "quick_99"}
TITLES = {"ours": "ours, float32", "exact": "ours, exact", "pytorch": "PyTorch", "jax": "JAX"}
LIBRARIES = ["ours", "pytorch", "jax"]  # by default: exact arithmetic takes long
SEEDS = 25
CORES = 2

Curve = list[tuple[float, float]]  # the seconds that had passed and the accuracy, after each epoch


class Trainee(Worker):
    """A process in which a library trains, once whenever it is asked.

    Args:
        library: one of `TITLES`.
        config: what to train.
        folder: of the dataset.
        goal: a share of the official images.
    """

    def __init__(self, library: str, config: Config, folder: Path, goal: float) -> None:
        arguments = [library, str(folder), json.dumps(asdict(config)), str(goal)]
        super().__init__(
            TITLES[library],
            [interpreter(PACKAGES[library]), "-m", "benchmarks.accuracy_workers", *arguments],
            {"JAX_PLATFORMS": "cpu"},
        )
        if self.version and PACKAGES[library] != "numpy":
            self.title += f" {self.version}"

    def train(self, seed: int) -> Curve:
        """Train with `seed` until the goal is reached, or to the end."""
        return [(seconds, share) for seconds, share in json.loads(self.ask(f"{seed}"))]


def main() -> None:
    """Measure what the command line asks for, and print a table for each goal."""
    parser = argparse.ArgumentParser(
        prog=command(), description="Measure the seconds to an accuracy on MNIST's official images."
    )
    parser.add_argument(
        "goals", nargs="*", metavar="goal", help=f"any of {', '.join(RECIPES)} percent (default: all)"
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many to train with (default: {SEEDS})")
    parser.add_argument(
        "--libraries",
        nargs="+",
        choices=TITLES,
        default=LIBRARIES,
        help=f"who trains (default: {' '.join(LIBRARIES)})",
    )
    asked = parser.parse_args()
    goals = asked.goals or [*RECIPES]
    if unknown := set(goals) - RECIPES.keys():
        raise UserError(f"{', '.join(sorted(unknown))}: no such goal; there are {', '.join(RECIPES)}")
    if asked.seeds < 1:
        raise UserError(f"--seeds {asked.seeds}: should be at least 1")

    if hasattr(os, "sched_setaffinity"):  # Linux; the workers inherit it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-CORES:])
    console.print(machine())
    for goal in goals:
        console.print(board(goal, asked.seeds, list(dict.fromkeys(asked.libraries))))


def board(goal: str, seeds: int, libraries: Sequence[str]) -> Table:
    """Let the `libraries` take turns at `goal`, printing a line a seed, and return the table."""
    config = read_experiment(RECIPES[goal], f"training.threads={min(CORES, usable_cores())}")
    share, processed = float(goal) / 100, prepare(config)
    with ExitStack() as alive:
        workers = []
        for library in libraries:
            workers.append(Trainee(library, config, processed, share))
            alive.enter_context(workers[-1].process)
        there = [worker for worker in workers if worker.version]
        runs: dict[str, list[Curve]] = {worker.title: [] for worker in workers}
        for seed in range(seeds):
            for worker in there[:: -1 if seed % 2 else 1]:
                runs[worker.title].append(worker.train(seed))
            times = [f"{title} {told(seconds_to(share, of[-1]))}" for title, of in runs.items() if of]
            console.print(f"{goal} %, seed {seed}: {'; '.join(times)}")
    table = Table(
        *("", "seconds, median", "fastest", "slowest", "reached by", "epochs", "accuracy"),
        title=f"{goal} % of the official images with experiment={RECIPES[goal]}, {seeds} seeds",
        title_justify="left",
    )
    for title, of_library in runs.items():
        table.add_row(title, *row(share, of_library))
    return table


def seconds_to(goal: float, run: Curve) -> float:
    """Return the seconds of `run` to `goal`; infinity where it was not reached."""
    return next((seconds for seconds, share in run if share >= goal), math.inf)


def told(seconds: float) -> str:
    """Return how `seconds` are printed."""
    return f"{seconds:.2f}" if seconds < math.inf else "not reached"


def row(goal: float, runs: Sequence[Curve]) -> list[str]:
    """Return the cells of a library; medians are over all `runs`, with those that fall short as infinity."""
    if not runs:
        return ["not installed: see BENCH_PYTHON in benchmarks/speed.py"]
    times = sorted(seconds_to(goal, run) for run in runs)
    reached = sum(time < math.inf for time in times)
    return [
        *map(told, (median(times), times[0], times[-1])),
        f"{reached} of {len(runs)}",
        f"{median(len(run) for run in runs):g}",
        f"{median(run[-1][1] for run in runs):.2%}",
    ]


if __name__ == "__main__":
    with program():
        main()
