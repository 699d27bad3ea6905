"""One job of a sweep, in whatever process the launcher starts it.

A job's key is a hash of all that its model is made from: configuration, data and code. Its outcome goes into
`jobs/` in the sweep's folder, where the sweep (`pipeline.sweeps.callback`) reads it, and, if it ended well,
under its key into `multirun/finished`, where a later sweep finds it.
"""

import hashlib
import json
import math
import os
import platform
import traceback
import uuid
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from pipeline.config.overrides import label, split_override
from pipeline.config.reading import read_composed
from pipeline.config.schema import Config, GeneratedDataset
from pipeline.data.dataset import PROCESSED, digest
from pipeline.runs.fingerprint import digest_code, digest_values, fingerprint
from pipeline.runs.history import HISTORY, objective, read_history
from pipeline.runs.journal import Journal, read_journal
from pipeline.runs.models import MODEL
from pipeline.runs.run import Run
from pipeline.runs.training import journal_header
from pipeline.support.errors import UserError, add_report_note, in_need_of_room, tell
from pipeline.support.files import sha256, write_text

FINISHED = Path("multirun/finished")
GOES_ALONG = ("MLFLOW_TRACKING_URI", "PYTHONPATH")


@dataclass(frozen=True)
class Job:
    """One training of a sweep.

    Attributes:
        key: what it is made from, hashed: the same job in another sweep has the same key.
        sweep: the key of the sweep.
        token: identifies this attempt at it.
        name: what tells its run apart from the others; empty for the usual name.
    """

    key: str
    sweep: str
    token: str
    name: str


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


def run_job(values: DictConfig, train: Callable[[Config, Path, Job], None]) -> float:
    """Do the job that Hydra composed, unless it is finished, and keep its outcome.

    Nothing that happens to it is raised, since the other jobs are to go on.

    Returns:
        The objective, which a sweeper minimises; infinity if the job failed.

    Raises:
        SystemExit: if its configuration cannot be, which is known before where Hydra's own sweeper
            chooses it, or its outcome cannot be kept.
    """
    try:
        with in_need_of_room("a job's outcome"):
            return do_job(values, train)
    except UserError as error:  # no exception, of which Hydra would print the first lines
        raise SystemExit(f"error: {error}") from None
    except Exception as error:
        add_report_note(error)
        raise


def do_job(values: DictConfig, train: Callable[[Config, Path, Job], None]) -> float:
    """Do what `run_job` says."""
    hydra = HydraConfig.get()
    if not isinstance(hydra.callbacks, Mapping) or "sweep" not in hydra.callbacks:
        raise UserError(
            f"a sweep needs hydra.callbacks.sweep, as in conf/config.yaml; {hydra.job.config_name} has none:"
            " leave out --config-dir and --config-name, and give what differs as key=value"
        )
    sweep_folder = Path(hydra.sweep.dir)
    try:
        sweep = json.loads((sweep_folder / "sweep.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{sweep_folder.absolute()} on {platform.node()} is not the sweep's folder: all machines that run"
            " jobs have to share it, under the same path"
        ) from None
    config = read_composed(values)
    check_unchanged(config, sweep["data"], sweep["code"])
    key = fingerprint(config)
    if sweep["jobs"]:
        as_planned = sweep["jobs"][hydra.job.num] == key
    else:  # the sweeper chooses the jobs as it goes
        as_planned = sweep["configs"] == digest_configs(hydra)
    if not as_planned:
        raise changed("conf/")
    overrides = dict(split_override(text) for text in hydra.overrides.task)
    job = Job(key, sweep["key"], uuid.uuid4().hex, label(overrides, sweep["swept"]))
    FINISHED.mkdir(parents=True, exist_ok=True)
    with FileLock(FINISHED / f"{key}.lock"):  # another sweep may be at the same job
        before = find_finished(key) if config.sweep.resume else None
        if before:
            outcome = replace(before, overrides=overrides, skipped=True)
        else:
            folder = own_folder(Path(os.path.relpath(hydra.runtime.output_dir)), key)
            outcome = Outcome(key, job.token, overrides, str(folder))
        started = {
            "folder": outcome.folder,
            "key": key,
            "token": outcome.token,
            "overrides": overrides,
            "name": job.name,
            "skipped": outcome.skipped,
        }
        write_json(sweep_folder / f"jobs/{hydra.job.num}.json", started)
        if not before:
            outcome = attempt(outcome, config, job, train)
            check_unchanged(config, sweep["data"], sweep["code"])  # or it would be taken for what it is not
        if outcome.failure is None and not before:
            write_outcome(FINISHED / f"{key}.json", outcome)
    write_outcome(sweep_folder / f"outcomes/{hydra.job.num}.json", outcome)
    return math.inf if outcome.error is None else outcome.error


def check_unchanged(config: Config, data: str, code: str) -> None:
    """Raise `UserError` if the digests of data and code are not `data` and `code`, as the sweep began."""
    if digest_code() != code:
        raise changed("pipeline/ or NumPy")
    if not isinstance(config.dataset, GeneratedDataset) and digest() != data:
        raise changed(str(PROCESSED))


def changed(what: str) -> UserError:
    """Return what to raise where `what` has changed since the sweep began."""
    return UserError(
        f"{what} on {platform.node()} is not what the sweep began with: the same command again makes"
        " a sweep of what it is now"
    )


def attempt(
    outcome: Outcome, config: Config, job: Job, train: Callable[[Config, Path, Job], None]
) -> Outcome:
    """Train, and return `outcome` completed with what came of it."""
    folder = Path(outcome.folder)
    try:
        with in_need_of_room("a file of the job"):
            train(config, folder, job)
    except UserError as reason:
        note_failure(reason, Run(folder), config, job)
        return replace(outcome, failure=str(reason))
    except Exception as crash:
        traceback.print_exc()
        note_failure(crash, Run(folder), config, job)
        return replace(outcome, failure=f"{type(crash).__name__}: {crash}")
    part, error = objective(read_history(folder / HISTORY)[-1])
    return replace(outcome, model=sha256(folder / MODEL), measure=f"{part}_error", error=round(error, 6))


def note_failure(error: Exception, run: Run, config: Config, job: Job) -> None:
    """Have a journal in the job's folder that says that it failed, if it failed before it began to train."""
    record = read_journal(run)
    if record and record.header["token"] == job.token:
        return
    with suppress(type(error)), Journal(run, journal_header(config, asdict(job))):
        raise error


def find_finished(key: str) -> Outcome | None:
    """Return the outcome of the job if it is finished and its results are still there."""
    try:
        outcome = read_outcome(FINISHED / f"{key}.json")
        read_history(Path(outcome.folder) / HISTORY)
        whole = sha256(Path(outcome.folder) / MODEL) == outcome.model
    except FileNotFoundError:
        return None
    except UserError as damage:
        tell(f"warning: {damage}; the job is done again")
        return None
    return outcome if whole else None


def own_folder(folder: Path, key: str) -> Path:
    """Return `folder`, or one beside it where another job has been before: Hydra only numbers the jobs.

    Whose it is says a file in it, which the first job makes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    owner = folder / "job.key"
    try:
        with owner.open("x", encoding="utf-8") as file:
            file.write(key)
    except FileExistsError:
        if owner.read_text(encoding="utf-8") != key:
            return own_folder(folder.with_name(f"{folder.name}-{key[:8]}"), key)
    return folder


def digest_configs(hydra: DictConfig | HydraConf) -> str:
    """Return a hash of the files that `hydra`, a configuration's part of that name, was composed from."""
    folders = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    hashes = [sha256(file) for folder in folders for file in sorted(folder.rglob("*.yaml"))]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` to `path`, whole or not at all."""
    write_text(path, json.dumps(values, indent=2))


def environment() -> dict[str, str]:
    """Return what a job's process needs of the environment that the sweep was started in."""
    return {name: os.environ[name] for name in GOES_ALONG if name in os.environ}


def outcome_paths(folder: Path) -> list[Path]:
    """Return where the outcomes of the jobs that have ended are, for the sweep in `folder`, in order."""
    return sorted((folder / "outcomes").glob("[0-9]*.json"), key=lambda path: int(path.stem))


def write_outcome(path: Path, outcome: Outcome) -> None:
    """Write `outcome` to `path` with the digest of its content, for `read_outcome`."""
    values = asdict(outcome)
    write_json(path, {**values, "sha256": digest_values(values)})


def read_outcome(path: Path) -> Outcome:
    """Return the outcome that is kept at `path`.

    Raises:
        FileNotFoundError: if there is none.
        UserError: if its digest is not that of its content, or it is of a version that kept other things.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("sha256") != digest_values(values):
            raise ValueError
        return Outcome(**values)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise UserError(f"{path} is damaged: it is not what a job wrote") from None


OmegaConf.register_new_resolver("environment", environment, replace=True)

# The files in conf/hydra/launcher complete the plugins' own configs of the same names, as is meant here.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
