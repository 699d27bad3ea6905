"""What augmentation adds to an epoch of a wide network: `python -m benchmarks.augmentation`.

The network and its training are those of `experiment=best`. The images are computed ahead in a thread of
their own, which shares the cores with the matrix products.
"""

from pipeline.support.program import program

import time
from statistics import median

import numpy as np
from rich.table import Table

from benchmarks.common import console, machine, progress, verdict
from pipeline.config.schema import Config
from pipeline.data.augmentation import distortion_for
from pipeline.data.dataset import Dataset
from pipeline.nn.types import Part
from pipeline.problems import read_experiment
from pipeline.runs.build import build_network, build_training
from pipeline.support.cores import product_threads

IMAGES = 12_800  # enough that an epoch is like any other
SHAPE = (28, 28)
THREADS = 2
ROUNDS = 5
MOST = 0.25
CHOICES = ("none", "affine", "elastic", "affine_elastic")


def main() -> None:
    """Measure the choices in turns, round by round, and print the table."""
    experiments = {name: experiment_with(name) for name in CHOICES}
    experiment, rng = experiments["none"], np.random.default_rng(0)
    images = rng.random((IMAGES, SHAPE[0] * SHAPE[1]), np.float32)
    part = Part(images, np.eye(10, dtype=np.uint8)[rng.integers(0, 10, IMAGES)])
    dataset = Dataset("noise", "noise", list("0123456789"), SHAPE, part, part, part)
    batch_size = experiment.training.batch_size or IMAGES
    widths = build_network(experiment, dataset, rng).widths
    distortions = {name: distortion_for(other.augmentation, SHAPE) for name, other in experiments.items()}

    def epoch(name: str) -> float:
        # Built anew each time: after some epochs on noise most units are dead.
        training = build_training(experiments[name], dataset)
        trainer, batches = training.trainer, training.batches
        trainer.prepare(batches, epochs=1)
        trainer.train_epoch(batches)
        return trainer.seconds

    def alone(name: str) -> float:
        started = time.perf_counter()
        if distortion := distortions[name]:
            distortion(images, rng)
        return time.perf_counter() - started

    with product_threads(THREADS):
        epoch("none")
        rounds = [
            {name: (epoch(name), alone(name)) for name in CHOICES}
            for _ in progress(range(ROUNDS), "measuring")
        ]
    title = (
        f"An epoch of {'-'.join(map(str, widths))} on {IMAGES:,} images, mini-batches of {batch_size},"
        f" {THREADS} threads:\n"
        f"medians of {ROUNDS} rounds"
    )
    columns = ["augmentation", "seconds", "added", "by itself", "target"]
    table = Table(*columns, title=title, title_justify="left")
    for name in CHOICES:
        added = median(seconds[name][0] / seconds["none"][0] - 1 for seconds in rounds)
        training = f"{median(seconds[name][0] for seconds in rounds):.2f}"
        if name == "none":
            table.add_row(name, training, "", "", "")
        else:
            by_itself = f"{median(seconds[name][1] for seconds in rounds):.2f}"
            target = verdict(added <= MOST, f"adds ≤ {MOST:.0%}")
            table.add_row(name, training, f"{added:.0%}", by_itself, target)
    console.print(machine())
    console.print(table)


def experiment_with(augmentation: str) -> Config:
    """Return `experiment=best` with this `augmentation`, which copies of images need if there are any."""
    return read_experiment("best", f"augmentation={augmentation}", "evaluation.copies=1")


if __name__ == "__main__":
    with program(__doc__):
        main()
