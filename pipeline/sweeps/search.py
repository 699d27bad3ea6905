"""What a search by successive halving tries, and when it compares: settings, rungs and brackets."""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise, product
from typing import Annotated, Any

from hydra.core.override_parser.types import Override
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.config.messages import describe
from pipeline.config.overrides import REPEATS
from pipeline.config.schema import Config, GeneratedDataset
from pipeline.support.bounds import STRICT, Count, Epochs, Flag, PositiveCount
from pipeline.support.errors import UserError
from pipeline.sweeps.proposals import propose

SWEEPER = "hydra_plugins.halving.HalvingSweeper"
MOST_JOBS = 10_000
MOST_KEPT = Fraction(9, 10)  # with more, there would be hundreds of rungs


def _share(text: str | float) -> str | float:
    try:
        share = Fraction(str(text))
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share <= MOST_KEPT:
        raise ValueError(f"should be a share above 0, at most {MOST_KEPT}, such as 1/3")
    return text


@dataclass(frozen=True, config=STRICT)
class Settings:
    """What `hydra.sweeper` says of a search; conf/hydra/sweeper/halving.yaml explains each key."""

    jobs: Annotated[PositiveCount, Field(le=MOST_JOBS)]
    keep: Annotated[str | float, AfterValidator(_share)]
    first: Epochs
    brackets: PositiveCount
    seed: Annotated[Count, Field(lt=2**32)]
    by_test: Flag

    def rungs(self, epochs: int) -> list[int]:
        """Return after which epochs jobs of so many `epochs` are compared: `first`, first/keep, …, all."""
        rungs, exact = [0], Fraction(self.first)
        while exact < epochs:
            if int(exact) > rungs[-1]:
                rungs.append(int(exact))
            exact /= Fraction(str(self.keep))
        return [*rungs[1:], epochs]


@dataclass(frozen=True)
class Search:
    """The jobs of a search and its rungs.

    A configuration is a combination of values. It has a job for each seed, or for each fold.

    Attributes:
        jobs: the overrides of each job, by its number.
        seeds: how many jobs a configuration has, with seeds or folds; their numbers follow each other.
        rungs: after which epochs configurations are compared; the last one is the end of their training.
        keep: the share of them that goes on after a rung, such as 1/3.
        brackets: how many configurations each bracket has, in the order of their numbers. The first bracket
            begins with the first rung, the second with the second, and so on.
    """

    jobs: list[list[str]]
    seeds: int
    rungs: list[int]
    keep: str
    brackets: list[int]

    def configurations(self, bracket: int) -> range:
        """Return the numbers of the configurations of a `bracket`."""
        first, last = [0, *accumulate(self.brackets)][bracket : bracket + 2]
        return range(first, last)

    def numbers(self, configuration: int) -> range:
        """Return the numbers of the jobs of a `configuration`."""
        return range(configuration * self.seeds, (configuration + 1) * self.seeds)

    def sizes(self, bracket: int) -> list[int]:
        """Return how many configurations of a `bracket` each rung trains, if none fails."""
        sizes = [0] * bracket + [self.brackets[bracket]]
        while len(sizes) < len(self.rungs):
            sizes.append(self.kept(sizes[-1]))
        return sizes

    def kept(self, configurations: int) -> int:
        """Return how many of so many `configurations` go on: at least one."""
        return max(1, int(configurations * Fraction(self.keep)))

    def epochs(self) -> int:
        """Return how many epochs the search trains, if no job fails."""
        trained = 0
        for bracket in range(len(self.brackets)):
            rungs = [0, *self.rungs[bracket:]]
            sizes = self.sizes(bracket)[bracket:]
            trained += sum(
                size * (end - start) for size, (start, end) in zip(sizes, pairwise(rungs), strict=True)
            )
        return trained * self.seeds


def make_search(sweeper: Mapping[str, Any], given: Sequence[Override], epochs: int) -> Search:
    """Return the search that the settings of the `sweeper` describe.

    Args:
        sweeper: the group `hydra.sweeper`, in plain containers.
        given: what the user overrides; what has several values is searched, except the seed and the fold.
        epochs: those of a whole training.

    Raises:
        UserError: if a setting is wrong, or there is nothing to search.
    """
    settings = read_settings(sweeper, epochs)
    searched = [one for one in given if one.is_sweep_override() and one.get_key_element() not in REPEATS]
    if not searched and settings.first < epochs:
        raise UserError(
            "there is nothing to search: give a key several values, as in"
            " 'optimizer.learning_rate=tag(log,interval(0.01,1.0))'"
        )
    rungs = settings.rungs(epochs)
    keep = Fraction(str(settings.keep))
    # Hyperband's: all brackets take about the same time.
    wanted = [
        math.ceil(settings.jobs * keep**bracket * Fraction(len(rungs), len(rungs) - bracket))
        for bracket in range(settings.brackets)
    ]
    proposed = propose(searched, sum(wanted), settings.seed) if searched else [[]]
    jobs = []
    for combination in proposed:
        texts = {text.partition("=")[0]: [text] for text in combination}
        values = [texts.get(one.get_key_element()) or given_values(one) for one in given]
        jobs += [list(job) for job in product(*values)]
    if len(jobs) > MOST_JOBS:
        raise UserError(
            f"hydra.sweeper.jobs makes {len(jobs):,} jobs: a sweep may have {MOST_JOBS:,} at most"
        )
    starts = [0, *accumulate(wanted)]
    brackets = [min(size, len(proposed) - start) for size, start in zip(wanted, starts, strict=False)]
    return Search(
        jobs,
        seeds=len(jobs) // len(proposed),
        rungs=rungs,
        keep=str(settings.keep),
        brackets=[size for size in brackets if size > 0],
    )


def read_settings(sweeper: Mapping[str, Any], epochs: int) -> Settings:
    """Return the settings of a search whose trainings have so many `epochs`.

    Raises:
        UserError: if one of them is wrong.
    """
    values = {key: value for key, value in sweeper.items() if key not in {"_target_", "params"}}
    try:
        settings = TypeAdapter(Settings).validate_python(values)
    except ValidationError as error:
        raise UserError(f"hydra.sweeper: {describe(error, values)}") from None
    if settings.first > epochs:
        raise UserError(
            f"hydra.sweeper.first = {settings.first}: should be less than training.epochs = {epochs}, or"
            " equal to it if no job is to stop early"
        )
    if settings.brackets > len(rungs := settings.rungs(epochs)):
        after = ", ".join(map(str, rungs))
        raise UserError(
            f"hydra.sweeper.brackets = {settings.brackets}: should be at most {len(rungs)}, as many as there"
            f" are rungs, which are after epochs {after}"
        )
    return settings


def given_values(override: Override) -> list[str]:
    """Return `key=value` for each of the values of `override`, as Hydra's own sweeper does.

    Raises:
        UserError: if it is an interval.
    """
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise UserError(
            f"{override.input_line}: should be a list or a range, each configuration has all of them"
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def check_comparable(jobs: Iterable[Config], rungs: Sequence[int], by_test: bool) -> None:
    """Raise `UserError` unless the `jobs` can be compared after the epochs of `rungs`, and without a bias."""
    for job in jobs:
        if job.training.epochs != rungs[-1]:
            raise UserError(
                f"training.epochs = {job.training.epochs} and {rungs[-1]}: should be the same for all jobs of"
                " a search, which compares them epoch by epoch"
            )
        every = job.training.measure_every
        if unmeasured := [rung for rung in rungs[:-1] if rung % every]:
            raise UserError(
                f"training.measure_every = {every}: nothing is measured after epoch {unmeasured[0]}, where"
                " the search compares jobs; training.measure_every=1 measures all"
            )
        validated = job.split.validation or job.split.folds
        if not (validated or by_test or isinstance(job.dataset, GeneratedDataset)):
            raise UserError(
                "the search would choose by the test images, which could then not say how good its choice is:"
                " hold back some training images with split.validation=10000, or set"
                " hydra.sweeper.by_test=true"
            )
