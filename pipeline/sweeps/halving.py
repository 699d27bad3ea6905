"""Successive halving: a search that trains many jobs for a short time, and only the best of them to the end.

A rung trains all jobs that are left up to its epoch. Then the best share of them goes on to the next rung,
from their checkpoints: K. Jamieson and A. Talwalkar, "Non-stochastic Best Arm Identification and
Hyperparameter Optimization", arXiv:1502.07943. Several brackets begin at different rungs: L. Li and others,
"Hyperband", arXiv:1603.06560.

What goes on is decided when all jobs of a rung have ended, and only from what they have written. So the
result depends neither on the launcher, nor on which job ends first, nor on interruptions.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from tqdm import tqdm

from pipeline.runs.checkpoints import remove_checkpoint
from pipeline.support.errors import UserError
from pipeline.sweeps.outcome import Outcome, await_outcomes
from pipeline.sweeps.plan import UNTIL, read_plan
from pipeline.sweeps.search import Search


def run_search(launcher: Launcher, config: DictConfig) -> None:
    """Do the jobs of the search that the plan in the sweep's folder describes, rung after rung.

    Raises:
        UserError: if a job has left no outcome.
    """
    folder = Path(config.hydra.sweep.dir)
    plan = read_plan(folder)
    search = Search(**plan["search"])
    alive = [list(search.configurations(bracket)) for bracket in range(len(search.brackets))]
    for rung, epoch in enumerate(search.rungs):
        started = alive[: rung + 1]
        numbers = [number for left in started for each in left for number in search.numbers(each)]
        outcomes = train_rung(launcher, search, numbers, epoch, folder)
        for bracket, left in enumerate(started):
            alive[bracket] = best = better(left, search, outcomes)
            for lost in set(left) - set(best):
                for number in search.numbers(lost):
                    remove_checkpoint(plan["jobs"][number])
        if epoch != search.rungs[-1]:
            going_on = sum(map(len, alive[: rung + 1]))
            tqdm.write(f"epoch {epoch}: {going_on} of {sum(map(len, started))} go on")


def train_rung(
    launcher: Launcher, search: Search, numbers: Sequence[int], epoch: int, folder: Path
) -> Mapping[int, Outcome]:
    """Train the jobs of these `numbers` up to `epoch`, and return their outcomes by number.

    Raises:
        UserError: if one has none.
    """
    # Hydra numbers the jobs of each rung from 0, so the folder has to be said.
    jobs = [
        [*search.jobs[number], f"hydra.sweep.subdir={number}", f"+hydra.sweeper.{UNTIL}={epoch}"]
        for number in numbers
    ]
    for done in launcher.launch(jobs, initial_job_idx=0) if jobs else ():
        _ = done.return_value  # raises what the job has raised
    outcomes = await_outcomes(folder, numbers, epoch)
    if lost := [number for number in numbers if number not in outcomes or outcomes[number].until != epoch]:
        raise UserError(
            f"{len(lost)} of {len(numbers)} jobs left no outcome: the same command again finishes them"
        )
    return outcomes


def better(left: Sequence[int], search: Search, outcomes: Mapping[int, Outcome]) -> list[int]:
    """Return those of the configurations that go on, the lowest mean error over the seeds first.

    Of equal ones the one that was proposed first counts as the better. One whose training failed, with any
    seed, does not go on.
    """
    errors = {}
    for configuration in left:
        of_seeds = [outcomes[number].error for number in search.numbers(configuration)]
        whole = [error for error in of_seeds if error is not None]
        if len(whole) == search.seeds:
            errors[configuration] = float(f"{fmean(whole):.6g}")  # as the table has it
    return sorted(errors, key=lambda configuration: (errors[configuration], configuration))[
        : search.kept(len(left))
    ]
