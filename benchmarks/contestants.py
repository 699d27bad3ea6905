"""A contestant of `benchmarks.speed`, and the process in which it runs.

`python -m benchmarks.contestants MODULE NAME FOLDER` prepares that contestant of MODULE for the data in
FOLDER. Then it idles until it reads a line on standard input, runs an epoch and answers with its seconds. So
each library has a process of its own.
"""

import importlib
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np

from pipeline.data.dataset import Dataset, Part, load_dataset

Epoch = Callable[[], float]  # runs an epoch and returns its seconds


@dataclass(frozen=True)
class Contestant:
    """One row of a table.

    Attributes:
        title: what the row is called.
        prepare: makes the function that runs an epoch on a dataset.
        distribution: the package that must be installed.
        exact: whether it computes exactly; its row is compared with ours in exact arithmetic.
        one_core: whether the worker is held to one core.
        at_least: the least that its epoch is to take, in epochs of ours with like arithmetic, if any.
        at_most: likewise the most.
        target: the same in words.
    """

    title: str
    prepare: Callable[[Dataset], Epoch]
    distribution: str = "numpy"
    exact: bool = False
    one_core: bool = True
    at_least: float | None = None
    at_most: float | None = None
    target: str = ""


def timed(epoch: Callable[[], object]) -> Epoch:
    """Return a function that calls `epoch` and returns the seconds it took."""

    def seconds() -> float:
        started = time.perf_counter()
        epoch()
        return time.perf_counter() - started

    return seconds


def main() -> None:
    """Work: say the library's version, or nothing where it is not installed; then run epochs on request."""
    module, name, folder = sys.argv[1:]
    contestant = importlib.import_module(module).CONTESTANTS[name]
    try:
        version = metadata.version(contestant.distribution)
    except metadata.PackageNotFoundError:
        print(flush=True)
        return
    if contestant.one_core and hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with warnings.catch_warnings(action="ignore"):
        dataset = load_dataset(Path(folder))
        train_part = Part(np.array(dataset.train.inputs), np.array(dataset.train.targets))
        epoch = contestant.prepare(replace(dataset, train=train_part))  # in memory, for all alike
        epoch()  # compiles, reads the images into the page cache
        print(version, flush=True)
        for _ in sys.stdin:
            print(epoch(), flush=True)


if __name__ == "__main__":
    main()
