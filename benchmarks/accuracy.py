"""Final accuracy over five seeds, of the network in params.yaml: `python -m benchmarks.accuracy`."""

from pipeline.support.program import program

from dataclasses import replace
from statistics import mean, stdev

from rich.table import Table

from benchmarks.common import console, machine, progress, verdict
from pipeline.config.reading import read_params
from pipeline.config.schema import Config
from pipeline.data.dataset import Dataset
from pipeline.nn.measurement import accuracy
from pipeline.runs.build import build_training
from pipeline.runs.evaluation import parts_with_rows
from pipeline.runs.training_data import data_for
from pipeline.support.cores import product_threads

SEEDS = range(5)
LOW, HIGH = 0.9705, 0.9735  # mean test accuracy of the default network on MNIST


def main() -> None:
    """Train with each seed and print the table."""
    config = read_params()
    dataset = data_for(config)
    with product_threads(config.training.threads):
        runs = [
            accuracies(replace(config, seed=seed), dataset)
            for seed in progress(SEEDS, f"training on {dataset.title}")
        ]
    table = Table(
        "seed", *runs[0], title=f"Accuracy on {dataset.title} after {config.training.epochs} epochs"
    )
    for seed, run in zip(SEEDS, runs, strict=True):
        table.add_row(str(seed), *(f"{share:.2%}" for share in run.values()), end_section=seed == SEEDS[-1])
    columns = {part: [run[part] for run in runs] for part in runs[0]}
    table.add_row("mean", *(f"{mean(column):.2%}" for column in columns.values()))
    table.add_row("± spread", *(f"{stdev(column):.2%}" for column in columns.values()))
    console.print(machine())
    console.print(table)
    if dataset.name == "mnist" and "test" in columns:
        within = LOW <= mean(columns["test"]) <= HIGH
        console.print(
            verdict(within, f"mean test accuracy of the default network from {LOW:.2%} to {HIGH:.2%}")
        )


def accuracies(config: Config, dataset: Dataset) -> dict[str, float]:
    """Train as `config` says and return the accuracy on each part of the data that has images."""
    training = build_training(config, dataset)
    training.fit()
    return {name: accuracy(training.mlp, part) for name, part in parts_with_rows(dataset).items()}


if __name__ == "__main__":
    with program(__doc__):
        main()
