"""Sweeps as users start them, what they leave, and the processes that they are made of."""

import csv
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from pipeline.runs.run import Run
from pipeline.train import CONF
from tests.commands import SMALL, TRACKED, run_module, start_module

JOBLIB = "hydra/launcher=joblib"
KILLED = "error: the process of a job was killed; the same command again finishes the sweep"
EXPLODING = ["model.activation=identity", "model.output=identity"]
LONGER = [
    *("training.epochs=30", "training.checkpoint=0.0"),
    *("optimizer.learning_rate=0.03,0.1,0.3", "seed=0,1"),
]

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="finds the processes to kill in /proc"
)


def sweep(folder: Path, *options: str, base: list[str] = SMALL, **environment: str) -> Any:
    return run_module(folder, "pipeline.train", "-m", *base, "hydra.sweep.dir=sweep", *options, **environment)


def start(folder: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    sweep = ["-m", *TRACKED, "hydra.sweep.dir=sweep", *LONGER, *options]
    return start_module(folder, "pipeline.train", *sweep, **environment)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep/sweep.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def runs(store: Any) -> tuple[list[Any], list[Any]]:
    """Return the parent runs, and the others."""
    experiments = [experiment.experiment_id for experiment in store.search_experiments()]
    found = store.search_runs(experiments, order_by=["attributes.start_time"])
    return [r for r in found if "sweep" in r.data.tags], [r for r in found if "sweep" not in r.data.tags]


def descendants(pid: int) -> list[int]:
    """Return the processes that `pid` has started, and those that they have, where they can be told."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            children += map(int, task.read_text().split())
    return children + [grandchild for child in children for grandchild in descendants(child)]


def workers(pid: int, module: str) -> list[int]:
    """Return the processes among the descendants of `pid` that run `module`."""
    return [child for child in descendants(pid) if module in command_line(child)]


def thawed(frozen: Path) -> bool:
    """Let the trainings go on that `frozen` names, so that they see what has become of their parent."""
    for note in frozen.iterdir():
        with suppress(ProcessLookupError):
            os.kill(int(note.name), signal.SIGCONT)
    return True


def command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


@contextmanager
def composed(*options: str, base: Sequence[str] = SMALL) -> Iterator[DictConfig]:
    """Yield the configuration of the sweep that `options` start, while there is a Hydra to sweep with."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        overrides = [*base, "hydra.sweep.dir=sweep", *options]
        yield loader.load_configuration("config", overrides, RunMode.MULTIRUN)


def finished(folder: Path) -> dict[str, Run]:
    """Return the runs of the finished jobs by their keys."""
    found = {}
    for path in (folder / "multirun/finished").glob("*.json"):
        found[path.stem] = Run(folder / json.loads(path.read_text(encoding="utf-8"))["folder"])
    return found
