"""What Hydra calls at the beginning and at the end of a sweep (`hydra.callbacks.sweep` in conf/config.yaml).

Nothing heavy is imported at the top, since Hydra imports this module for a single training as well.
"""

import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from pipeline.support.errors import UserError, one_line_errors
from pipeline.support.files import relative
from pipeline.sweeps.launchers import POLL_S, deliver_interrupts_to_workers, is_joblib, prepare_workers

if TYPE_CHECKING:
    from pipeline.sweeps.outcome import Outcome


class SweepReport(Callback):
    """Check all jobs of a sweep before the first one starts, show their progress, and rank them in the end.

    Its hooks are called in the process that the user started. Launchers send the callback to the
    processes of the jobs, where unpickling it changes to the folder in which the sweep was started.

    Args:
        dry: end the program before anything is trained or written, and print what would be trained.
    """

    def __init__(self, dry: bool = False) -> None:
        self.dry = dry

    def __reduce__(self) -> tuple[Callable[[str], "SweepReport"], tuple[str]]:
        """Pickle to a call of `enter_start_folder`, with the folder in which the sweep was started."""
        return enter_start_folder, (str(Path.cwd()),)

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Show a single training, if it is only to be shown. Called before its folder is made."""
        if self.dry:
            from pipeline.sweeps.dry import show_training

            with ending_the_program_on_errors():
                show_training(config)
            raise SystemExit

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check every job, write the plan to the sweep's folder, and begin to track and to show the progress.

        Called before any job starts, in the process that the user started.
        """
        from pipeline.config.messages import composing
        from pipeline.sweeps.outcome import started_jobs
        from pipeline.sweeps.plan import make_plan
        from pipeline.tracking import MirrorProcess

        with ending_the_program_on_errors():
            with composing("sweep"):
                self.plan = make_plan(config)
            if self.dry:
                from pipeline.sweeps.dry import show_sweep

                show_sweep(self.plan)
                raise SystemExit
            self.folder = relative(config.hydra.sweep.dir)
            self.resources = ExitStack()
            self.resources.enter_context(claim(self.folder))
            for stale in started_jobs(self.folder):  # of an earlier sweep in the same folder
                stale.unlink()
            self.plan.write(self.folder)
            if is_joblib(config.hydra.launcher):
                prepare_workers(config.hydra.launcher)
        self.mirror = self.resources.enter_context(MirrorProcess(self.folder, self.plan.config, "sweep"))
        self.over = Event()
        self.progress = Thread(target=self.show_progress, daemon=True)
        self.progress.start()
        if is_joblib(config.hydra.launcher):
            deliver_interrupts_to_workers(False)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not in the background of a shell
            signal.signal(signal.SIGINT, interrupt)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Rank the jobs, write and show the table, draw the figure, and finish the tracking.

        Called after all jobs have returned, in the process that the user started; not if the sweep broke off.
        """
        with ending_the_program_on_errors():
            deliver_interrupts_to_workers(True)
            if signal.getsignal(signal.SIGINT) is interrupt:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            from pipeline.sweeps.outcome import await_outcomes, write_json
            from pipeline.sweeps.plan import OVER, PLAN, read_plan
            from pipeline.sweeps.ranking import Ranking, best_metrics  # and with it matplotlib and pandas
            from pipeline.sweeps.sweep_page import write_page

            outcomes = list(await_outcomes(self.folder, range(len(self.plan.jobs))).values())
            if len(outcomes) >= len(self.plan.jobs):
                write_json(self.folder / PLAN, {**read_plan(self.folder), OVER: True})
            self.over.set()
            self.progress.join()
            rungs = self.plan.search.rungs if self.plan.search else []
            ranking = Ranking(outcomes, self.plan.swept, self.plan.title, rungs)
            ranking.write(self.folder)
            write_page(ranking, self.folder)
            ranking.show()
            trouble = describe_trouble(outcomes, len(self.plan.jobs))
            self.mirror.finish(best_metrics(outcomes), trouble)
            self.resources.close()
            print(f"table, figure, page and jobs: {self.folder}")
            if trouble:
                raise UserError(trouble)

    def show_progress(self) -> None:
        """Say how each job ended, and count the jobs or in a search the epochs, until the sweep is over."""
        from tqdm import tqdm

        from pipeline.sweeps.outcome import read_outcome, started_jobs

        told: dict[Path, int] = {}  # the time of the file of which it was told: each rung writes it anew
        done: dict[Path, int] = {}
        search = self.plan.search
        total, unit = (search.epochs(), "epoch") if search else (len(self.plan.jobs) or None, "job")
        with tqdm(total=total, desc="sweep", unit=unit, disable=None) as bar:  # none in a log
            while True:
                last_look = self.over.is_set()
                for path in started_jobs(self.folder):
                    changed_ns = path.stat().st_mtime_ns
                    if told.get(path) != changed_ns and (outcome := read_outcome(path)):
                        bar.write(f"job {path.stem}: {outcome.describe(self.plan.swept)}")
                        told[path], done[path] = changed_ns, outcome.until or 1
                        bar.update(sum(done.values()) - bar.n)
                if last_look:
                    return
                self.over.wait(POLL_S)


def enter_start_folder(folder: str) -> SweepReport:
    """Go to `folder`, where the sweep was started, and return its callback.

    Called in the process of a job, which a launcher may have started anywhere.
    """
    with suppress(FileNotFoundError):  # on another machine: the job itself says so
        os.chdir(folder)
    return SweepReport()


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End the sweep at Ctrl-C."""
    raise KeyboardInterrupt("the same command again does what is left of the sweep")


@contextmanager
def ending_the_program_on_errors() -> Iterator[None]:
    """End the program if the block raises: Hydra would only warn of an exception in a callback."""
    try:
        with one_line_errors():
            yield
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def claim(folder: Path) -> AbstractContextManager[Any]:
    """Lock the sweep's `folder` until the end of the context that is returned, or of this process.

    Raises:
        UserError: if another sweep holds it.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(folder / "sweep.lock").acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another sweep is at work in {folder}: wait for its end, or set hydra.sweep.dir to another one"
        ) from None


def describe_trouble(outcomes: Sequence["Outcome"], jobs: int) -> str | None:
    """Say how many of the `jobs` failed, and how many have no outcome; None if all finished."""
    jobs = max(jobs, len(outcomes))  # 0 if the sweeper chose them as it went
    numbers = {
        "failed: the table says why": sum(outcome.error is None for outcome in outcomes),
        "left no outcome: the same command again finishes them": jobs - len(outcomes),
    }
    return "; ".join(f"{n} of {jobs} jobs {what}" for what, n in numbers.items() if n) or None
