"""The stages as a user starts them, on a few drawn images; and how tests wait for them or kill them."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from filelock import FileLock

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
TRACKED = [option for option in SMALL if not option.startswith("tracking")]
CHECKPOINTS = "models/checkpoints"
UNDER_DVC = [
    *("--config-dir", ".", "--config-name", "params"),
    *("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=disabled"),
]


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


def made_once(name: str, make: Callable[[Path], Any], factory: pytest.TempPathFactory) -> Path:
    """Return the folder `name`, which the first of the test processes to ask for it fills by `make` for all.

    They may be at it at once, so a test reads what is there, or copies it, and changes nothing.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # the one that the processes of a test run have in common
    folder, made = root / name, root / f"{name}.made"
    with FileLock(root / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # left by one that failed
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def copy_code(folder: Path) -> Path:
    """Copy what training is made of to `folder`, to be changed there, and return `folder`."""
    for name in ("conf", "pipeline"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return what `condition` returns as soon as that is something."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `folder` by its relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def git(folder: Path, *arguments: str) -> str:
    """Return what Git prints for `arguments` in `folder`, as a user of some name."""
    options = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-C", str(folder)]
    done = subprocess.run(["git", *options, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def kill(*pids: int) -> None:
    """Kill the processes that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def checkpoint(workspace: Path) -> Path | None:
    """Return the checkpoint that a training in `workspace` has left, if there is one."""
    return next((workspace / CHECKPOINTS).glob("*/checkpoint.npz"), None)


@contextmanager
def freezing(checkpoint: int) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield a folder, and an environment in which training stops at that checkpoint and notes its id there.

    So what a test kills has not ended before, however fast the machine and however late the test.
    """
    with TemporaryDirectory() as frozen:
        search_path = os.pathsep.join([str(ROOT / "tests/freezing"), str(ROOT)])
        yield Path(frozen), {"PYTHONPATH": search_path, "FREEZE_AT": str(checkpoint), "FREEZE_IN": frozen}


def wait_until_frozen(process: subprocess.Popen[Any], frozen: Path) -> int:
    """Return the id of the first training that stands still, which `process` is or has started."""
    wait_for(lambda: any(frozen.iterdir()) or process.poll() is not None)
    assert process.poll() is None, "it ended before a training stopped"
    return int(next(frozen.iterdir()).name)


def kill_in_training(workspace: Path, *command: str) -> None:
    """Start `command` and kill all of it as it replaces its fourth checkpoint by the fifth."""
    with freezing(checkpoint=5) as (frozen, environment):
        process = subprocess.Popen(
            command,
            cwd=workspace,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until_frozen(process, frozen)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def little_room(room: int) -> Iterator[None]:
    """Let no program's file grow beyond `room`, which needs no root and fails as on a full disk."""
    import resource  # which Windows has not got, and most tests do not need

    limit, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
