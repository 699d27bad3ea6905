"""What a sweep found, as a table, as CSV and as a figure: its jobs ranked, or what they give over seeds."""

import csv
import math
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.figures import network as figures
from pipeline.figures import sweeps as sweep_figures
from pipeline.figures.sweeps import in_order, mean, percent, spread
from pipeline.support.files import replacing
from pipeline.sweeps.job import Outcome, label, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEED = "seed"
TOP = 30  # rows of the table in the terminal; the CSV file has all


class Ranking:
    """The combinations of the swept values, best first, each over its seeds; what failed comes last.

    Seeds alone are not ranked, since the best of them is only a lucky one.

    Args:
        outcomes: those of all jobs.
        swept: the swept keys; where the sweeper chose the values itself, those that differ are found.
        dataset: its title.

    Attributes:
        swept: the swept keys.
        keys: the same without the seed where others were swept too.
        only_seeds: whether the seed alone was swept.
        measure: what the jobs are ranked by, `validation_error` as a rule; `error` where they differ in that.
        groups: for each combination that ended well, the errors of its jobs; the lowest mean first, or seeds
            in order.
        failed: the jobs that did not.
    """

    def __init__(self, outcomes: Sequence[Outcome], swept: Sequence[str], dataset: str) -> None:
        self.swept = list(swept) or differing(outcomes)
        self.over_seeds = SEED in self.swept and len(self.swept) > 1
        self.keys = [key for key in self.swept if not (self.over_seeds and key == SEED)]
        self.only_seeds = self.keys == [SEED]
        self.dataset = dataset
        measures = {outcome.measure for outcome in outcomes if outcome.measure}
        self.measure = measures.pop() if len(measures) == 1 else "error"
        groups: dict[tuple[str, ...], list[float]] = {}
        for outcome in outcomes:
            if outcome.error is not None:
                groups.setdefault(self.values(outcome), []).append(outcome.error)
        self.groups = dict(sorted(groups.items(), key=lambda group: mean(group[1])))
        if self.only_seeds:
            seeds = in_order(seed for [seed] in groups)
            self.groups = dict(sorted(groups.items(), key=lambda group: seeds.index(group[0][0])))
        self.failed = [outcome for outcome in outcomes if outcome.failure is not None]

    def values(self, outcome: Outcome) -> tuple[str, ...]:
        """Return the job's values of `keys`."""
        return tuple(outcome.overrides.get(key, "") for key in self.keys)

    def rows(self) -> list[list[str]]:
        """Return the table's rows, as `columns` names their fields."""
        rows = []
        for rank, (values, errors) in enumerate(self.groups.items(), start=1):
            place, jobs = ("", "") if self.only_seeds else (str(rank), str(len(errors)))
            deviation = f"{spread(errors):.6f}" if len(errors) > 1 else ""
            rows.append([place, *values, jobs, f"{mean(errors):.6f}", deviation, "", ""])
        for job in self.failed:
            seed = f"seed {job.overrides[SEED]}: " if self.over_seeds else ""
            rows.append(["", *self.values(job), "", "", "", "FAILED", f"{seed}{job.failure}"])
        return rows

    def columns(self) -> list[str]:
        """Return the names of the fields; the error's spread is its standard deviation over the jobs."""
        return ["rank", *self.keys, "jobs", self.measure, "spread", "status", "reason"]

    def write(self, folder: Path) -> None:
        """Write `sweep.csv` and `sweep.png` to `folder`."""
        with (
            replacing(folder / "sweep.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns())
            writer.writerows(self.rows())
        with figures.style():
            figures.save(self.figure(), folder / "sweep.png")

    def show(self) -> None:
        """Print the table, without empty columns, and below it the reasons, which are long."""
        rows = [row[:-1] for row in self.rows()]
        best, rest = rows[: len(self.groups)], rows[len(self.groups) :]
        table = Table(title=f"{self.title()} by seed" if self.only_seeds else f"{self.title()}, best first")
        filled = [any(cells) for cells in zip(*rows, strict=True)]
        for column in compress(self.columns()[:-1], filled):
            numeric = column in {"rank", "jobs", self.measure, "spread"}
            justify: Literal["right", "left"] = "right" if numeric else "left"
            table.add_column(spelled(column) if numeric else column, justify=justify, no_wrap=numeric)
        for row in [*best[:TOP], *rest]:
            rank, *values, jobs, error, deviation, status = row
            shown = [percent(float(share)) if share else "" for share in (error, deviation)]
            cells = compress([rank, *map(short, values), jobs, *shown, status], filled)
            table.add_row(*map(Text, cells), style="red" if status else None)
        console = Console(width=None if Console().is_terminal else 200)
        console.print(table)
        if len(best) > TOP:
            console.print(f"… and {len(best) - TOP} more in the CSV file")
        if self.only_seeds and best:
            console.print(self.over_all())
        for job in self.failed:
            reason = f"FAILED: {label(job.overrides, self.swept) or 'the only one'}: {job.failure}"
            console.print(Text(reason, style="red"), soft_wrap=True)

    def over_all(self) -> str:
        """Return the mean over all jobs and their spread, in words."""
        errors = [error for group in self.groups.values() for error in group]
        return (
            f"mean {percent(mean(errors))}, standard deviation {percent(spread(errors))}"
            f" over {len(errors)} seeds"
        )

    def is_grid(self) -> bool:
        """Return whether every combination of the values was tried; sweepers that search do not try all."""
        tried = {*self.groups, *(self.values(job) for job in self.failed)}
        return len(tried) == math.prod(len(set(column)) for column in zip(*tried, strict=True))

    def title(self) -> str:
        """Return what is ranked, in words."""
        return f"{spelled(self.measure).capitalize()} on {self.dataset}"

    def figure(self) -> "Figure":
        """Return the figure that fits what was swept."""
        title, error = self.title(), f"{spelled(self.measure)} (%)"
        if self.only_seeds and self.groups:
            errors = {seed: mean(group) for (seed,), group in self.groups.items()}
            return sweep_figures.seeds(title, self.over_all().capitalize(), error, errors)
        if len(self.keys) in {1, 2}:
            title += " by " + " and ".join(spelled(key.rpartition(".")[2]) for key in self.keys)
        groups = dict(sorted(self.groups.items()))
        if not groups:
            return sweep_figures.failed(title, "A sweep without a result")
        jobs = max(map(len, groups.values()))
        subtitle = f"Mean ± standard deviation over {jobs} seeds" if self.over_seeds else "One job each"
        match self.keys:
            case [] | [_]:
                line = {"".join(values): errors for values, errors in groups.items()}
                return sweep_figures.line(title, subtitle, "".join(self.keys), error, line)
            case [rows, columns] if self.is_grid():
                failed: dict[tuple[str, ...], list[float]] = {self.values(job): [] for job in self.failed}
                pairs = {(values[0], values[1]): errors for values, errors in {**failed, **groups}.items()}
                return sweep_figures.heat_map(
                    title, f"{subtitle}; the lowest is framed", (rows, columns), error, pairs
                )
            case _:
                return sweep_figures.parallel(title, subtitle, self.keys, error, groups)


def spelled(name: str) -> str:
    """Return `name` in words: `validation_error` is a validation error."""
    return name.replace("_", " ")


def differing(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the overridden keys whose values are not the same in all jobs."""
    keys = [key for outcome in outcomes[:1] for key in outcome.overrides]
    return [key for key in keys if len({outcome.overrides.get(key) for outcome in outcomes}) > 1]
