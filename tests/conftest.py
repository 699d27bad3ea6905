"""Small real surroundings: a folder in which the stages have run on a few drawn images."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pipeline  # noqa: F401 - before any test imports NumPy, whose kernels it chooses

ROOT = Path(__file__).parents[1]

SMALL = [
    "dataset=strokes",
    "dataset.train=300",
    "dataset.official=60",
    "split.train=205",
    "split.test=95",
    "training.epochs=2",
    "tracking.enabled=false",
]

Run = Callable[..., subprocess.CompletedProcess[str]]


def run_module(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m …` in `folder`, as a user would at the repository's root, and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `params.yaml`, `data/raw` and `data/processed` of 300 + 60 drawn digits."""
    folder = tmp_path_factory.mktemp("prepared")
    composed = run_module(folder, "pipeline.train", "--cfg", "job", "--resolve", *SMALL)
    (folder / "params.yaml").write_text(composed.stdout, encoding="utf-8")
    for stage in ("download", "preprocess"):
        done = run_module(folder, f"pipeline.{stage}")
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def workspace(prepared: Path, tmp_path: Path) -> Path:
    """A copy of `prepared` that a test may change."""
    return shutil.copytree(prepared, tmp_path / "workspace")
