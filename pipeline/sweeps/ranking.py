"""What a sweep found: its combinations of values ranked, as a table, as CSV and as a figure."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.config.overrides import REPEATS, last_part, short
from pipeline.figures import sweeps as sweep_figures
from pipeline.figures.style import save, style
from pipeline.figures.sweeps import in_order, summarise
from pipeline.nn.metrics import SHARES, formatted, in_words, metric_in
from pipeline.runs.history import objective
from pipeline.support.files import write_text
from pipeline.sweeps.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 30  # rows of the table in the terminal; the CSV file has all


class Ranking:
    """The combinations of the swept values, the lowest mean error first, and the jobs that failed.

    A seed or a fold that is swept beside other values is averaged over. Seeds or folds alone are not ranked,
    since the best of them is only a lucky one.

    In a search, those that were trained further come first, whatever their error.

    Args:
        outcomes: those of all jobs.
        swept: the swept keys.
        dataset: its title.
        rungs: after which epochs a search compares the jobs; empty for other sweeps.

    Attributes:
        keys: the swept keys, without the seed and the fold where others were swept too.
        over: the keys that are averaged over.
        only_repeats: whether nothing but the seed and the fold was swept.
        measure: what the jobs are ranked by, such as `validation_error`; `error` where they differ in that.
        jobs: a row for each job: its values of the swept keys as text, `error` or `failure`, and how it ended
            in words as its `description`.
        table: a row for each combination, then one for each job that failed; the columns are those of the
            CSV file. `spread` is the standard deviation of the error over the jobs of a combination. In a
            search, `rung` and `epochs` say how far it was trained.
    """

    def __init__(
        self, outcomes: Sequence[Outcome], swept: Sequence[str], dataset: str, rungs: Sequence[int] = ()
    ) -> None:
        self.outcomes = outcomes
        self.rungs = rungs if len(rungs) > 1 else ()  # or no job has stopped early
        repeated = [key for key in swept if key in REPEATS]
        self.over = repeated[1:] if repeated == list(swept) else repeated
        self.keys = [key for key in swept if key not in self.over]
        self.only_repeats = bool(swept) and repeated == list(swept)
        measures = {outcome.measure for outcome in outcomes if outcome.measure}
        self.measure = measures.pop() if len(measures) == 1 else "error"
        words = in_words(self.measure)
        self.title = f"{words[0].upper()}{words[1:]} on {dataset}"
        self.jobs = pd.DataFrame(
            [
                {
                    **{key: outcome.overrides.get(key, "") for key in swept},
                    "epochs": outcome.until or 0,
                    "error": math.nan if outcome.error is None else outcome.error,
                    "failure": outcome.failure,
                    "description": outcome.describe(swept),
                }
                for outcome in outcomes
            ],
            columns=[*swept, "epochs", "error", "failure", "description"],
        )
        self.good = self.jobs.dropna(subset="error")
        self.failed = self.jobs.dropna(subset="failure")
        self.table = self._table()

    def _table(self) -> pd.DataFrame:
        far = ["rung", "epochs"] if self.rungs else []
        columns = ["rank", *self.keys, *far, "jobs", self.measure, "spread", "status", "reason"]
        best = summarise(self.good, [*self.keys, "epochs"]).reset_index("epochs")
        best = best.sort_values(["epochs", "mean"], ascending=[False, True], kind="stable")
        best = best.rename(columns={"mean": self.measure})
        if self.only_repeats:
            best = best.loc[in_order(best.index)]
            if not self.over:
                best = best.drop(columns="jobs")
        else:
            best.insert(0, "rank", range(1, len(best) + 1))
        reasons = self.failed["failure"]
        for key in reversed(self.over):
            reasons = f"{last_part(key)} " + self.failed[key] + ": " + reasons
        failed = self.failed.assign(status="FAILED", reason=reasons)
        table = pd.concat([best.reset_index(), failed], ignore_index=True)
        if self.rungs:
            rungs = {
                epochs: f"{rung} of {len(self.rungs)}" for rung, epochs in enumerate(self.rungs, start=1)
            }
            table["rung"] = table["epochs"].map(rungs)
        return table.reindex(columns=columns).astype({"rank": "Int64", "jobs": "Int64"})

    def write(self, folder: Path) -> None:
        """Write `sweep.csv` and `sweep.png` to `folder`."""
        digits = "%.6f" if metric_in(self.measure) in SHARES else "%.6g"
        csv = self.table.to_csv(index=False, float_format=digits, lineterminator="\n")
        write_text(folder / "sweep.csv", csv)
        with style():
            save(self.figure(), folder / "sweep.png")

    def show(self) -> None:
        """Print the table without its empty columns, and below it the reasons, which are long."""
        best = len(self.table) - len(self.failed)
        shown = self.table.drop(index=range(TOP, best), columns="reason").dropna(axis=1, how="all")
        how = f" by {last_part(self.keys[0])}" if self.only_repeats else ", best first"
        table = Table(title=Text(f"{self.title}{how}"))
        for column in map(str, shown):
            if column in {*self.keys, "rung", "status"}:
                table.add_column(column)
            else:
                words = in_words(column) if column == self.measure else column
                table.add_column(words, justify="right", no_wrap=True)
        texts = shown.astype(object)
        for column in {self.measure, "spread"} & {*shown}:
            texts[column] = shown[column].map(self.formatted, na_action="ignore")
        for row in texts.fillna("").itertuples(index=False):
            table.add_row(*(Text(short(str(cell))) for cell in row), style="red" if "FAILED" in row else None)
        console = Console(width=None if Console().is_terminal else 200)
        console.print(table)
        if best > TOP:
            console.print(f"… and {best - TOP} more in the CSV file")
        if self.only_repeats and best:
            console.print(self.over_all())
        for description in self.failed["description"]:
            console.print(Text(description, style="red"), soft_wrap=True)

    def over_all(self) -> str:
        """Return the mean and the standard deviation over all seeds and folds, in words."""
        [(jobs, mean, spread)] = summarise(self.good, []).fillna(0).to_numpy()
        spread_over = f"{self.formatted(spread)} over {jobs:.0f} {in_plural([*self.keys, *self.over])}"
        return f"mean {self.formatted(mean)}, standard deviation {spread_over}"

    def formatted(self, value: float) -> str:
        """Return a `value` of the measure as people read it."""
        return formatted(self.measure, value)

    def is_grid(self) -> bool:
        """Return whether every combination of the values was tried; sweepers that search do not try all."""
        tried = self.jobs[self.keys].drop_duplicates()
        return len(tried) == math.prod(tried.nunique())

    def best(self) -> list[Outcome]:
        """Return the outcomes of the best combination: one for each seed or fold that ended well."""
        keys = [] if self.only_repeats else self.keys
        good = [outcome for outcome in self.outcomes if outcome.error is not None]
        return [
            outcome
            for outcome in good
            if all(outcome.overrides.get(key, "") == self.table.iloc[0][key] for key in keys)
        ]

    def curves(self) -> dict[str, list[tuple[list[float], list[float]]]]:
        """Return the epochs and the errors of each job of a search that did not fail.

        Returns:
            Them by how far their configuration has come: `stopped` before the last rung, `finished`, or
            `best`.
        """
        curves: dict[str, list[tuple[list[float], list[float]]]] = {"stopped": [], "finished": [], "best": []}
        best = self.best()
        for outcome in self.outcomes:
            if outcome.error is None:
                continue
            rows = outcome.history()
            how = "stopped" if outcome.until != self.rungs[-1] else "best" if outcome in best else "finished"
            curves[how].append(([row["epoch"] for row in rows], [objective(row)[1] for row in rows]))
        return curves

    def figure(self) -> "Figure":
        """Return the figure that fits what was swept."""
        title, measure = self.title, self.measure
        if self.only_repeats and not self.over and len(self.good):
            return sweep_figures.repeats(
                title, self.over_all().capitalize(), self.keys[0], measure, self.good
            )
        if len(self.keys) in {1, 2}:
            title += " by " + " and ".join(last_part(key).replace("_", " ") for key in self.keys)
        if self.good.empty:
            return sweep_figures.failed(title, "A sweep without a result")
        if self.rungs:
            after = ", ".join(map(str, self.rungs[:-1]))
            subtitle = f"{len(self.good)} jobs, compared after epochs {after}: those in grey stopped there"
            return sweep_figures.search(title, subtitle, measure, self.rungs, self.curves())
        jobs = self.table["jobs"].max()
        repeated = f"Mean ± standard deviation over {jobs} {in_plural(self.over)}"
        subtitle = repeated if self.over else "One job each"
        match self.keys:
            case []:
                return sweep_figures.line(title, subtitle, "", measure, self.good.assign(**{"": ""}))
            case [key]:
                return sweep_figures.line(title, subtitle, key, measure, self.good)
            case [rows, columns] if self.is_grid():
                subtitle += "; the lowest is framed"
                return sweep_figures.heat_map(title, subtitle, (rows, columns), measure, self.jobs)
            case _:
                return sweep_figures.parallel(title, subtitle, self.keys, measure, self.good)


def in_plural(keys: Sequence[str]) -> str:
    """Return the `keys` in words: seeds, or folds."""
    return " and ".join(f"{last_part(key)}s" for key in keys)


def best_metrics(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the metrics of the best job: what it is ranked by, and the rest of its result."""
    finished = [outcome for outcome in outcomes if outcome.error is not None]
    if not finished:
        return {}
    best = min(finished, key=lambda outcome: (-(outcome.until or 0), outcome.error))
    result = best.result()
    del result["epoch"]
    return {str(best.measure): best.error or 0.0, **result}
