"""A full disk is told in one line, leaves nothing half-written, and the same command finishes the work."""

import csv
from pathlib import Path

import pytest

from tests.commands import SMALL, files, little_room, run_module

ROOM = 200_000  # bytes: less than a model, more than any other file
TOLD = "models/model.npz cannot be written (File too large): make room, then run the same command again"


def test_a_training(workspace: Path) -> None:
    command = ["pipeline.train", *SMALL, "hydra.run.dir=out"]
    with little_room(ROOM):
        done = run_module(workspace, *command)
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last == f"error: out/{TOLD}"
    assert "Traceback" not in done.stderr
    assert [path.name for path in (workspace / "out/models").iterdir()] == ["journal.jsonl"]
    assert run_module(workspace, *command).returncode == 0


def test_preprocessing(workspace: Path) -> None:
    before = files(workspace)
    with little_room(ROOM):
        done = run_module(workspace, "pipeline.preprocess")
    assert done.stderr == f"error: {TOLD}\n".replace("models/model.npz", "data/processed/train_images.npy")
    assert files(workspace) == before


@pytest.mark.stress
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_sweep(workspace: Path, launcher: str) -> None:
    command = [
        "pipeline.train",
        "-m",
        *SMALL,
        "hydra.sweep.dir=sweep",
        "seed=0,1",
        f"hydra/launcher={launcher}",
    ]
    with little_room(ROOM):
        done = run_module(workspace, *command)
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last == "error: 2 of 2 jobs failed: the table says why"
    assert "Traceback" not in done.stderr
    for job in (0, 1):
        assert f"job {job}: seed {job}: FAILED: sweep/{job}/{TOLD}" in done.stdout
        assert [path.name for path in (workspace / f"sweep/{job}/models").iterdir()] == ["journal.jsonl"]
    again = run_module(workspace, *command)
    assert again.returncode == 0, again.stderr
    with (workspace / "sweep/sweep.csv").open(encoding="utf-8", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["", ""]
