"""Searches by halving as users start them: the same result however they run, and no epoch trained twice."""

import os
import random
import shutil
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from pipeline.support.files import sha256
from pipeline.sweeps.outcome import started_jobs
from tests.commands import (
    SMALL,
    TRACKED,
    freezing,
    kill,
    made_once,
    run_module,
    start_module,
    wait_until_frozen,
)
from tests.forked import run_each
from tests.stores import client
from tests.sweeping import EXPLODING, JOBLIB, descendants, needs_proc, runs, sweep, table

SEARCH = [
    *("hydra/sweeper=halving", "hydra.sweeper.jobs=4", "hydra.sweeper.keep=1/2", "training.epochs=4"),
    *("split.validation=50", "optimizer.learning_rate=tag(log,interval(0.01,1.0))", "model.hidden=[5],[9]"),
]


def journals(folder: Path) -> dict[str, bytes]:
    """Return the journals of the search's jobs by the names of their folders."""
    return {path.parents[1].name: path.read_bytes() for path in folder.glob("sweep/*/models/journal.jsonl")}


@pytest.fixture
def undisturbed(prepared: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `SEARCH` has run from the beginning to the end."""

    def search(folder: Path) -> None:
        (folder / "data").symlink_to(prepared / "data")
        [done] = run_each(folder, [["-m", *SMALL, "hydra.sweep.dir=sweep", *SEARCH]])
        assert done == (0, "")

    made = made_once("undisturbed_search", search, tmp_path_factory)
    return shutil.copytree(made, tmp_path / "undisturbed", symlinks=True)


def test_the_best_half_goes_on_to_the_bits_of_an_uninterrupted_training(tracked: Path) -> None:
    done = sweep(tracked, *SEARCH, "seed=0,1", base=TRACKED)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "epoch 1: 2 of 4 go on" in done.stdout and "epoch 2: 1 of 2 go on" in done.stdout
    rows = table(tracked)
    assert [(row["rung"], row["epochs"], row["jobs"]) for row in rows] == [
        ("3 of 3", "4", "2"),
        ("2 of 3", "2", "2"),
        *[("1 of 3", "1", "2")] * 2,
    ]
    assert not (tracked / "models/checkpoints").exists()

    best = [f"{key}={rows[0][key]}" for key in ("optimizer.learning_rate", "model.hidden")]
    alone = ["split.validation=50", "training.epochs=4", "seed=1", "hydra.run.dir=alone", *best]
    assert run_module(tracked, "pipeline.train", *SMALL, *alone).returncode == 0
    [number] = [
        name
        for name in journals(tracked)
        if int(name) % 2 and (tracked / f"sweep/{name}/models/model.npz").exists()
    ]
    for name in ("models/model.npz", "models/snapshots.npz", "reports/history.csv"):
        assert sha256(tracked / "sweep" / number / name) == sha256(tracked / "alone" / name)

    [parent], jobs = runs(client(tracked))
    assert (parent.info.status, len(jobs)) == ("FINISHED", 8)
    assert {run.info.status for run in jobs} == {"FINISHED"}
    rungs = Counter(run.data.tags.get("rung", "") for run in jobs)
    assert rungs == {"": 2, "2 of 4 epochs": 2, "1 of 4 epochs": 4}
    for run in jobs:
        measured = client(tracked).get_metric_history(run.info.run_id, "validation_accuracy")
        reached = int(run.data.tags.get("rung", "4").split()[0])
        assert [value.step for value in measured] == list(range(1, reached + 1))
        assert ("model_sha256" in run.data.tags) == (reached == 4)

    before = journals(tracked)
    again = sweep(tracked, *SEARCH, "seed=0,1", base=TRACKED)
    assert again.stdout.count("(finished before, skipped)") >= 8
    assert journals(tracked) == before
    assert len(runs(client(tracked))[1]) == 8


def test_a_search_in_processes_side_by_side_finds_the_same(workspace: Path, undisturbed: Path) -> None:
    assert sweep(workspace, JOBLIB, "hydra.launcher.n_jobs=2", *SEARCH).returncode == 0
    assert (workspace / "sweep/sweep.csv").read_bytes() == (undisturbed / "sweep/sweep.csv").read_bytes()


def test_a_job_that_another_sweep_has_trained_further_counts_with_what_it_was_then(
    workspace: Path, undisturbed: Path
) -> None:
    """And the other way round: a grid goes on with what a search has stopped."""
    rows = table(undisturbed)
    worst = [f"{key}={rows[-1][key]}" for key in ("optimizer.learning_rate", "model.hidden")]
    grid = ["-m", *SMALL, "split.validation=50", "training.epochs=4", "hydra.sweep.dir=grid", *worst]
    assert run_each(workspace, [grid, ["-m", *SMALL, "hydra.sweep.dir=sweep", *SEARCH]]) == [(0, ""), (0, "")]
    assert (workspace / "sweep/sweep.csv").read_bytes() == (undisturbed / "sweep/sweep.csv").read_bytes()

    assert run_each(undisturbed, [grid]) == [(0, "")]
    models = [sha256(path) for path in undisturbed.glob("sweep/*/models/model.npz")]
    assert len(models) == 2 and sha256(workspace / "grid/0/models/model.npz") in models


def test_where_there_are_no_images_a_search_ranks_by_the_error_on_the_training_points(tmp_path: Path) -> None:
    points = ["dataset=xor", "training.batch_size=null", "tracking.enabled=false"]
    assert run_each(tmp_path, [["-m", "hydra.sweep.dir=sweep", *SEARCH, *points]]) == [(0, "")]
    assert "train_error" in table(tmp_path)[0]


@needs_proc
def test_a_search_that_was_killed_twice_ends_as_if_undisturbed_and_trains_no_epoch_twice(
    workspace: Path, undisturbed: Path
) -> None:
    """There are six checkpoints: of four jobs after the first epoch, and of two after the second."""
    for nth in (3, 4):  # the third job, and in what is left the second job of the second rung
        with freezing(checkpoint=nth) as (frozen, environment):
            options = ["-m", *SMALL, "hydra.sweep.dir=sweep", *SEARCH]
            started = start_module(workspace, "pipeline.train", *options, **environment)
            wait_until_frozen(started, frozen)
            os.killpg(started.pid, signal.SIGKILL)
            started.communicate()
        before = {name: text for name, text in journals(workspace).items() if text.endswith(b"}}\n")}
        assert len(before) >= 2
        best = run_module(workspace, "pipeline.best", "sweep")
        assert (
            best.stderr == "error: the sweep in sweep is not over: the command that started it finishes it\n"
        )
    assert run_each(workspace, [options]) == [(0, "")]
    after = journals(workspace)
    assert all(after[name].startswith(text) for name, text in before.items())
    assert (workspace / "sweep/sweep.csv").read_bytes() == (undisturbed / "sweep/sweep.csv").read_bytes()
    assert (workspace / "sweep/sweep.png").read_bytes() == (undisturbed / "sweep/sweep.png").read_bytes()
    assert not (workspace / "models/checkpoints").exists()


def test_a_job_that_fails_does_not_go_on_and_is_told(workspace: Path) -> None:
    options = ["optimizer.learning_rate=0.01,0.02,9,99", *EXPLODING]
    done = sweep(workspace, *SEARCH, *options)
    assert done.returncode == 1
    assert done.stderr.endswith("failed: the table says why\n")
    *good, worst = table(workspace)
    assert (worst["status"], worst["epochs"]) == ("FAILED", "1")
    assert [row["rung"] for row in good][:1] == ["3 of 3"]


@needs_proc
@pytest.mark.stress
def test_searches_killed_thirty_times_end_as_if_undisturbed(tracked: Path, undisturbed: Path) -> None:
    """At random moments, with one, two and four processes at work, and MLflow on."""
    larger = ["hydra.sweeper.jobs=16", "hydra.sweeper.brackets=2", "training.epochs=16", "seed=0,1"]
    generator, kills = random.Random(0), 0
    for seed in count():
        options = [*SEARCH, *larger, "training.checkpoint=0.0", f"hydra.sweeper.seed={seed}"]
        while kills < 30:
            launcher = [[], [JOBLIB, "hydra.launcher.n_jobs=2"], [JOBLIB, "hydra.launcher.n_jobs=4"]][
                kills % 3
            ]
            command = ["-m", *TRACKED, "hydra.sweep.dir=sweep", *options, *launcher]
            started = start_module(tracked, "pipeline.train", *command)
            with suppress(subprocess.TimeoutExpired):
                started.communicate(timeout=generator.uniform(0, 25))
                break
            kill(started.pid, *descendants(started.pid))
            started.communicate()
            kills += 1
        final = sweep(tracked, *options, base=TRACKED)
        assert final.returncode == 0, final.stderr
        assert sweep(undisturbed, *options).returncode == 0
        assert (tracked / "sweep/sweep.csv").read_bytes() == (undisturbed / "sweep/sweep.csv").read_bytes()
        assert not (tracked / "models/checkpoints").exists()
        parents, jobs = runs(client(tracked))
        assert {run.info.status for run in (*parents, *jobs)} == {"FINISHED"}
        assert len(jobs) == (seed + 1) * len(started_jobs(tracked / "sweep"))
        if kills == 30:
            break
