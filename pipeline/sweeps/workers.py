"""The processes that joblib starts for the jobs of a sweep: what they may be asked for, and how they end."""

import multiprocessing
import os
import signal
import time
from dataclasses import asdict
from threading import Thread

from omegaconf import DictConfig, open_dict

from pipeline.support.cores import usable_cores
from pipeline.support.errors import UserError

SETTINGS = ("n_jobs", "verbose")  # joblib's settings that are of use to a sweep
WORKERS_A_CORE = 8  # at most; each takes some 150 MB
POLL_S = 0.2  # from one look at what another process does to the next


def are_joblibs(launcher: DictConfig) -> bool:
    """Return whether joblib is the `launcher` that the configuration `hydra.launcher` chooses."""
    return str(launcher._target_).endswith(".JoblibLauncher")


def check_workers(launcher: DictConfig) -> None:
    """Raise `UserError` if joblib's `launcher` cannot work as it is configured, or would end the sweep."""
    from hydra_plugins.hydra_joblib_launcher.config import JobLibLauncherConf

    for key, default in asdict(JobLibLauncherConf()).items():
        if key not in SETTINGS and launcher[key] != default:
            only = " and ".join(SETTINGS)
            raise UserError(
                f"hydra.launcher.{key} = {launcher[key]}: leave it out, a sweep takes only {only}"
            )
    most = WORKERS_A_CORE * usable_cores()
    if launcher.n_jobs == 0 or launcher.n_jobs > most:
        raise UserError(
            f"hydra.launcher.n_jobs = {launcher.n_jobs}: should be how many jobs run at once, at most {most}"
            f" ({WORKERS_A_CORE} a core), or -1 for a job a core"
        )


def prepare_workers(launcher: DictConfig) -> None:
    """Have joblib's workers call `end_with_parent` first, and those that clean up after them be silent.

    To be called before the workers are started.
    """
    with open_dict(launcher):
        launcher.initializer = {"_target_": "hydra.utils.get_method", "path": f"{__name__}.end_with_parent"}
    if os.name == "posix":
        start_resource_trackers()


def start_resource_trackers() -> None:
    """Start the two processes that remove what killed workers leave, with a standard error that is discarded.

    They would print a warning for each lock that they remove, or a traceback.
    """
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
    """Say whether Ctrl-C reaches the workers that this thread starts from now on.

    Where not, it still interrupts this program, which ends them, as long as another of its threads lets it
    through. A worker that was only starting would print a traceback.
    """
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_UNBLOCK if deliver else signal.SIG_BLOCK, {signal.SIGINT})


def end_with_parent() -> None:
    """Have this process end as soon as the one that started it is gone.

    A worker left alone would do the jobs that it has been handed and then wait for more: for ever, if the
    sweep was killed while it held a lock that its processes share.
    """
    Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    # Windows does not give the process another parent when the first has ended.
    while parent and (parent.is_alive() if os.name == "nt" else os.getppid() == parent.pid):
        time.sleep(POLL_S)
    os._exit(1)
