"""Seconds from a process's start to an accuracy, ours and others': `python -m benchmarks.time_to_accuracy`.

The experiments are `experiment=sheet_mnist` and `experiment=quick`, with the same network, mini-batches,
learning rates and distorted images for all (`benchmarks.accuracy_workers` says where one differs). The
accuracy is on MNIST's last 20,000 training images, after each epoch. The seconds are counted from the
start of a process that imports the library and trains, on one core. PyTorch and JAX run in the
interpreter that BENCH_PYTHON names (see `benchmarks.speed`).
"""

from pipeline.support.program import program

import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.accuracy_workers import WORKERS
from benchmarks.common import ROOT, console, machine, progress
from benchmarks.speed import ONE_THREAD, interpreter
from pipeline.data.dataset import load_dataset
from pipeline.problems import read_experiment
from pipeline.runs.training_data import check_fit
from pipeline.support.errors import UserError

EXPERIMENTS = ("sheet_mnist", "quick")
GOALS = (0.97, 0.98, 0.985)
ROUNDS = 3
PACKAGES = {"scikit-learn": "scikit-learn", "PyTorch": "torch", "JAX": "jax"}


def main() -> None:
    """Measure and print a table for each experiment."""
    console.print(machine())
    for name in EXPERIMENTS:
        config = read_experiment(name)
        check_fit(config, load_dataset())
        experiment = asdict(config)
        runs = [(worker, run(worker, experiment)) for worker in progress([*WORKERS] * ROUNDS, name)]
        title = f"Seconds from the process's start, experiment={name}, medians of {ROUNDS} runs"
        table = Table(
            "", *(f"{goal:.1%}" for goal in GOALS), "best accuracy", title=title, title_justify="left"
        )
        for worker in WORKERS:
            table.add_row(worker, *row([accuracies for who, accuracies in runs if who == worker]))
        console.print(table)


def run(worker: str, experiment: dict[str, Any]) -> list[tuple[float, float]]:
    """Return the seconds that had passed and the accuracy after each epoch; nothing without the library."""
    command = [interpreter(PACKAGES.get(worker, "")), "-m", "benchmarks.accuracy_workers", worker]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"} | ONE_THREAD
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:  # a pipe that nobody reads would fill up
        started = time.perf_counter()
        with subprocess.Popen(
            [*command, json.dumps(experiment)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process:
            assert process.stdout
            epochs = [(time.perf_counter() - started, float(line)) for line in process.stdout]
        errors.seek(0)
        told = errors.read()
    if process.returncode and "ModuleNotFoundError" not in told:
        raise UserError(f"the benchmark of {worker} failed: {told.strip()}")
    return epochs


def row(runs: list[list[tuple[float, float]]]) -> list[str]:
    """Return the cells of a worker: seconds to each goal, and the best accuracy."""
    if not all(runs):
        return ["not installed"] + [""] * len(GOALS)
    cells = []
    for goal in GOALS:
        times = [next((seconds for seconds, share in run if share >= goal), None) for run in runs]
        reached = [seconds for seconds in times if seconds is not None]
        cells.append(f"{median(reached):.1f}" if len(reached) == len(runs) else "not reached")
    return [*cells, f"{median(max(share for _, share in run) for run in runs):.2%}"]


if __name__ == "__main__":
    with program(__doc__):
        main()
