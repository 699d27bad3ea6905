"""A sweep as one story: jobs that are done once, one parent run, one ranked table, one figure.

Hydra runs the jobs (`pipeline.sweeps.job`), with whatever sweeper and launcher are chosen. `Story` is its
callback, in the process that the user started: it checks all jobs before the first one starts, shows the
progress, and sums up. The two meet in the sweep's folder: `sweep.json` says what the jobs belong to, and
`jobs/` holds a file with the outcome of each.
"""

import hashlib
import importlib.util
import os
import shutil
import signal
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Any, NoReturn

from filelock import FileLock, Timeout
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from pipeline.config.messages import composing
from pipeline.config.overrides import label, split_override
from pipeline.config.reading import read_composed
from pipeline.config.schema import Config
from pipeline.data.dataset import digest
from pipeline.runs.fingerprint import digest_code, fingerprint
from pipeline.runs.history import HISTORY, read_history
from pipeline.runs.training_data import data_for, warn_of_data
from pipeline.support.cores import usable_cores
from pipeline.support.errors import UserError, one_line_errors, shorten
from pipeline.sweeps.job import (
    Outcome,
    digest_configs,
    outcome_paths,
    read_outcome,
    write_json,
)
from pipeline.sweeps.workers import (
    POLL_S,
    are_joblibs,
    check_workers,
    deliver_interrupts_to_workers,
    prepare_workers,
)
from pipeline.tracking import MirrorProcess
from pipeline.tracking.store import check_server

LATE = 60.0  # seconds that a file written on another machine may take to appear on this one, through NFS
MOST_JOBS = 10_000  # of a sweep
OF_THE_SWEEP = ("callbacks", "launcher", "sweep", "sweeper")  # parts of `hydra` that no job has of its own
RESERVES = ("cpus_per_task", "ray.remote.num_cpus")  # how launchers for clusters name the processors of a job


class Story(Callback):
    """Tells a sweep from its beginning to its end; Hydra calls it (`hydra.callbacks`)."""

    def __reduce__(self) -> tuple[Callable[[str], "Story"], tuple[str]]:
        return arrive, (str(Path.cwd()),)  # launchers send it to the jobs' processes

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check every job, open the parent run, and begin to show the progress."""
        with ending_the_program():
            with composing("sweep"):
                plan = make_plan(config)
            self.folder = Path(os.path.relpath(config.hydra.sweep.dir))
            self.lock = claim(self.folder)
            self.swept, self.title, self.jobs = plan.swept, plan.title, len(plan.jobs)
            for stale in self.folder.glob("*/[0-9]*.json"):  # of an earlier sweep into the same folder
                stale.unlink()
            write_json(
                self.folder / "sweep.json",
                {
                    "key": plan.key,
                    "name": plan.name,
                    "overrides": plan.overrides,
                    "config": asdict(plan.config),
                    "time_ms": time.time_ns() // 1_000_000,
                    "swept": plan.swept,
                    "data": plan.data,
                    "code": plan.code,
                    "jobs": plan.jobs,
                    "configs": digest_configs(config.hydra),
                },
            )
            self.joblib = are_joblibs(config.hydra.launcher)
            if self.joblib:
                prepare_workers(config.hydra.launcher)
        self.mirror = MirrorProcess(self.folder, plan.config, "sweep")
        self.mirror.__enter__()
        self.over = Event()
        self.progress = Thread(target=self.show_progress, args=(len(plan.jobs) or None,), daemon=True)
        self.progress.start()
        if self.joblib:
            deliver_interrupts_to_workers(False)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not in the background of a shell
            signal.signal(signal.SIGINT, interrupt)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Rank the jobs, write and show the table, draw the figure, and end the parent run."""
        with ending_the_program():
            if self.joblib:
                deliver_interrupts_to_workers(True)
            if signal.getsignal(signal.SIGINT) is interrupt:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            from pipeline.sweeps.ranking import Ranking  # and matplotlib, which takes a second

            self.await_outcomes()
            self.over.set()
            self.progress.join()
            outcomes = [read_outcome(path) for path in outcome_paths(self.folder)]
            ranking = Ranking(outcomes, self.swept, self.title)
            ranking.write(self.folder)
            ranking.show()
            trouble = describe_trouble(outcomes, self.jobs)
            self.mirror.finish(best_metrics(outcomes), trouble)
            self.mirror.__exit__(None, None, None)
            self.lock.release()
            print(f"table, figure and jobs: {self.folder}")
            if trouble:
                raise UserError(trouble)

    def await_outcomes(self) -> None:
        """Wait until the outcome of each job is here, as a shared folder may show it late."""
        deadline = time.monotonic() + LATE
        while len(outcome_paths(self.folder)) < self.jobs:
            if time.monotonic() > deadline:
                return
            time.sleep(POLL_S)

    def show_progress(self, jobs: int | None) -> None:
        """Say how each job ended and count them, until the sweep is over."""
        told: set[Path] = set()
        with tqdm(total=jobs, desc="sweep", unit="job", disable=None) as bar:  # none in a log
            while True:
                last_look = self.over.is_set()
                for path in outcome_paths(self.folder):
                    if path not in told:
                        bar.write(f"job {path.stem}: {describe(read_outcome(path), self.swept)}")
                        bar.update()
                        told.add(path)
                if last_look:
                    return
                self.over.wait(POLL_S)


def arrive(folder: str) -> Story:
    """Go to `folder`, in which the sweep was started, wherever the launcher started this job's process."""
    with suppress(FileNotFoundError):  # `run_job` tells of that
        os.chdir(folder)
    return Story()


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End the sweep at Ctrl-C."""
    raise KeyboardInterrupt("the same command again does what is left of the sweep")


@contextmanager
def ending_the_program() -> Iterator[None]:
    """End the program where the block fails: of an exception in a callback Hydra makes a warning."""
    try:
        with one_line_errors():
            yield
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def claim(folder: Path) -> FileLock:
    """Return a lock on the sweep's `folder`, held until it is released or the process is gone.

    Raises:
        UserError: if another sweep holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "sweep.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another sweep is at work in {folder}: wait for its end, or set hydra.sweep.dir to another one"
        ) from None
    return lock


@dataclass(frozen=True)
class Plan:
    """What is known of a sweep before its first job.

    Attributes:
        key: a hash of all its jobs' keys, or of the command where the sweeper chooses the jobs as it goes.
        name: the parent run's name.
        swept: the swept keys.
        overrides: what the user gave, by key.
        title: the title of its dataset, or datasets.
        config: the configuration of the first job, or what all have in common.
        data: the digest of the data.
        code: the digest of the code.
        jobs: the jobs' keys in the order of their numbers; none where the sweeper chooses them as it goes.
    """

    key: str
    name: str
    swept: list[str]
    overrides: dict[str, str]
    title: str
    config: Config
    data: str
    code: str
    jobs: list[str]


def make_plan(config: DictConfig) -> Plan:
    """Compose and check every job of the sweep that Hydra is about to start.

    Raises:
        UserError: if one of them cannot work, two are the same, or there is none; if the launcher is not
            installed, or the tracking server does not answer.
        HydraException: if an override is not one.
    """
    for plugin in ("launcher", "sweeper"):
        if not isinstance(OmegaConf.select(config, f"hydra.{plugin}._target_"), str):
            raise UserError(f"hydra.{plugin} = {config.hydra[plugin]}: should be as hydra/{plugin}=… sets it")
    check_launcher(config)
    loader = GlobalHydra.instance().config_loader()
    texts = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    texts += OmegaConf.to_container(config.hydra.overrides.task, resolve=False)  # type: ignore[arg-type]
    parsed = OverridesParser.create(loader).parse_overrides(texts)
    given = list({override.get_key_element(): override for override in parsed}.values())  # the last counts
    swept = [override.get_key_element().lstrip("+") for override in given if override.is_sweep_override()]
    overrides = dict(split_override(str(override.input_line)) for override in given)
    base = read_composed(config)
    if base.tracking.enabled:
        check_server("start the server, or set tracking.enabled=false")
    data, code = digest(), digest_code()
    jobs: dict[str, Config] = {}
    if config.hydra.sweeper._target_.endswith(".BasicSweeper"):
        jobs = check_jobs(config, given)
    trained_on = {}
    for job in jobs.values() or [base]:
        dataset = data_for(job)  # refuses what does not fit the job
        trained_on[dataset.title] = job, dataset
    for job, dataset in trained_on.values():
        warn_of_data(job, dataset)
    made_from = jobs or [data, code, *(f"{key}={value}" for key, value in overrides.items())]
    salt = "" if base.sweep.resume else uuid.uuid4().hex
    count = f", {len(jobs)} jobs" if len(jobs) > 1 else ""
    return Plan(
        key=hashlib.sha256("\n".join([*sorted(made_from), salt]).encode()).hexdigest(),
        name="sweep of " + (" × ".join(key.rpartition(".")[2] for key in swept) or "one job") + count,
        swept=swept,
        overrides=overrides,
        title=" and ".join(sorted(trained_on)),
        config=next(iter(jobs.values()), base),
        data=data,
        code=code,
        jobs=list(jobs),
    )


def check_jobs(config: DictConfig, given: list[Override]) -> dict[str, Config]:
    """Return key and configuration of every combination of the swept values."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    check_number(given)
    loader = GlobalHydra.instance().config_loader()
    jobs: dict[str, Config] = {}
    [combinations] = BasicSweeper.split_arguments(given, max_batch_size=None)
    for combination in tqdm(combinations, "check", leave=False, delay=1, unit="job", disable=None):
        composed = loader.load_sweep_config(config, list(combination))
        for part in OF_THE_SWEEP:
            if raw(composed.hydra[part]) != raw(config.hydra[part]):
                chosen = [
                    text for text, own in zip(combination, given, strict=True) if own.is_sweep_override()
                ]
                raise UserError(
                    f"{' '.join(chosen)} sets hydra.{part}, which all jobs of a sweep have in common: an"
                    " experiment that is a sweep of its own has to be started alone"
                )
        job = read_composed(composed)
        check_threads(config, job, len(combinations))
        key = fingerprint(job)
        if key in jobs:
            twin = " ".join(combinations[list(jobs).index(key)])
            raise UserError(f"{' '.join(combination)} is the same job as {twin}: leave one of them out")
        jobs[key] = job
    return jobs


def raw(values: DictConfig) -> Any:
    """Return `values` in plain containers, with interpolations as they are written."""
    return OmegaConf.to_container(values, resolve=False)


def check_number(given: list[Override]) -> None:
    """Raise `UserError` if a swept value is there twice, or there are no jobs or more than `MOST_JOBS`."""
    jobs, swept = 1, [override for override in given if override.is_sweep_override()]
    for override in swept:
        value = override.value()
        try:
            values = value.range() if isinstance(value, RangeSweep) else override.sweep_string_iterator()
            counts = Counter(islice(values, MOST_JOBS + 1))
        except (ArithmeticError, ValueError) as error:
            raise UserError(f"{override.input_line}: {shorten(str(error))}") from None
        if not counts:
            raise UserError(f"{override.input_line}: nothing to sweep, the list is empty")
        commonest, times = counts.most_common(1)[0]
        if times > 1:
            raise UserError(f"{override.input_line}: the value {commonest} is there {times} times")
        jobs *= len(counts)
    if jobs > MOST_JOBS:
        given_by = " ".join(str(override.input_line) for override in swept)
        raise UserError(f"{given_by}: a sweep may have {MOST_JOBS:,} jobs at most")


def check_threads(config: DictConfig, job: Config, jobs: int) -> None:
    """Raise `UserError` where the threads of the jobs would be more than the processors for them."""
    launcher = config.hydra.launcher
    reserved = {key: count for key in RESERVES if (count := OmegaConf.select(launcher, key))}
    for key, count in reserved.items():
        if job.training.threads > max(count, 1):
            raise UserError(
                f"training.threads = {job.training.threads} is more than the {count} processors that"
                f" hydra.launcher.{key} reserves for a job: set it to {job.training.threads}"
            )
    if reserved:
        return  # of what machine, only the cluster knows
    cores, wanted = usable_cores(), launcher.get("n_jobs", 1)
    processes = min(jobs, cores if wanted < 0 else wanted)
    if job.training.threads > 1 and processes * job.training.threads > cores:
        raise UserError(
            f"training.threads = {job.training.threads} in each of {processes} processes is more than the"
            f" {cores} cores there are: set hydra.launcher.n_jobs={max(cores // job.training.threads, 1)}"
        )


def check_launcher(config: DictConfig) -> None:
    """Raise `UserError` unless the chosen launcher is installed, and what it submits to."""
    module = config.hydra.launcher._target_.rpartition(".")[0]
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if not found:
        name = config.hydra.runtime.choices["hydra/launcher"]
        raise UserError(
            f"hydra/launcher={name} is not installed: leave it out, or install it as docs/scaling.md says"
        )
    if are_joblibs(config.hydra.launcher):
        check_workers(config.hydra.launcher)
    if config.hydra.launcher._target_.endswith(".SlurmLauncher") and not shutil.which("srun"):
        raise UserError(
            "hydra/launcher=submitit_slurm: there is no srun here; start the sweep on a login node of Slurm's"
        )


def describe(outcome: Outcome, keys: Sequence[str]) -> str:
    """Say in a line which job it was and how it ended."""
    if outcome.failure is not None:
        how = f"FAILED: {outcome.failure}"
    else:
        how = f"{str(outcome.measure).replace('_', ' ')} {outcome.error:.2%}"
        how += " (finished before, skipped)" if outcome.skipped else ""
    return f"{label(outcome.overrides, keys) or 'the only one'}: {how}"


def describe_trouble(outcomes: Sequence[Outcome], jobs: int) -> str | None:
    """Say how many of the sweep's `jobs` failed, and how many left no outcome; None where all ended well."""
    jobs = max(jobs, len(outcomes))  # 0 where the sweeper chose them as it went
    failed, lost = sum(outcome.failure is not None for outcome in outcomes), jobs - len(outcomes)
    troubles = []
    if failed:
        troubles.append(f"{failed} of {jobs} jobs failed: the table says why")
    if lost:
        troubles.append(f"{lost} of {jobs} jobs left no outcome: the same command again finishes them")
    return "; ".join(troubles) or None


def best_metrics(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the metrics of the best job: its objective and the last row of its history."""
    done = [outcome for outcome in outcomes if outcome.error is not None]
    if not done:
        return {}
    best = min(done, key=lambda outcome: outcome.error or 0.0)
    last = read_history(Path(best.folder) / HISTORY)[-1]
    del last["epoch"]
    return {str(best.measure): best.error or 0.0, **last}
