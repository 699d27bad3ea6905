"""Launchers: what is asked of them in vain, and joblib's workers: their results, and how they end."""

import os
import signal
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from pipeline.config.reading import read_params
from pipeline.support.errors import UserError
from pipeline.support.files import PARAMS, sha256
from pipeline.sweeps.launchers import check_joblib, check_threads
from tests.commands import PATIENCE, ROOT, SMALL, kill, start_module, wait_for
from tests.sweeping import JOBLIB, KILLED, needs_proc, sweep, workers

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


def test_parallel_jobs_give_the_same_bits(workspace: Path) -> None:
    assert sweep(workspace, "seed=0,1", "model.hidden=[8]").returncode == 0
    models = [sha256(workspace / f"sweep/{job}/models/model.npz") for job in (0, 1)]
    options = ["sweep.resume=false", "hydra.sweep.dir=parallel", "seed=0,1", "model.hidden=[8]"]
    assert sweep(workspace, JOBLIB, *options).returncode == 0
    assert models == [sha256(workspace / f"parallel/{job}/models/model.npz") for job in (0, 1)]
    assert (workspace / "sweep/sweep.csv").read_bytes() == (workspace / "parallel/sweep.csv").read_bytes()


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

    monkeypatch.setattr("pipeline.sweeps.launchers.usable_cores", lambda: 2)
    with pytest.raises(UserError) as caught:
        check_joblib(OmegaConf.structured(JobLibLauncherConf(**option)))
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("threads", "n_jobs", "jobs", "fits"),
    [
        (2, 2, 9, True),
        (2, 3, 9, False),
        (2, 3, 2, True),
        (2, -1, 9, False),
        (4, -1, 1, True),
        (1, 9, 9, True),
    ],
)
def test_as_many_threads_as_there_are_cores_are_allowed(
    monkeypatch: pytest.MonkeyPatch, threads: int, n_jobs: int, jobs: int, fits: bool
) -> None:
    monkeypatch.setattr("pipeline.sweeps.launchers.usable_cores", lambda: 4)
    launcher = OmegaConf.create({"n_jobs": n_jobs})
    params = read_params(ROOT / PARAMS)
    job = replace(params, training=replace(params.training, threads=threads))
    with nullcontext() if fits else pytest.raises(UserError, match="is more than the 4 cores there are"):
        check_threads(launcher, job, jobs)
