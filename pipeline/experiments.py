"""Draw what a sweep has found: `python -m pipeline.experiments depth_width`, once that has been trained."""

from pipeline.support.program import command, program

import argparse
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config.schema import AlternatingDataset, Config
from pipeline.runs.history import Row, read_history
from pipeline.support.errors import UserError
from pipeline.sweeps.outcome import read_outcomes, started_jobs
from pipeline.sweeps.plan import PLAN, read_plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Trained = tuple[Config, list[Row]]


def main() -> None:
    """Draw the sweep that the command line names."""
    parser = argparse.ArgumentParser(prog=command(), description="Draw what a sweep has found.")
    parser.add_argument("experiment", choices=list(DRAWN), help="the experiment of the sweep")
    parser.add_argument("--folder", type=Path, help="the sweep's folder; multirun/<experiment> without it")
    arguments = parser.parse_args()
    folder = arguments.folder or Path("multirun") / arguments.experiment
    jobs = read_jobs(folder, arguments.experiment)

    from pipeline.figures.style import save, style  # only now: matplotlib takes a second to import

    path = folder / f"{arguments.experiment}.png"
    with style():
        save(DRAWN[arguments.experiment](jobs), path)
    print(path)


def read_jobs(folder: Path, experiment: str) -> list[Trained]:
    """Return configuration and history of each job of the sweep in `folder`, without rows where it failed.

    Raises:
        UserError: if a job has not ended, or none has ended well.
    """
    outcomes = read_outcomes(folder)
    planned = max(
        len(read_plan(folder)["jobs"]) if (folder / PLAN).exists() else 0, len(started_jobs(folder))
    )
    if lost := planned - len(outcomes):
        raise UserError(
            f"{lost} of {planned} jobs in {folder} have no result: the same sweep, from the same folder,"
            " trains them"
        )
    jobs = [
        (outcome.run.config(), [] if outcome.error is None else read_history(outcome.run.history))
        for outcome in outcomes.values()
    ]
    if not any(history for _, history in jobs):
        raise UserError(
            f"no job in {folder} has ended well: `python -m pipeline.train experiment={experiment}` trains"
            " them"
        )
    return jobs


def depth_width(jobs: list[Trained]) -> "Figure":
    """Draw the least width with which a network of each depth fits 2ⁿ alternating points.

    Raises:
        UserError: if `jobs` are of another sweep.
    """
    from pipeline.figures.experiments import smallest_networks

    fits: dict[tuple[int, tuple[int, ...]], list[bool]] = defaultdict(list)
    for config, history in jobs:
        dataset, hidden = config.dataset, tuple(config.model.hidden)
        if not isinstance(dataset, AlternatingDataset) or len(set(hidden)) != 1:  # layers of equal width
            what = f"{dataset.title}, model.hidden = {config.model.hidden}"
            raise UserError(f"{what}: not a sweep of the experiment depth_width")
        fits[dataset.n, hidden].append(bool(history) and history[-1]["train_accuracy"] == 1)
    smallest: dict[tuple[int, int], int] = {}
    for (n, hidden), fitted in fits.items():
        if any(fitted):
            at = n, len(hidden)
            smallest[at] = min(smallest.get(at, hidden[0]), hidden[0])
    ns, depths = ({n for n, _ in fits}, {len(hidden) for _, hidden in fits})
    seeds = max(len(fitted) for fitted in fits.values())
    widest = {depth: max(h[0] for _, h in fits if len(h) == depth) for depth in depths}
    return smallest_networks(sorted(ns), widest, smallest, jobs[0][0].model.activation, seeds)


def dying_relu(jobs: list[Trained]) -> "Figure":
    """Draw dead units and test accuracy after the last epoch by learning rate, a line an activation.

    Raises:
        UserError: if `jobs` are of another sweep.
    """
    from pipeline.figures.experiments import dying_units

    lines: dict[str, dict[float, tuple[float, float]]] = defaultdict(dict)
    for config, history in jobs:
        activation, rate = config.model.activation, config.optimizer.learning_rate
        if rate in lines[activation]:
            raise UserError(
                f"two jobs of {activation} at the rate {rate:g}: not a sweep of the experiment dying_relu"
            )
        if len(config.model.hidden) != 1:
            raise UserError(f"model.hidden = {config.model.hidden}: not a sweep of the experiment dying_relu")
        last = history[-1] if history else {"dead_1": math.nan, "train_accuracy": math.nan}
        lines[activation][rate] = last["dead_1"], last.get("test_accuracy", last["train_accuracy"])
    return dying_units(lines, jobs[0][0].dataset.title, jobs[0][0].training.epochs)


DRAWN: dict[str, Callable[[list[Trained]], "Figure"]] = {"depth_width": depth_width, "dying_relu": dying_relu}


if __name__ == "__main__":
    with program():
        main()
