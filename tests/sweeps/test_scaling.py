"""Sweeps whose jobs run elsewhere: `make scaling` installs what they need and runs these tests.

A launcher that is not installed is skipped; Slurm's as well where there is no cluster.
"""

import os
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.experimental.callback import Callback

from pipeline.support.files import sha256
from tests.commands import ROOT, TRACKED, kill, wait_for
from tests.stores import client
from tests.sweeping import EXPLODING, KILLED, LONGER, needs_proc, runs, start, sweep, table, workers
from tests.sweeps.test_halving import SEARCH

NODES = 2


class Where(Callback):
    """Notes the Ray node on which a job runs."""

    def on_job_start(self, config: Any, **kwargs: Any) -> None:
        import ray

        here = Path(config.hydra.sweep.dir) / "nodes"
        here.mkdir(exist_ok=True)
        (here / ray.get_runtime_context().get_node_id()).touch()


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Ray cluster of two worker nodes, of one processor each, beside a head node of none."""
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "NPY_DISABLE_CPU_FEATURES", "PYTHONPATH"):
            patch.delenv(name, raising=False)  # a node knows nothing of the project
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(NODES):
            cluster.add_node(num_cpus=1)
        yield cluster.address
        cluster.shutdown()


@pytest.fixture(params=["ray", "submitit_local", "submitit_slurm"])
def launcher(request: pytest.FixtureRequest) -> list[str]:
    """The options that choose a launcher."""
    if request.param == "ray":
        address = request.getfixturevalue("ray_cluster")
        where = "+hydra.callbacks.where._target_=tests.sweeps.test_scaling.Where"
        return ["hydra/launcher=ray", f"hydra.launcher.ray.init.address={address}", where]
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    if request.param == "submitit_slurm" and not shutil.which("sbatch"):
        pytest.skip("there is no Slurm")
    return [f"hydra/launcher={request.param}"]


def test_slurm_that_is_not_there_is_told_before_the_first_job(workspace: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    done = sweep(workspace, "hydra/launcher=submitit_slurm", "seed=0,1", PATH=str(workspace))
    assert done.returncode == 1
    assert done.stderr.startswith("error: hydra/launcher=submitit_slurm: there is no srun here; start")
    assert done.stderr.count("\n") == 1


def test_a_sweep_elsewhere_is_the_same_sweep(tracked: Path, launcher: list[str]) -> None:
    swept = ["optimizer.learning_rate=0.03,0.3", "seed=0,1"]
    assert sweep(tracked, *swept).returncode == 0
    models = [sha256(tracked / f"sweep/{job}/models/model.npz") for job in range(4)]

    options = [*launcher, *swept, "sweep.resume=false", "hydra.sweep.dir=elsewhere"]
    done = sweep(tracked, *options, base=TRACKED)
    assert done.returncode == 0, done.stderr
    assert [sha256(tracked / f"elsewhere/{job}/models/model.npz") for job in range(4)] == models
    assert (tracked / "elsewhere/sweep.csv").read_bytes() == (tracked / "sweep/sweep.csv").read_bytes()
    [parent], jobs = runs(client(tracked))
    assert parent.info.run_name == "sweep of learning_rate × seed, 4 jobs"
    assert {run.data.tags["mlflow.parentRunId"] for run in jobs} == {parent.info.run_id}
    assert [run.info.status for run in [parent, *jobs]] == ["FINISHED"] * 5
    assert sorted(run.data.tags["model_sha256"] for run in jobs) == sorted(models)
    if "hydra/launcher=ray" in launcher:
        assert len(list((tracked / "elsewhere/nodes").iterdir())) == NODES


def test_a_search_elsewhere_finds_the_same(workspace: Path, launcher: list[str]) -> None:
    assert sweep(workspace, *SEARCH).returncode == 0
    options = [*launcher, *SEARCH, "sweep.resume=false", "hydra.sweep.dir=elsewhere"]
    done = sweep(workspace, *options)
    assert done.returncode == 0, done.stderr
    assert (workspace / "elsewhere/sweep.csv").read_bytes() == (workspace / "sweep/sweep.csv").read_bytes()


def test_one_bad_job_elsewhere_spoils_nothing_and_the_good_ones_are_not_done_again(
    tracked: Path, launcher: list[str]
) -> None:
    options = [*launcher, *EXPLODING, "optimizer.learning_rate=0.01,9,0.02"]
    for skipped in (0, 2):
        done = sweep(tracked, *options, base=TRACKED)
        assert done.returncode == 1
        assert done.stderr.endswith("error: 1 of 3 jobs failed: the table says why\n")
        assert done.stdout.count("(finished before, skipped)") == skipped
    *good, bad = table(tracked)
    assert sorted(row["optimizer.learning_rate"] for row in good) == ["0.01", "0.02"]
    assert (bad["optimizer.learning_rate"], bad["status"]) == ("9", "FAILED")
    [parent], jobs = runs(client(tracked))
    assert parent.info.status == "FAILED"
    assert sorted((run.info.run_name, run.info.status) for run in jobs) == [
        ("learning_rate 0.01", "FINISHED"),
        ("learning_rate 0.02", "FINISHED"),
        ("learning_rate 9", "FAILED"),
    ]


@needs_proc
def test_the_same_command_finishes_a_sweep_elsewhere_of_which_a_job_was_killed(tracked: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    launcher = "hydra/launcher=submitit_local"
    started = start(tracked, launcher)
    kill(wait_for(lambda: workers(started.pid, "submitit.core._submit"))[0])
    errors = started.communicate()[1]
    assert started.returncode == 1
    assert errors.endswith(f"{KILLED}\n")
    assert "Traceback" not in errors

    assert sweep(tracked, launcher, *LONGER, base=TRACKED).returncode == 0
    assert [row["jobs"] for row in table(tracked)] == ["2"] * 3
    [parent], jobs = runs(client(tracked))
    assert [run.info.status for run in (parent, *jobs)] == ["FINISHED"] * 7


@pytest.mark.parametrize(
    ("launcher", "key"), [("submitit_slurm", "cpus_per_task"), ("ray", "ray.remote.num_cpus")]
)
def test_no_more_threads_than_a_job_has_processors(workspace: Path, launcher: str, key: str) -> None:
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    key = f"hydra.launcher.{key}"
    (workspace / "srun").touch(0o755)  # as on a login node of Slurm's; nothing is started
    options = [f"hydra/launcher={launcher}", f"{key}=2", "training.threads=3", "seed=0,1"]
    done = sweep(workspace, *options, PATH=f"{workspace}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: training.threads = 3 is more than the 2 processors that {key} reserves for a job:"
        f" set {key}=3\n"
    )


@pytest.mark.skipif(bool(find_spec("hydra_plugins.hydra_ray_launcher")), reason="they are installed")
@pytest.mark.parametrize("launcher", ["ray", "submitit_local", "submitit_slurm"])
def test_a_launcher_that_is_not_installed_is_told_in_one_line(workspace: Path, launcher: str) -> None:
    done = sweep(workspace, f"hydra/launcher={launcher}", "seed=0,1")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: hydra/launcher={launcher} is not installed: leave it out, or install it as docs/scaling.md"
        " says\n"
    )


def test_what_computes_is_of_the_same_version_in_both_locks() -> None:
    locked = [
        dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-scaling.lock")
    ]
    versions = yaml.safe_load((ROOT / "versions.yaml").read_text(encoding="utf-8"))
    for package in (*versions, "scipy", "threadpoolctl", "hydra-core", "omegaconf", "mlflow"):
        assert locked[0][package] == locked[1][package]
