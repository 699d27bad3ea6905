"""The small problems solved with ten seeds each: `python -m benchmarks.problems`."""

from pipeline.support.program import program

import time
from dataclasses import replace

import numpy as np
from rich.table import Table

from benchmarks.common import console, machine, progress, verdict
from pipeline.config.schema import Config
from pipeline.nn.fast import predict
from pipeline.problems import read_experiment
from pipeline.runs.build import build_training
from pipeline.runs.training_data import data_for
from pipeline.support.cores import product_threads

EXPERIMENTS = ("alternating_solved", "xor")
SEEDS = range(10)
ERROR = 0.05  # the largest |prediction − truth| of a problem that counts as solved
SECONDS = 60


def main() -> None:
    """Train each experiment with each seed and print the table."""
    table = Table("experiment", "seed", "largest error", "seconds", title="The small problems with ten seeds")
    worst, total = 0.0, 0.0
    for experiment in EXPERIMENTS:
        config = read_experiment(experiment)
        for seed in progress(SEEDS, f"training {experiment}"):
            error, seconds = solve(replace(config, seed=seed))
            worst, total = max(worst, error), total + seconds
            last = seed == SEEDS[-1]
            table.add_row(experiment, str(seed), f"{error:.4f}", f"{seconds:.2f}", end_section=last)
    console.print(machine())
    console.print(table)
    console.print(verdict(worst < ERROR, f"every |prediction − truth| below {ERROR} (largest {worst:.4f})"))
    console.print(verdict(total < SECONDS, f"all in under {SECONDS} s ({total:.1f} s)"))


def solve(config: Config) -> tuple[float, float]:
    """Train as `config` says; return the largest |prediction − truth| and the seconds it took."""
    started = time.perf_counter()
    with product_threads(config.training.threads):
        dataset = data_for(config)
        training = build_training(config, dataset)
        training.fit()
        error = np.abs(predict(training.mlp, dataset.train.inputs) - dataset.train.targets).max()
    return float(error), time.perf_counter() - started


if __name__ == "__main__":
    with program(__doc__):
        main()
