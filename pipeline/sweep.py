"""A sweep as one story: jobs that are done once, one parent run, one ranked table, one figure.

Hydra runs the jobs, with whatever sweeper and launcher are chosen. `Story` is its callback, in the process
that the user started: it checks all jobs before the first one starts, shows the progress, and sums up.
`run_job` is one job, wherever it runs. The two meet in the sweep's folder: `sweep.json` says what the jobs
belong to, and `jobs/` holds a file with the outcome of each.

A job's key is a hash of all that its model is made from: configuration, data and code. Its outcome is also
kept under that key in `multirun/finished`, where a later sweep finds it.
"""

import hashlib
import importlib.util
import json
import math
import multiprocessing
import os
import platform
import time
import traceback
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import yaml
from filelock import FileLock
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

import pipeline
from pipeline import NATIVE, PORTABLE
from pipeline.blas import computes_natively
from pipeline.config import Config, GeneratedDataset, parse
from pipeline.data.dataset import PROCESSED, digest, read_description
from pipeline.errors import UserError, in_need_of_room, one_line_errors
from pipeline.files import replacing, sha256
from pipeline.history import HISTORY, read_history
from pipeline.models import MODEL
from pipeline.tracking import Job, Tracker
from pipeline.tracking.store import address

FINISHED = Path("multirun/finished")
ROOT = Path(pipeline.__file__).parents[1]
POLL = 0.2  # seconds between two looks at what another process does
ANSWER = 5.0  # seconds that a tracking server has to answer before the first job
LATE = 60.0  # seconds that a file written on another machine may take to appear on this one, through NFS
GOES_ALONG = ("MLFLOW_TRACKING_URI", "PYTHONPATH", NATIVE, *PORTABLE)
RESERVES = ("cpus_per_task", "ray.remote.num_cpus")  # how launchers for clusters name the processors of a job


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        key: the job's key.
        token: the attempt's, which finds its run.
        overrides: what the job was started with.
        folder: where its files are.
        model: the SHA-256 of its model.
        measure: what the objective is: `validation_error`, or `test_error` or `train_error` where there is no
            such part. None if it failed.
        error: the objective. None if it failed.
        failure: why it failed.
        skipped: whether it was finished before this sweep.
    """

    key: str
    token: str
    overrides: dict[str, str]
    folder: str
    model: str | None = None
    measure: str | None = None
    error: float | None = None
    failure: str | None = None
    skipped: bool = False


# One job.


def run_job(values: DictConfig, train: Callable[[Config, Path, Job], float]) -> float:
    """Do the job that Hydra composed, unless it is finished, and keep its outcome.

    Nothing that happens to it is raised, since the other jobs are to go on.

    Returns:
        The objective, which a sweeper minimises; infinity if the job failed.

    Raises:
        SystemExit: if not even its outcome can be kept.
    """
    end_with_parent()
    try:
        with in_need_of_room("a job's outcome"):
            return do_job(values, train)
    except UserError as error:  # no exception, of which Hydra would print the first lines
        raise SystemExit(f"error: {error}") from None


def do_job(values: DictConfig, train: Callable[[Config, Path, Job], float]) -> float:
    """Do what `run_job` says."""
    hydra = HydraConfig.get()
    sweep_folder = Path(hydra.sweep.dir)
    try:
        sweep = json.loads((sweep_folder / "sweep.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{sweep_folder.absolute()} on {platform.node()} is not the sweep's folder: all machines that run"
            " jobs have to share it, under the same path"
        ) from None
    config = checked(values)
    key = job_key(config, sweep["data"], sweep["code"])
    overrides = dict(split_override(text) for text in hydra.overrides.task)
    folder = Path(os.path.relpath(hydra.runtime.output_dir))
    job = Job(key, sweep["key"], uuid.uuid4().hex, tell(overrides, sweep["swept"]), sweep["data"])
    FINISHED.mkdir(parents=True, exist_ok=True)
    with FileLock(FINISHED / f"{key}.lock"):  # another sweep may be at the same job
        before = find_finished(key) if config.sweep.resume else None
        if before:
            outcome = replace(before, overrides=overrides, skipped=True)
        else:
            outcome = attempt(Outcome(key, job.token, overrides, str(folder)), config, job, train)
        if outcome.failure is None and not before:
            write_json(FINISHED / f"{key}.json", asdict(outcome))
    write_json(sweep_folder / f"jobs/{hydra.job.num}.json", asdict(outcome))
    return math.inf if outcome.error is None else outcome.error


@cache
def end_with_parent() -> None:
    """Have this process, if it is one of joblib's, end as soon as the sweep that started it is gone.

    Left alone, it would do the jobs that it has been handed, and then wait for more: if the sweep was killed
    while it held a lock that they share, for ever.
    """
    parent = multiprocessing.parent_process()
    if parent:
        Thread(target=end_after, args=(parent.pid,), daemon=True).start()


def end_after(pid: int) -> None:
    """Wait until the parent, which had the id `pid`, is gone, and end this process."""
    while os.getppid() == pid:
        time.sleep(POLL)
    os._exit(1)


def attempt(
    outcome: Outcome, config: Config, job: Job, train: Callable[[Config, Path, Job], float]
) -> Outcome:
    """Train, and return `outcome` completed with what came of it."""
    folder = Path(outcome.folder)
    try:
        with in_need_of_room("a file of the job"):
            error = train(config, folder, job)
    except UserError as reason:
        return replace(outcome, failure=str(reason))
    except Exception as crash:
        traceback.print_exc()
        return replace(outcome, failure=f"{type(crash).__name__}: {crash}")
    measured = read_history(folder / HISTORY)[-1]
    part = next(part for part in ("validation", "test", "train") if f"{part}_accuracy" in measured)
    return replace(outcome, model=sha256(folder / MODEL), measure=f"{part}_error", error=round(error, 6))


def find_finished(key: str) -> Outcome | None:
    """Return the outcome of the job if it is finished and its model is still there."""
    try:
        outcome = read_outcome(FINISHED / f"{key}.json")
        whole = sha256(Path(outcome.folder) / MODEL) == outcome.model
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return outcome if whole else None


def job_key(config: Config, data: str, code: str) -> str:
    """Return a hash of all that a model is made from; where it is recorded is no part of that."""
    made_from = {**asdict(config), "tracking": None, "sweep": None, "data": data, "code": code}
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def digest_code() -> str:
    """Return a hash of NumPy's version and of the code that a model depends on: see `dvc.yaml`, train."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    sources = [ROOT / path for path in stages["train"]["deps"] if path.startswith("pipeline/")]
    files = [file for path in sources for file in ([path] if path.is_file() else path.rglob("*.py"))]
    files.append(ROOT / "pipeline/data/generated.py")
    hashes = [f"{file.relative_to(ROOT)} {sha256(file)}" for file in sorted(files)]
    return hashlib.sha256("\n".join([np.__version__, *hashes]).encode()).hexdigest()


def checked(values: DictConfig) -> Config:
    """Return the composed configuration, checked, without Hydra's own part."""
    plain = OmegaConf.to_container(
        OmegaConf.masked_copy(values, [str(key) for key in values if key != "hydra"]), resolve=True
    )
    return parse(plain, "configuration")  # type: ignore[arg-type]


def split_override(text: str) -> tuple[str, str]:
    """Return key and value of the override `text`."""
    key, _, value = text.partition("=")
    return key.lstrip("+~"), value


def tell(overrides: Mapping[str, str], keys: Sequence[str]) -> str:
    """Say the values of `keys` in few words: `learning_rate 0.1, seed 0`."""
    return ", ".join(f"{key.rpartition('.')[2]} {short(overrides[key])}" for key in keys if key in overrides)


def short(value: str) -> str:
    """Return `value`, rounded to four digits where it is a number with a long fraction."""
    try:
        return value if len(value) <= 6 or value.isdecimal() else f"{float(value):.4g}"
    except ValueError:
        return value


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2), encoding="utf-8")


def environment() -> dict[str, str]:
    """Return what a job's process needs of the environment that the sweep was started in."""
    return {name: os.environ[name] for name in GOES_ALONG if name in os.environ}


OmegaConf.register_new_resolver("environment", environment, replace=True)

# The files in conf/hydra/launcher complete the plugins' own configs of the same names, as is meant here.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")


# The sweep.


class Story(Callback):
    """Tells a sweep from its beginning to its end; Hydra calls it (`hydra.callbacks`)."""

    def __reduce__(self) -> tuple[Callable[[str], "Story"], tuple[str]]:
        return arrive, (str(Path.cwd()),)  # launchers send it to the jobs' processes

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check every job, open the parent run, and begin to show the progress."""
        with one_line_errors():
            try:
                plan = make_plan(config)
            except HydraException:
                return  # the sweeper is about to meet it as well, and ends the program
            self.folder = Path(os.path.relpath(config.hydra.sweep.dir))
            self.swept, self.title, self.jobs = plan.swept, plan.title, plan.jobs or 0
            for stale in (self.folder / "jobs").glob("*.json"):  # of an earlier sweep into the same folder
                stale.unlink()
            write_json(
                self.folder / "sweep.json",
                {"key": plan.key, "swept": plan.swept, "data": plan.data, "code": plan.code},
            )
        job = Job("", plan.key, uuid.uuid4().hex, plan.name, plan.data)
        self.tracker = Tracker(plan.config, self.folder, job)
        self.tracker.__enter__()
        self.tracker.start_sweep(plan.name, plan.overrides)
        self.over = Event()
        self.progress = Thread(target=self.show_progress, args=(plan.jobs,), daemon=True)
        self.progress.start()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Rank the jobs, write and show the table, draw the figure, and end the parent run."""
        from pipeline.ranking import Ranking

        self.await_outcomes()
        self.over.set()
        self.progress.join()
        outcomes = [read_outcome(path) for path in outcome_paths(self.folder)]
        try:
            ranking = Ranking(outcomes, self.swept, self.title)
            ranking.write(self.folder)
            ranking.show()
            self.tracker.finish_sweep(
                [
                    {
                        "key": outcome.key,
                        "token": outcome.token,
                        "folder": str(Path(outcome.folder).absolute()),
                        "name": tell(outcome.overrides, self.swept),
                        "failure": outcome.failure,
                    }
                    for outcome in outcomes
                ],
                best_metrics(outcomes),
            )
            self.tracker.__exit__(None, None, None)
        except UserError as error:
            raise SystemExit(f"error: {error}") from None
        except Exception:  # Hydra makes a warning of it and would end well
            traceback.print_exc()
            raise SystemExit(1) from None
        print(f"table, figure and jobs: {self.folder}")
        with one_line_errors():
            if failed := sum(outcome.failure is not None for outcome in outcomes):
                raise UserError(f"{failed} of {len(outcomes)} jobs failed: the table says why")

    def await_outcomes(self) -> None:
        """Wait until the outcome of each job is here, as a shared folder may show it late."""
        deadline = time.monotonic() + LATE
        while len(outcome_paths(self.folder)) < self.jobs:
            if time.monotonic() > deadline:
                return
            time.sleep(POLL)

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
                self.over.wait(POLL)


def arrive(folder: str) -> Story:
    """Go to `folder`, in which the sweep was started, wherever the launcher started this job's process."""
    with suppress(FileNotFoundError):  # `run_job` tells of that
        os.chdir(folder)
    return Story()


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
        jobs: how many there are, if that is known.
    """

    key: str
    name: str
    swept: list[str]
    overrides: dict[str, str]
    title: str
    config: Config
    data: str
    code: str
    jobs: int | None


def make_plan(config: DictConfig) -> Plan:
    """Compose and check every job of the sweep that Hydra is about to start.

    Raises:
        UserError: if one of them cannot work, two are the same, or there is none; if the launcher is not
            installed, or the tracking server does not answer.
        HydraException: if an override is not one.
    """
    check_launcher(config)
    loader = GlobalHydra.instance().config_loader()
    texts = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    given = OverridesParser.create(loader).parse_overrides([*texts, *config.hydra.overrides.task])
    swept = [override.get_key_element().lstrip("+") for override in given if override.is_sweep_override()]
    overrides = dict(split_override(str(override.input_line)) for override in given)
    base = checked(config)
    check_server(base)
    data, code = digest() if PROCESSED.exists() else "", digest_code()
    jobs: dict[str, Config] = {}
    if config.hydra.sweeper._target_.endswith(".BasicSweeper"):
        jobs = check_jobs(config, given, data, code)
    titles = {find_title(job) for job in jobs.values() or [base]}
    made_from = jobs or [data, code, *(f"{key}={value}" for key, value in overrides.items())]
    salt = "" if base.sweep.resume else uuid.uuid4().hex
    count = f", {len(jobs)} jobs" if jobs else ""
    return Plan(
        key=hashlib.sha256("\n".join([*sorted(made_from), salt]).encode()).hexdigest(),
        name="sweep of " + (" × ".join(key.rpartition(".")[2] for key in swept) or "one job") + count,
        swept=swept,
        overrides=overrides,
        title=" and ".join(sorted(titles)),
        config=next(iter(jobs.values()), base),
        data=data,
        code=code,
        jobs=len(jobs) or None,
    )


def check_jobs(config: DictConfig, given: list[Override], data: str, code: str) -> dict[str, Config]:
    """Return key and configuration of every combination of the swept values."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    loader = GlobalHydra.instance().config_loader()
    for override in given:
        if override.is_sweep_override():
            values = Counter(override.sweep_string_iterator())
            if not values:
                raise UserError(f"{override.input_line}: nothing to sweep, the list is empty")
            value, times = values.most_common(1)[0]
            if times > 1:
                raise UserError(f"{override.input_line}: the value {value} is there {times} times")
    jobs: dict[str, Config] = {}
    [combinations] = BasicSweeper.split_arguments(given, max_batch_size=None)
    for combination in combinations:
        job = checked(loader.load_sweep_config(config, list(combination)))
        check_arithmetic(config, job, len(combinations))
        key = job_key(job, data, code)
        if key in jobs:
            twin = " ".join(combinations[list(jobs).index(key)])
            raise UserError(f"{' '.join(combination)} is the same job as {twin}: leave one of them out")
        jobs[key] = job
    return jobs


def find_title(config: Config) -> str:
    """Return the title of the dataset that `config` trains on."""
    if isinstance(config.dataset, GeneratedDataset):
        return config.dataset.title
    return read_description(PROCESSED, "preprocess")["title"]


def check_arithmetic(config: DictConfig, job: Config, jobs: int) -> None:
    """Raise `UserError` where the jobs' kernels or threads cannot be had."""
    if job.training.blas == "native" and not computes_natively():
        raise UserError(f"training.blas = native: set {NATIVE}=1 in the environment of a sweep")
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
    cores, wanted = os.cpu_count() or 1, launcher.get("n_jobs", 1)
    processes = min(jobs, cores if wanted < 0 else wanted)
    if job.training.threads > 1 and processes * job.training.threads > cores:
        raise UserError(
            f"training.threads = {job.training.threads} in each of {processes} processes is more than the"
            f" {cores} cores there are: set hydra.launcher.n_jobs={max(cores // job.training.threads, 1)}"
        )


def check_launcher(config: DictConfig) -> None:
    """Raise `UserError` unless the chosen launcher is installed."""
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


def check_server(config: Config) -> None:
    """Raise `UserError` where a tracking server is asked for and nothing answers there."""
    import requests

    where = urlsplit(address())
    if not config.tracking.enabled or where.scheme not in {"http", "https"}:
        return
    deadline = time.monotonic() + ANSWER
    while True:
        try:
            requests.get(f"{address().rstrip('/')}/health", timeout=ANSWER)
            return
        except requests.RequestException:
            if time.monotonic() > deadline:
                break
            time.sleep(POLL)
    raise UserError(
        f"MLFLOW_TRACKING_URI: nothing answers at {where.scheme}://{where.hostname}:{where.port or ''}: start"
        " the server, or set tracking.enabled=false"
    )


def outcome_paths(folder: Path) -> list[Path]:
    """Return where the outcomes of the jobs that have ended are, for the sweep in `folder`, in order."""
    return sorted((folder / "jobs").glob("[0-9]*.json"), key=lambda path: int(path.stem))


def read_outcome(path: Path) -> Outcome:
    """Return the outcome that is kept at `path`."""
    return Outcome(**json.loads(path.read_text(encoding="utf-8")))


def describe(outcome: Outcome, keys: Sequence[str]) -> str:
    """Say in a line which job it was and how it ended."""
    if outcome.failure is not None:
        how = f"FAILED: {outcome.failure}"
    else:
        how = f"{str(outcome.measure).replace('_', ' ')} {outcome.error:.2%}"
        how += " (finished before, skipped)" if outcome.skipped else ""
    return f"{tell(outcome.overrides, keys) or 'the only one'}: {how}"


def best_metrics(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the metrics of the best job: its objective and the last row of its history."""
    done = [outcome for outcome in outcomes if outcome.error is not None]
    if not done:
        return {}
    best = min(done, key=lambda outcome: outcome.error or 0.0)
    last = read_history(Path(best.folder) / HISTORY)[-1]
    del last["epoch"]
    return {str(best.measure): best.error or 0.0, **last}
