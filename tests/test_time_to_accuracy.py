"""The board of seconds to an accuracy: its recipes, its workers and its medians."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from benchmarks.accuracy_workers import LEARNERS, train, with_arithmetic
from benchmarks.time_to_accuracy import RECIPES, Trainee, row, seconds_to
from pipeline.config.schema import flat
from pipeline.data.dataset import PROCESSED, load_dataset
from pipeline.nn.measurement import accuracy
from pipeline.problems import read_experiment
from pipeline.runs.build import build_training
from tests.commands import ROOT, run_module

SMALL = [
    *("dataset=strokes", "dataset.train=300", "dataset.official=60", "split.train=205", "split.test=95"),
    *("model.hidden=[20]", "training.epochs=6", "training.batch_size=10"),
]


@pytest.mark.parametrize("experiment", RECIPES.values())
def test_a_recipe_asks_for_nothing_that_a_library_leaves_out(experiment: str) -> None:
    config = flat(read_experiment(experiment))
    trained = {
        "model.activation": "relu",
        "model.output": "softmax",
        "model.bias": True,
        "model.dropout": 0.0,
        "loss.name": "canonical",
        "optimizer.name": "momentum",
        "optimizer.weight_decay": 0.0,
        "optimizer.clip_norm": None,
        "training.ema": 0.0,
        "training.batch_norm": False,
        "training.virtual_adversarial": 0.0,
        "training.patience": None,
    }
    assert {key: config[key] for key in trained} == trained
    assert (config["dataset.name"], config["split.train"], config["split.test"]) == ("mnist", 60_000, 0)


@pytest.mark.parametrize(("library", "arithmetic"), [("ours", "float32"), ("exact", "exact")])
def test_a_worker_trains_as_the_pipeline_does_and_stops_at_the_goal(
    library: str, arithmetic: Literal["exact", "float32"], workspace: Path
) -> None:
    config, dataset = read_experiment("quick_98", *SMALL), load_dataset(workspace / PROCESSED)
    ends = []
    for seed in (0, 1):
        training = build_training(with_arithmetic(replace(config, seed=seed), arithmetic), dataset)
        training.fit()
        ends.append(accuracy(training.mlp, dataset.official))
    with (worker := Trainee(library, config, workspace / PROCESSED, goal=2.0)).process:
        runs = [worker.train(seed) for seed in (0, 1)]
    assert [run[-1][1] for run in runs] == ends
    for run in runs:
        assert len(run) == config.training.epochs
        assert run[0][0] > 0 and run == sorted(run, key=lambda epoch: epoch[0])
    first = runs[0][0][1]
    with (worker := Trainee(library, config, workspace / PROCESSED, goal=first)).process:
        assert [share for _, share in worker.train(0)] == [first]


@pytest.mark.parametrize(("library", "package"), [("pytorch", "torch"), ("jax", "jax")])
def test_the_libraries_train_the_same_network(library: str, package: str, workspace: Path) -> None:
    pytest.importorskip(package)
    # At a rate that changes, PyTorch's momentum is another: it multiplies what it kept by the new rate.
    config = read_experiment("quick_98", *SMALL, "schedule=constant", "optimizer.learning_rate=0.01")
    dataset = load_dataset(workspace / PROCESSED)
    outputs = {}
    for name in ("ours", library):
        learner = LEARNERS[name](config, dataset)
        train(learner, seed=3, goal=2.0)
        outputs[name] = learner.outputs(dataset.official.inputs)
    powers = np.exp(outputs[library])  # of the libraries' outputs, the softmax is in the loss
    assert np.allclose(powers / powers.sum(axis=1, keepdims=True), outputs["ours"], atol=1e-4)


def test_a_run_that_falls_short_counts_as_infinite() -> None:
    short, late, early = [(1.0, 0.9), (2.0, 0.96)], [(1.0, 0.9), (3.0, 0.97)], [(1.5, 0.98)]
    assert [seconds_to(0.97, run) for run in (short, late, early)] == [math.inf, 3.0, 1.5]
    assert row(0.97, [short, late, early]) == ["3.00", "1.50", "not reached", "2 of 3", "2", "97.00%"]
    assert row(0.97, [short, short, early])[0] == "not reached"


def test_a_goal_that_does_not_exist_is_named_in_one_line() -> None:
    done = run_module(ROOT, "benchmarks.time_to_accuracy", "96")
    assert (done.returncode, done.stderr) == (
        1,
        "error: 96: no such goal; there are 97, 98, 98.5, 99\n",
    )
