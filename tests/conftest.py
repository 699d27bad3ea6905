"""Small real surroundings: a folder in which the stages have run on a few drawn images."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

import pipeline  # noqa: F401 - before any test imports NumPy, whose kernels it chooses

os.environ.pop("MLFLOW_TRACKING_URI", None)  # no test's run lands in the store of whoever runs the tests

ROOT = Path(__file__).parents[1]
PATIENCE = 600.0  # seconds: more than anything takes on a busy machine; a test that waits in vain fails then

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


def start_module(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `python -m …` in `folder`, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return what `condition` returns as soon as that is something."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(address: str) -> bool:
    """Return whether there is an answer at `address`, and a good one."""
    try:
        with urlopen(address, timeout=5):
            return True
    except (URLError, OSError):
        return False


def client(folder: Path) -> Any:
    """Return MLflow's client for the store in `folder`."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[None]:
    """Run an MLflow server on the store in `folder`, and kill it in the end."""
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
         "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
         "--artifacts-destination", str(folder / "mlartifacts")],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # else it starts seven more
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"))
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


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
