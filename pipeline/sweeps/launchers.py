"""The launchers, which start a sweep's jobs: what they can be asked for, and the workers that joblib starts.

Hydra's own launcher does the jobs one after another in this process, joblib's in several processes on this
machine, and Ray's and submitit's on other machines.
"""

import importlib.util
import multiprocessing
import os
import shutil
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from threading import Thread

from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline.config.schema import Config
from pipeline.support.cores import usable_cores
from pipeline.support.errors import UserError

JOBLIB_SETTINGS = ("n_jobs", "verbose")  # those that are of use to a sweep
MOST_WORKERS_A_CORE = 8  # each takes some 150 MB
POLL_S = 0.2
RESERVED = ("cpus_per_task", "ray.remote.num_cpus")  # how launchers for clusters call a job's processors
LOST_PROCESS = (
    *("BrokenProcessPool", "UncompletedJobError"),  # joblib's, submitit's
    *("WorkerCrashedError", "NodeDiedError", "LocalRayletDiedError"),  # Ray's
)
"""What launchers raise when the process of a job is gone, by name, since most may not be installed."""


def check_launcher(hydra: DictConfig) -> None:
    """Raise `UserError` unless the launcher that `hydra` chooses is installed and can work as it is set."""
    name, launcher = hydra.runtime.choices["hydra/launcher"], hydra.launcher
    try:
        installed = importlib.util.find_spec(launcher._target_.rpartition(".")[0])
    except ModuleNotFoundError:
        installed = None
    if not installed:
        raise UserError(
            f"hydra/launcher={name} is not installed: leave it out, or install it as docs/scaling.md says"
        )
    if launcher._target_.endswith(".SlurmLauncher") and not shutil.which("srun"):
        raise UserError(
            f"hydra/launcher={name}: there is no srun here; start the sweep on a login node of Slurm's"
        )
    if is_joblib(launcher):
        check_joblib(launcher)


def is_joblib(launcher: DictConfig) -> bool:
    """Return whether the `launcher` is joblib's."""
    return str(launcher._target_).endswith(".JoblibLauncher")


def check_joblib(launcher: DictConfig) -> None:
    """Raise `UserError` if a setting of joblib's `launcher` would end the sweep, or change nothing."""
    from hydra_plugins.hydra_joblib_launcher.config import JobLibLauncherConf

    for key, default in asdict(JobLibLauncherConf()).items():
        if key not in JOBLIB_SETTINGS and launcher[key] != default:
            only = " and ".join(JOBLIB_SETTINGS)
            raise UserError(
                f"hydra.launcher.{key} = {launcher[key]}: leave it out, a sweep takes only {only}"
            )
    most = MOST_WORKERS_A_CORE * usable_cores()
    if launcher.n_jobs == 0 or launcher.n_jobs > most:
        raise UserError(
            f"hydra.launcher.n_jobs = {launcher.n_jobs}: should be how many jobs run at once, at most {most}"
            f" ({MOST_WORKERS_A_CORE} a core), or -1 for a job a core"
        )


def check_threads(launcher: DictConfig, job: Config, jobs: int) -> None:
    """Raise `UserError` if the threads of the `jobs` would be more than the processors for them."""
    threads = job.training.threads
    for key in RESERVED:
        if reserved := OmegaConf.select(launcher, key):
            if threads > max(reserved, 1):
                raise UserError(
                    f"training.threads = {threads} is more than the {reserved} processors that"
                    f" hydra.launcher.{key} reserves for a job: set hydra.launcher.{key}={threads}"
                )
            return  # how many processors the machines have, only the cluster knows
    cores, workers = usable_cores(), launcher.get("n_jobs", 1)
    processes = min(jobs, cores if workers < 0 else workers)
    if threads > 1 and processes * threads > cores:
        raise UserError(
            f"training.threads = {threads} in each of {processes} processes is more than the {cores} cores"
            f" there are: set hydra.launcher.n_jobs={max(cores // threads, 1)}"
        )


@contextmanager
def lost_processes() -> Iterator[None]:
    """Raise `UserError` if the block ends because a launcher has lost the process of a job."""
    try:
        yield
    except Exception as error:
        if not any(kind.__name__ in LOST_PROCESS for kind in type(error).__mro__):
            raise
        told = "the process of a job was killed; the same command again finishes the sweep"
        raise UserError(told) from None


def prepare_workers(launcher: DictConfig) -> None:
    """Have each worker of joblib's `launcher` call `end_with_parent` first.

    This also starts joblib's clean-up processes, before any worker, and discards their standard error. They
    would print a warning or a traceback for each lock that a killed worker leaves.
    """
    with open_dict(launcher):
        launcher.initializer = {"_target_": "hydra.utils.get_method", "path": f"{__name__}.end_with_parent"}
    if os.name != "posix":
        return
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as loky_tracker

    stderr, discarded = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(discarded, 2)
    try:
        resource_tracker.ensure_running()
        loky_tracker.ensure_running()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(discarded)


def deliver_interrupts_to_workers(deliver: bool) -> None:
    """Set whether Ctrl-C reaches the workers that this thread starts from now on.

    A worker that is interrupted while it starts prints a traceback. If `deliver` is false, Ctrl-C
    still reaches this program through another of its threads, and the program then ends its workers.
    """
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_UNBLOCK if deliver else signal.SIG_BLOCK, {signal.SIGINT})


def end_with_parent() -> None:
    """Have this worker end as soon as the process that started it is gone.

    Otherwise it would finish its jobs and wait for more: for ever, if the sweep was killed while it held a
    lock that its processes share.
    """

    def wait() -> None:
        parent = multiprocessing.parent_process()
        # Windows does not give a process another parent when the first has ended.
        while parent and (parent.is_alive() if os.name == "nt" else os.getppid() == parent.pid):
            time.sleep(POLL_S)
        os._exit(1)

    Thread(target=wait, daemon=True).start()


# The files in conf/hydra/launcher complete the plugins' own configs of the same names, as is meant here.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
