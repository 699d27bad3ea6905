"""The processes that joblib starts for a sweep's jobs: nothing of them is left or heard after its end."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from pipeline.support.errors import UserError
from pipeline.sweeps.workers import check_workers
from tests.commands import PATIENCE, ROOT, SMALL, kill, start_module, wait_for
from tests.sweeping import JOBLIB, KILLED, needs_proc, workers

INTERRUPTED = "interrupted: the same command again does what is left of the sweep\n"
SOON_S = 60  # far less than the 300 s after which joblib's idle workers end by themselves
INTERRUPTS_THE_SWEEP = """
import os, signal, sys

if sys.orig_argv[-4:-2] == ["--process-name", "LokyProcess-2"]:
    os.killpg(0, signal.SIGINT)
"""


def start_workers(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a sweep of two long jobs in three processes, of which one has nothing to do."""
    options = [
        JOBLIB,
        "hydra.launcher.n_jobs=3",
        "seed=0,1",
        "training.epochs=1000000",
        "training.snapshots=null",
        "hydra.sweep.dir=sweep",
    ]
    return start_module(folder, "pipeline.train", "-m", *SMALL, *options, **environment)


@needs_proc
@pytest.mark.parametrize(
    ("victim", "status", "told"),
    [("sweep", -signal.SIGKILL, ""), ("worker", 1, f"{KILLED}\n"), ("interrupted", 130, INTERRUPTED)],
)
def test_a_sweep_that_is_disturbed_ends_soon_with_all_its_processes_and_in_a_line(
    workspace: Path, victim: str, status: int, told: str
) -> None:
    started = start_workers(workspace)
    wait_for(lambda: (workspace / "sweep/1").exists() or started.poll() is not None)
    match victim:
        case "sweep":
            kill(started.pid)
        case "worker":
            kill(workers(started.pid, "popen_loky_posix")[0])
        case "interrupted":
            os.killpg(started.pid, signal.SIGINT)
    _, errors = started.communicate(timeout=SOON_S)  # until the last of them has closed its standard error
    assert started.returncode == status
    assert errors == told


@needs_proc
def test_ctrl_c_while_workers_are_starting_is_told_in_a_line(workspace: Path) -> None:
    (workspace / "sitecustomize.py").write_text(INTERRUPTS_THE_SWEEP, encoding="utf-8")
    search_path = os.pathsep.join([str(workspace), str(ROOT)])
    started = start_workers(workspace, PYTHONPATH=search_path)
    _, errors = started.communicate(timeout=PATIENCE)
    assert started.returncode == 130
    assert errors == INTERRUPTED


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"n_jobs": 0}, "hydra.launcher.n_jobs = 0: should be how many jobs run at once, at most 16"),
        (
            {"n_jobs": 100_000},
            "hydra.launcher.n_jobs = 100000: should be how many jobs run at once, at most 16",
        ),
        ({"timeout": 0.001}, "hydra.launcher.timeout = 0.001: leave it out"),
        ({"require": "sharedmem"}, "hydra.launcher.require = sharedmem: leave it out"),
        ({"pre_dispatch": "x y"}, "hydra.launcher.pre_dispatch = x y: leave it out"),
    ],
)
def test_what_joblib_would_end_the_sweep_for_is_refused(
    monkeypatch: pytest.MonkeyPatch, option: dict[str, object], told: str
) -> None:
    from hydra_plugins.hydra_joblib_launcher.config import JobLibLauncherConf

    monkeypatch.setattr("pipeline.sweeps.workers.usable_cores", lambda: 2)
    with pytest.raises(UserError) as caught:
        check_workers(OmegaConf.structured(JobLibLauncherConf(**option)))
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)
