"""What augmentation adds to an epoch of a wide network: `python -m benchmarks.augmentation`.

The network is that of `experiment=best`: 784-1200-1200-10, Adam, mini-batches of 128, two threads. The images
are computed ahead in a thread of their own, which shares the cores with the matrix products.
"""

import time
from functools import partial
from statistics import median

import numpy as np
from rich.table import Table

from benchmarks.common import console, machine, progress, verdict
from pipeline.blas import arithmetic
from pipeline.data.augmentation import Distortion
from pipeline.data.dataset import Part
from pipeline.nn.initialisers import initialise
from pipeline.nn.losses import LOSSES
from pipeline.nn.mlp import MLP, Backpropagation
from pipeline.nn.optimizers import Adam
from pipeline.nn.training import mini_batches, train_epoch

IMAGES = 12_800  # enough that an epoch is like any other
BATCH = 128
THREADS = 2
ROUNDS = 5
MOST = 0.25

AFFINE = {"rotation": 0.2, "scale": 0.15, "shear": 0.15, "shift": 1.0}
ELASTIC = {"amplitude": 34.0, "sigma": 5.0}
SETTINGS = {"none": {}, "affine": AFFINE, "elastic": ELASTIC, "affine_elastic": AFFINE | ELASTIC}


def main() -> None:
    """Measure the choices in turns, round by round, and print the table."""
    rng = np.random.default_rng(0)
    images = rng.random((IMAGES, 784), np.float32)
    part = Part(images, np.eye(10, dtype=np.uint8)[rng.integers(0, 10, IMAGES)])
    mlp = MLP((784, 1200, 1200, 10), activation="relu", output="softmax", bias=True)
    initialise(mlp, rng, "he")
    optimizer = Adam(mlp.parameters, learning_rate=1e-4, beta1=0.9, beta2=0.999, epsilon=1e-8)
    backpropagation = {BATCH: Backpropagation(mlp, LOSSES["canonical"], BATCH)}
    distortions = {name: Distortion((28, 28), **settings) for name, settings in SETTINGS.items()}

    def epoch(name: str) -> float:
        augment = partial(distortions[name], rng=rng) if name != "none" else None
        started = time.perf_counter()
        batches = mini_batches(part, BATCH, mlp.dtype, rng, augment=augment)
        train_epoch(batches, backpropagation, optimizer, epoch=1)
        return time.perf_counter() - started

    def alone(name: str) -> float:
        started = time.perf_counter()
        distortions[name](images, rng)
        return time.perf_counter() - started

    with arithmetic("portable", THREADS):
        epoch("none")
        rounds = [
            {name: (epoch(name), alone(name)) for name in SETTINGS}
            for _ in progress(range(ROUNDS), "measuring")
        ]
    title = (
        f"An epoch of 784-1200-1200-10 on {IMAGES:,} images, mini-batches of {BATCH}, {THREADS} threads:\n"
        f"medians of {ROUNDS} rounds"
    )
    columns = ["augmentation", "seconds", "added", "by itself", "target"]
    table = Table(*columns, title=title, title_justify="left")
    for name in SETTINGS:
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


if __name__ == "__main__":
    main()
