"""The plan of a sweep: all of its jobs, composed and checked before the first one starts."""

import json
import math
import platform
import time
import uuid
from dataclasses import asdict, dataclass
from itertools import compress, islice
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from pipeline.config.overrides import label, last_part, split_override
from pipeline.config.reading import read_composed
from pipeline.config.schema import Config
from pipeline.data.dataset import digest
from pipeline.runs.fingerprint import digest_code, digest_values, fingerprint
from pipeline.runs.training_data import data_for, warn_of_data
from pipeline.support.errors import UserError, shorten
from pipeline.sweeps.launchers import check_launcher, check_threads
from pipeline.sweeps.outcome import write_json
from pipeline.sweeps.search import MOST_JOBS, SWEEPER, Search, check_comparable, make_search
from pipeline.tracking.store import check_server

PLAN = "sweep.json"  # in the sweep's folder
OVER = "over"  # is there, and true, once all jobs have an outcome
UNTIL = "until"  # the key of hydra.sweeper by which a search says up to which epoch a job is to be trained
COMMON_PARTS = ("callbacks", "launcher", "sweep", "sweeper")  # of `hydra`, the same for all jobs of a sweep


@dataclass(frozen=True)
class Plan:
    """What is known of a sweep before its first job.

    Attributes:
        key: a hash of all its jobs' keys, or of the command where the sweeper chooses the jobs as it goes.
        name: the name of its run in MLflow.
        swept: the swept keys.
        overrides: what the user gave, by key.
        title: the title of its dataset, or datasets.
        config: the configuration of the first job, or what all jobs have in common.
        data: the digest of the data.
        code: the digest of the code.
        jobs: the jobs' keys in the order of their numbers; none where the sweeper chooses them as it goes.
        names: their values of the swept keys, in words.
        epochs: how many each trains.
        search: how a search by halving goes about them; None in other sweeps.
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
    names: list[str]
    epochs: list[int]
    search: Search | None = None

    def write(self, folder: Path) -> None:
        """Write the plan to the sweep's `folder`, with the time."""
        write_json(folder / PLAN, {**asdict(self), "time_ms": time.time_ns() // 1_000_000})


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
    check_launcher(config.hydra)
    given = given_overrides(config.hydra)
    overrides = dict(split_override(str(override.input_line)) for override in given)
    swept = [override.get_key_element().lstrip("+") for override in given if override.is_sweep_override()]
    base = read_composed(config)
    if base.tracking.enabled:
        check_server("start the server, or set tracking.enabled=false")
    combinations, search = plan_jobs(config.hydra.sweeper, given, base)
    jobs = compose_jobs(config, given, combinations)
    if search:
        check_comparable(jobs.values(), search.rungs, config.hydra.sweeper.by_test)
    data, code = digest(), digest_code()
    made_from: dict[str, Any] = {"jobs": sorted(jobs)} if jobs else {"all": [data, code, overrides]}
    if search:
        made_from |= {"rungs": search.rungs, "keep": search.keep, "brackets": search.brackets}
    salt = "" if base.sweep.resume else uuid.uuid4().hex
    count = f", {len(jobs)} jobs" if len(jobs) > 1 else ""
    return Plan(
        key=digest_values({**made_from, "salt": salt}),
        name="sweep of " + (" × ".join(map(last_part, swept)) or "one job") + count,
        swept=swept,
        overrides=overrides,
        title=" and ".join(check_data(list(jobs.values()) or [base])),
        config=next(iter(jobs.values()), base),
        data=data,
        code=code,
        jobs=list(jobs),
        names=[label(dict(map(split_override, combination)), swept) for combination in combinations],
        epochs=[job.training.epochs for job in jobs.values()],
        search=search,
    )


def plan_jobs(
    sweeper: DictConfig, given: list[Override], base: Config
) -> tuple[list[list[str]], Search | None]:
    """Return the overrides of each job, and the search that they are of, if it is one.

    A sweeper that chooses the jobs as it goes has none yet.
    """
    if sweeper._target_ == SWEEPER:
        for override in given:
            count_values(override)
        values: Any = OmegaConf.to_container(sweeper, resolve=True)
        search = make_search(values, given, base.training.epochs)
        return search.jobs, search
    if not sweeper._target_.endswith(".BasicSweeper"):
        return [], None
    check_number(given)
    [combinations] = BasicSweeper.split_arguments(given, max_batch_size=None)
    return combinations, None


def given_overrides(hydra: DictConfig) -> list[Override]:
    """Return what an experiment and the command line override, in this order; of one key, the last counts."""
    texts = [f"{key}={value}" for key, value in (hydra.sweeper.get("params") or {}).items()]
    texts += plain(hydra.overrides.task)
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    return list({override.get_key_element(): override for override in parser.parse_overrides(texts)}.values())


def compose_jobs(
    config: DictConfig, given: list[Override], combinations: list[list[str]]
) -> dict[str, Config]:
    """Return the key and the configuration of each combination of the values that are `given`, in order."""
    loader = GlobalHydra.instance().config_loader()
    jobs: dict[str, Config] = {}
    sweeping = [override.is_sweep_override() for override in given]
    names = [" ".join(compress(combination, sweeping)) for combination in combinations]
    checking = tqdm(combinations, "check", leave=False, delay=1, unit="job", disable=None)
    for name, combination in zip(names, checking, strict=True):
        composed = loader.load_sweep_config(config, list(combination))
        for part in COMMON_PARTS:
            if plain(composed.hydra[part]) != plain(config.hydra[part]):
                raise UserError(
                    f"{name} sets hydra.{part}, which all jobs of a sweep have in common: an"
                    " experiment that is a sweep of its own has to be started alone"
                )
        job = read_composed(composed)
        check_threads(config.hydra.launcher, job, len(combinations))
        key = fingerprint(job)
        if key in jobs:
            twin = names[list(jobs).index(key)]
            told = "is there twice" if name == twin else f"is the same job as {twin}"
            raise UserError(f"{name} {told}: leave one of them out")
        jobs[key] = job
    return jobs


def check_number(given: list[Override]) -> None:
    """Raise `UserError` if one of the swept keys has no values, or there are more than `MOST_JOBS` jobs."""
    jobs = math.prod(map(count_values, given))
    if jobs > MOST_JOBS:
        texts = " ".join(str(override.input_line) for override in given if override.is_sweep_override())
        raise UserError(f"{texts}: a sweep may have {MOST_JOBS:,} jobs at most")


def count_values(override: Override) -> int:
    """Return how many values `override` gives its key, up to one more than `MOST_JOBS`; 1 if it is no list.

    Raises:
        UserError: if there are none.
    """
    if not override.is_discrete_sweep():
        return 1
    value = override.value()
    try:
        values = value.range() if isinstance(value, RangeSweep) else override.sweep_string_iterator()
        count = sum(1 for _ in islice(values, MOST_JOBS + 1))
    except (ArithmeticError, ValueError) as error:
        raise UserError(f"{override.input_line}: {shorten(str(error))}") from None
    if not count:
        raise UserError(f"{override.input_line}: nothing to sweep, the list is empty")
    return count


def check_data(configs: list[Config]) -> list[str]:
    """Check that every one of `configs` fits its data, warn of what spoils these, and return their titles."""
    datasets = {}
    for config in configs:
        dataset = data_for(config)  # raises UserError
        datasets[dataset.title] = config, dataset
    for config, dataset in datasets.values():
        warn_of_data(config, dataset)
    return sorted(datasets)


def read_plan(folder: Path) -> dict[str, Any]:
    """Return what `Plan.write` wrote to the sweep's `folder`.

    Raises:
        UserError: if there is no such folder on this machine.
    """
    try:
        plan: dict[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{folder.absolute()} on {platform.node()} is not the sweep's folder: all machines that run"
            " jobs have to share it, under the same path"
        ) from None
    return plan


def plain(values: Any) -> Any:
    """Return `values` of OmegaConf in plain containers, with interpolations as they are written."""
    return OmegaConf.to_container(values, resolve=False)
