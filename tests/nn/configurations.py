"""Small configurations of all kinds that the schema admits, and a hash of what training makes of each.

`python -m tests.nn.configurations` prints the hashes, and what they were computed with, as JSON: the same
ones on every machine.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_info

from pipeline.config.schema import Config, GeneratedDataset, parse
from pipeline.data.dataset import Dataset, Target
from pipeline.nn.activations import ACTIVATIONS, CANONICAL, HIDDEN
from pipeline.nn.fast import predict, probabilities
from pipeline.nn.measurement import Measurement
from pipeline.nn.training import Callback, Diverged
from pipeline.nn.types import Part
from pipeline.runs.build import build_training
from pipeline.runs.callbacks import as_row
from pipeline.runs.training_data import data_for

COUNT = 72
OF_ONE_OUTPUT = [name for name in ACTIVATIONS if name != "softmax"]  # which always makes 1 of it

T = TypeVar("T")


class Decks:
    """Draws options from shuffled decks, one for each kind of choice, so that each comes up equally often."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.decks: dict[str, list[Any]] = {}

    def draw(self, kind: str, options: Sequence[T]) -> T:
        deck = self.decks.setdefault(kind, [])
        if not deck:
            deck.extend(options)
        drawn: T = deck.pop(int(self.rng.random() * len(deck)))
        return drawn


DATASETS: list[dict[str, Any]] = [
    *3 * [{"kind": "strokes"}],
    {"kind": "xor", "name": "xor", "title": "XOR"},
    {"kind": "alternating", "name": "alternating", "title": "Alternating", "n": 3},
]
INITIALISERS = [
    {"name": "normal", "scale": 0.3},
    {"name": "uniform", "low": -0.5, "high": 0.5},
    {"name": "he"},
    {"name": "glorot"},
]
OPTIMIZERS: list[dict[str, Any]] = [
    {"name": "sgd", "learning_rate": 0.2},
    {"name": "momentum", "learning_rate": 0.05, "momentum": 0.9, "nesterov": False},
    {"name": "momentum", "learning_rate": 0.1, "momentum": 0.5, "nesterov": True},
    {"name": "adam", "learning_rate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    {"name": "adamw", "learning_rate": 0.02, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-6},
    {"name": "rmsprop", "learning_rate": 0.01, "rho": 0.9, "epsilon": 1e-8},
]
SCHEDULES = [
    {"name": "constant", "warmup": 0.0},
    {"name": "constant", "warmup": 1.5},
    {"name": "step", "warmup": 0.0, "every": 2, "factor": 0.3},
    {"name": "exponential", "warmup": 0.5, "factor": 0.8},
    {"name": "cosine", "warmup": 0.0, "final": 0.1},
    {"name": "cosine", "warmup": 1.0, "final": 0.0},
]
AFFINE = {"rotation": 0.2, "scale": 0.15, "shear": 0.15, "shift": 1.0}
ELASTIC = {"amplitude": 5.0, "sigma": 1.5}
AUGMENTATIONS: list[dict[str, Any]] = [
    *4 * [{"name": "none"}],
    {"name": "affine", **AFFINE},
    {"name": "elastic", **ELASTIC},
    {"name": "affine_elastic", **AFFINE, **ELASTIC},
]
FIXED = {
    "evaluation": {"copies": 1, "strength": 1.0},
    "tracking": {"enabled": False, "patience": 1.0},
    "sweep": {"resume": True},
}


def drawn(count: int = COUNT) -> list[Config]:
    """Return so many configurations, always the same ones."""
    decks = Decks(seed=24)
    return [parse(one, "drawn") for one in drawn_values(decks, count)]


def drawn_values(decks: Decks, count: int) -> Iterator[dict[str, Any]]:
    for seed in range(count):
        dataset = decks.draw("dataset", DATASETS)
        loss = decks.draw("loss", ["canonical", "squared_error"])
        outputs = ACTIVATIONS if dataset["kind"] == "strokes" else OF_ONE_OUTPUT
        if loss == "canonical":
            outputs = [name for name in CANONICAL if name in outputs]
        clip_norm = decks.draw("clip_norm", [None, 0.5])
        weight_decay = decks.draw("weight_decay", [0.0, 0.01])
        optimizer = decks.draw("optimizer", OPTIMIZERS)
        batch_sizes = [None, 1, 7, 16] if dataset["kind"] == "strokes" else [None, 1, 3, 4]
        augmentations = AUGMENTATIONS if dataset["kind"] == "strokes" else AUGMENTATIONS[:1]
        yield {
            **FIXED,
            "dataset": dataset,
            "split": {"train": 48, "test": 16, "validation": decks.draw("validation", [0, 8])},
            "model": {
                "hidden": decks.draw("hidden", [[], [5], [12], [20, 7], [6, 9, 4], [9, 256]]),
                "activation": decks.draw("activation", HIDDEN),
                "output": decks.draw(f"output {loss} {len(outputs)}", list(outputs)),
                "bias": decks.draw("bias", [False, True]),
                "initialiser": decks.draw("initialiser", INITIALISERS),
                "dropout": decks.draw("dropout", [0.0, 0.0, 0.3]),
            },
            "loss": {"name": loss, "label_smoothing": decks.draw("label_smoothing", [0.0, 0.1])},
            "optimizer": {**optimizer, "clip_norm": clip_norm, "weight_decay": weight_decay},
            "schedule": decks.draw("schedule", SCHEDULES),
            "augmentation": decks.draw(f"augmentation {len(augmentations)}", augmentations),
            "training": {
                "epochs": decks.draw("epochs", [3, 4]),
                "patience": None,
                "batch_size": decks.draw(f"batch_size {dataset['kind']}", batch_sizes),
                "ema": decks.draw("ema", [0.0, 0.0, 0.9]),
                "batch_norm": False,
                "virtual_adversarial": 0.0,
                "checkpoint": 5.0,
                "measure_every": decks.draw("measure_every", [1, 2]),
                "snapshots": decks.draw("snapshots", [None, 1, 2]),
                "arithmetic": "exact",
                "threads": 1,
            },
            "seed": seed,
        }


def configuration(arithmetic: str = "exact", **changes: Any) -> Config:
    """Return the problem sheet's configuration made smaller, with `changes` of its parts."""
    values: dict[str, Any] = {
        **FIXED,
        "dataset": {"kind": "strokes"},
        "split": {"train": 48, "test": 16, "validation": 0},
        "model": {
            "hidden": [100],
            "activation": "relu",
            "output": "relu",
            "bias": False,
            "initialiser": {"name": "normal", "scale": 0.1},
            "dropout": 0.0,
        },
        "loss": {"name": "canonical", "label_smoothing": 0.0},
        "optimizer": {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.0, "clip_norm": None},
        "schedule": {"name": "constant", "warmup": 0.0},
        "augmentation": {"name": "none"},
        "training": {
            "epochs": 5,
            "patience": None,
            "batch_size": 20,
            "ema": 0.0,
            "batch_norm": False,
            "virtual_adversarial": 0.0,
            "checkpoint": 5.0,
            "measure_every": 1,
            "snapshots": 1,
            "arithmetic": arithmetic,
            "threads": 1,
        },
        "seed": 0,
    }
    for part, change in changes.items():
        whole = "name" in change or "kind" in change
        values[part] = change if whole else values[part] | change
    return parse(values, "written down")


ADAM = {**OPTIMIZERS[3], "weight_decay": 0.0, "clip_norm": None}
NAMED = {
    "the sheet's network": configuration(),
    "deep, with all means": configuration(
        model={
            "hidden": [30, 20],
            "activation": "gelu",
            "output": "softmax",
            "bias": True,
            "initialiser": {"name": "he"},
            "dropout": 0.2,
        },
        loss={"name": "canonical", "label_smoothing": 0.1},
        optimizer={**OPTIMIZERS[4], "weight_decay": 0.01, "clip_norm": 0.5},
        schedule={"name": "cosine", "warmup": 1.0, "final": 0.01},
        augmentation=AUGMENTATIONS[-1],
        training={"ema": 0.9},
    ),
    "wide": configuration(
        model={"hidden": [300, 260], "activation": "elu", "output": "sigmoid", "bias": True},
        optimizer={**OPTIMIZERS[2], "weight_decay": 0.001, "clip_norm": None},
        schedule={"name": "step", "warmup": 0.0, "every": 2, "factor": 0.3},
        training={"epochs": 3, "batch_size": None},
    ),
    "virtual adversarial training": configuration(
        model={"hidden": [30, 20], "output": "softmax", "bias": True},
        training={"virtual_adversarial": 1.5},
    ),
    "batch normalisation": configuration(
        model={"hidden": [30, 20], "output": "softmax", "bias": True},
        training={"ema": 0.9, "batch_norm": True, "virtual_adversarial": 1.5},
    ),
    "XOR": configuration(
        dataset=DATASETS[3],
        model={"hidden": [4], "activation": "tanh", "output": "sigmoid", "bias": True},
        optimizer=ADAM,
        training={"epochs": 100, "batch_size": None, "measure_every": 25, "snapshots": None},
    ),
    "alternating points": configuration(
        dataset=DATASETS[4],
        model={"hidden": [20, 10], "activation": "mish", "output": "identity", "bias": True},
        loss={"name": "squared_error", "label_smoothing": 0.0},
        optimizer={**OPTIMIZERS[5], "weight_decay": 0.0, "clip_norm": 1.0},
        schedule={"name": "exponential", "warmup": 2.0, "factor": 0.99},
        training={"epochs": 60, "batch_size": 3, "measure_every": 20, "snapshots": None},
    ),
}


@cache
def images() -> Dataset:
    """Return 64 images of 7 × 8 pixels in 3 classes, which are patterns under noise."""
    rng = np.random.default_rng(5)
    classes = (3 * rng.random(64)).astype(int)
    pixels = ((rng.random((3, 56)) + rng.random((64, 1, 56))) / 2)[range(64), classes]
    parts = [
        Part(pixels[rows].astype(np.float32), np.eye(3, dtype=np.uint8)[classes[rows]])
        for rows in (slice(48), slice(48, 64), slice(0))
    ]
    train, test, official = parts
    return Dataset("strokes", "Patterns", ["0", "1", "2"], (7, 8), train, test, official)


@cache
def numbers() -> Dataset:
    """Return 64 rows of 6 numbers with two targets, which are smooth in them, under noise."""
    rng = np.random.default_rng(6)
    x = 2 * rng.random((64, 6)) - 1
    y = np.stack([x[:, 0] * x[:, 1] - x[:, 2], x[:, 3] * x[:, 3]], axis=1) + rng.random((64, 2)) / 8
    parts = [
        Part(x[rows].astype(np.float32), y[rows].astype(np.float32))
        for rows in (slice(48), slice(48, 64), slice(0))
    ]
    train, test, official = parts
    targets = [Target("first", 10.0, 3.0), Target("second", -1.0, 0.125)]
    return Dataset("numbers", "Numbers", [], None, train, test, official, task="regression", targets=targets)


@cache
def sides() -> Dataset:
    """Return the rows of `numbers` in two classes: whether the first target is positive."""
    both = numbers()
    train, test, official = (
        Part(part.inputs, np.eye(2, dtype=np.uint8)[(part.targets[:, 0] > 0).astype(int)])
        for part in (both.train, both.test, both.official)
    )
    return Dataset("sides", "Sides", ["no", "yes"], None, train, test, official)


OF_A_TABLE: dict[str, Any] = {"hidden": [12], "output": None, "bias": True, "initialiser": INITIALISERS[2]}
ON_TABLES = {
    "a regression": (configuration(model=OF_A_TABLE, optimizer=ADAM), numbers),
    "a regression, with all means": (
        configuration(
            model={**OF_A_TABLE, "hidden": [20, 10], "activation": "tanh", "dropout": 0.2},
            loss={"name": "squared_error", "label_smoothing": 0.0},
            optimizer={**OPTIMIZERS[1], "weight_decay": 0.01, "clip_norm": 0.5},
            schedule=SCHEDULES[4],
            split={"validation": 8},
            training={"ema": 0.9, "batch_size": 7},
        ),
        numbers,
    ),
    "two classes by one output": (
        configuration(
            model={**OF_A_TABLE, "output": "sigmoid"},
            loss={"name": "canonical", "label_smoothing": 0.1},
        ),
        sides,
    ),
}


def sha256(config: Config, table: Dataset | None = None) -> str:
    """Train, on `table` where that is given, and return a hash of the results.

    They are parameters, history, snapshots, outputs and, of a classification, probabilities. Of a training
    that diverges it is a hash of the history and of where that was.
    """
    if table:
        dataset = table.hold_out(config.split.validation)
    elif isinstance(config.dataset, GeneratedDataset):
        dataset = data_for(config)
    else:
        dataset = images().hold_out(config.split.validation)
    training, hashed = build_training(config, dataset), hashlib.sha256()

    class Hashing(Callback):
        def on_measured(self, measurement: Measurement) -> None:
            unrounded = [measurement.metrics] if table else []
            hashed.update(json.dumps([as_row(measurement), measurement.loss, *unrounded]).encode())

    try:
        training.fit(Hashing())
    except Diverged as diverged:
        hashed.update(str(diverged).encode())
        return hashed.hexdigest()
    mlp = training.mlp
    outputs = predict(mlp, np.concatenate([dataset.train.inputs, dataset.test.inputs]))
    arrays = [mlp.parameters.vector, *training.snapshots.vectors]
    of_classes = [probabilities(mlp, outputs)] if dataset.task == "classification" else []
    for array in [*arrays, outputs, *of_classes]:
        hashed.update((array + 0.0).tobytes())  # of −0 makes 0, which it equals
    return hashed.hexdigest()


def computed_with() -> dict[str, Any]:
    """Return what the arithmetic's last bits could depend on."""
    return {
        "kernels": [library.get("architecture") for library in threadpool_info()],
        "threads": [library["num_threads"] for library in threadpool_info()],
        "features": np.show_config(mode="dicts")["SIMD Extensions"].get("found", []),
    }


if __name__ == "__main__":
    hashes = {
        "drawn": [sha256(config) for config in drawn()],
        "named": {name: sha256(config) for name, config in NAMED.items()},
        "tables": {name: sha256(config, table()) for name, (config, table) in ON_TABLES.items()},
        "float32": sha256(configuration("float32", model={"hidden": [300, 100]})),
    }
    print(json.dumps({"computed with": computed_with(), **hashes}, indent=2))
