"""One job of a sweep, a training in a folder of its own, in whatever process the launcher starts it."""

import json
import math
import platform
import traceback
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from pipeline.config.overrides import label, split_override
from pipeline.config.reading import read_composed, write_params
from pipeline.config.schema import Config
from pipeline.data.dataset import PROCESSED
from pipeline.runs.checkpoints import remove_checkpoint
from pipeline.runs.fingerprint import digest_code, digest_data, fingerprint
from pipeline.runs.journal import STOPPED, Journal, Record, read_end, read_journal
from pipeline.runs.run import Run
from pipeline.runs.training import journal_header, train_run
from pipeline.support.errors import UserError, add_report_note, in_need_of_room, warn
from pipeline.support.files import relative
from pipeline.sweeps.outcome import read_outcome, write_json
from pipeline.sweeps.plan import UNTIL, read_plan

FINISHED = Path("multirun/finished")  # says in which folder each job that finished or stopped is, by its key


def run_job(values: DictConfig) -> float:
    """Do the job that Hydra composed, unless it is finished; in a search, up to the epoch of a rung.

    The error of a failed job is not raised, so that the other jobs go on.

    Returns:
        The objective, which a sweeper minimises; infinity if the job failed.

    Raises:
        SystemExit: if the job is not one of the sweep any more, or its outcome cannot be kept. Hydra would
            print the first lines of an exception.
    """
    try:
        with in_need_of_room("a job's outcome"):
            return do_job(values)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    except Exception as error:
        add_report_note(error)
        raise


def do_job(values: DictConfig) -> float:
    """Do what `run_job` says, but raise `UserError`."""
    hydra = HydraConfig.get()
    if not isinstance(hydra.callbacks, Mapping) or "sweep" not in hydra.callbacks:
        raise UserError(
            f"a sweep needs hydra.callbacks.sweep, as in conf/config.yaml; {hydra.job.config_name} has none:"
            " leave out --config-dir and --config-name, and give what differs as key=value"
        )
    plan = read_plan(Path(hydra.sweep.dir))
    config = read_composed(values)
    check_unchanged(config, plan)
    key, until = fingerprint(config), OmegaConf.select(hydra.sweeper, UNTIL)
    overrides = dict(split_override(text) for text in hydra.overrides.task)
    number = plan["jobs"].index(key) if plan["jobs"] else hydra.job.num
    started = Path(hydra.sweep.dir, f"jobs/{number}.json")
    note = FINISHED / f"{key}.json"
    FINISHED.mkdir(parents=True, exist_ok=True)
    with FileLock(FINISHED / f"{key}.lock"):  # another sweep may be at the same job
        earlier = find_earlier(key, plan["key"], config.sweep.resume)
        done = earlier is not None and reaches(earlier[1], until)
        if earlier and not done:
            note.unlink()  # so that it is not missed if this process is killed
        run = earlier[0] if earlier else claim_folder(relative(hydra.runtime.output_dir), key)
        token = earlier[1].header["token"] if earlier else uuid.uuid4().hex
        # The file is there if an earlier rung of this very search has had the job.
        skipped = done and (not started.exists() or json.loads(started.read_bytes())["skipped"])
        job = {"key": key, "sweep": plan["key"], "token": token, "name": label(overrides, plan["swept"])}
        where = {"folder": run.folder.as_posix(), "overrides": overrides, "skipped": skipped}
        write_json(started, {**job, **where, "until": until})
        if done:
            write_params(config, run.params)  # `evaluation` may be another one than before
        else:
            if not (earlier or config.sweep.resume):
                remove_checkpoint(key)  # of another sweep
            attempt(config, run, job, until)
            check_unchanged(config, plan)  # or what changed would be noted as finished
        outcome = read_outcome(started)
        assert outcome
        if outcome.error is None:
            return math.inf
        write_json(note, {"folder": run.folder.as_posix()})
        return outcome.error


def check_unchanged(config: Config, plan: Mapping[str, Any]) -> None:
    """Raise `UserError` if what the job of `config` is made from has changed since the sweep began."""
    if digest_code() != plan["code"]:
        what = "pipeline/ or NumPy"
    elif (data := digest_data(config)) and data != plan["data"]:
        what = str(PROCESSED)
    elif plan["jobs"] and fingerprint(config) not in plan["jobs"]:
        what = "conf/"
    else:
        return
    raise UserError(
        f"{what} on {platform.node()} has changed since the sweep began: the same command again starts"
        " a sweep with it as it is now"
    )


def find_earlier(key: str, sweep: str, resume: bool) -> tuple[Run, Record] | None:
    """Return run and journal of the job if it has finished, or stopped before its last epoch.

    Warn if its results are not there any more. If sweeps are not to `resume`, only what this `sweep` itself
    has done counts.
    """
    path = FINISHED / f"{key}.json"
    try:
        run = Run(Path(json.loads(path.read_text(encoding="utf-8"))["folder"]))
        record = read_journal(run)
        whole = record is not None and record.header["key"] == key and record.holds_for(run)
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError):
        whole = False
    if whole and record:
        return (run, record) if resume or record.header["sweep"] == sweep else None
    warn(f"warning: what the job of {path} wrote is gone or was changed: it is done again")
    return None


def reaches(record: Record, until: int | None) -> bool:
    """Return whether a training has gone as far as epoch `until`, or to its end."""
    return record.status != STOPPED or (until is not None and until <= (record.stopped or 0))


def claim_folder(folder: Path, key: str) -> Run:
    """Return a run in `folder`, or beside it if another job was there before, since Hydra only numbers jobs.

    The first job in a folder leaves its key there. The journal of an earlier attempt is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    owner = folder / "job.key"
    try:
        with owner.open("x", encoding="utf-8") as file:
            file.write(key)
    except FileExistsError:
        if owner.read_text(encoding="utf-8") != key:
            return claim_folder(folder.with_name(f"{folder.name}-{key[:8]}"), key)
    run = Run(folder)
    run.journal.unlink(missing_ok=True)
    return run


def attempt(config: Config, run: Run, job: Mapping[str, str], until: int | None) -> None:
    """Train up to epoch `until`, or to the end; have the run's journal say so if that fails."""
    try:
        with in_need_of_room("a file of the job"):
            write_params(config, run.params)
            train_run(config, run, job, until)
            if read_end(run).get("status") != STOPPED:
                remove_checkpoint(job["key"])
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()
        if not run.journal.exists():  # the training failed before it opened one, whose end says why
            with suppress(type(error)), Journal(run, journal_header(config, job)):
                raise
