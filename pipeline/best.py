"""Train the best of a sweep on training and validation part together, and measure it on the test part.

`python -m pipeline.best FOLDER` is a sweep of its own in `FOLDER/best`, over the seeds of the best
combination. So it resumes, takes a launcher and is tracked as any other. The test part has no share in the
choice: a sweep that was ranked by it is refused.
"""

from pipeline.support.program import command, program

import argparse
import runpy
import shlex
import sys
from pathlib import Path
from statistics import fmean

from pipeline.config.overrides import SEED
from pipeline.data.own import prepared_by
from pipeline.support.errors import UserError
from pipeline.sweeps.outcome import read_outcomes
from pipeline.sweeps.plan import OVER, PLAN, read_plan
from pipeline.sweeps.ranking import Ranking


def final_training(folder: Path, options: list[str]) -> list[str]:
    """Return the arguments of the training of the best combination of the sweep in `folder`.

    Args:
        folder: the sweep's.
        options: what the user adds.

    Raises:
        UserError: if there is no sweep, or it is not over, or has no result, or none on a validation part,
            or if that part has a place of its own in the prepared data.
    """
    if not (folder / PLAN).exists():
        raise UserError(f"{folder}: a sweep leaves {PLAN} in its folder, and there is none")
    plan = read_plan(folder)
    outcomes = list(read_outcomes(folder).values())
    ended = not plan["search"] and len(outcomes) >= max(len(plan["jobs"]), 1)  # of an earlier version
    if not (plan.get(OVER) or ended):
        raise UserError(f"the sweep in {folder} is not over: the command that started it finishes it")
    rungs = plan["search"]["rungs"] if plan["search"] else ()
    best = Ranking(outcomes, plan["swept"], plan["title"], rungs).best()
    if not best or (rungs and best[0].until != rungs[-1]):
        raise UserError(f"the sweep in {folder} has no job that ended well")
    if str(best[0].measure).startswith("train_"):
        raise UserError(f"{plan['title']} has no test part: there is nothing to measure the best network on")
    if not str(best[0].measure).startswith("validation_"):
        raise UserError(
            f"the sweep in {folder} was ranked by the {str(best[0].measure).replace('_', ' ')}, so the test"
            " part cannot say how good its choice is: start one with split.validation=10000"
        )
    config = best[0].run.config()
    split, apart = config.split, "split.validation" in prepared_by(config.dataset, config.split)
    without = {"split.folds": "null", "split.fold": "0"} if split.folds else {}
    if apart and not any(each.startswith("split.") for each in options):
        example = " ".join([*(["split.folds=null"] if split.folds else []), "split.train=0.85"])
        raise UserError(
            "the preprocess stage has set the validation part apart: prepare the data without it, and give"
            f" the same options here, for example {example} split.validation=0"
        )
    given = {**best[0].overrides, **without, "split.validation": "0"}
    epochs = config.training.epochs
    if SEED in given:
        given[SEED] = ",".join(dict.fromkeys(outcome.overrides[SEED] for outcome in best))
    if best[0].patience:  # there is nothing left to stop by
        epochs = round(fmean(outcome.result()["epoch"] for outcome in best))
        given |= {"training.epochs": f"{epochs}", "training.patience": "null"}
    target = (folder / "best").as_posix().replace("'", r"\'")
    sweep = ["-m", f"hydra.sweep.dir='{target}'", "hydra/sweeper=basic"]
    if rungs and "experiment" in given:  # it may have settings that only its own sweeper knows
        sweep[-1:] = ["hydra/sweeper=halving", f"hydra.sweeper.first={epochs}", "hydra.sweeper.by_test=true"]
        sweep.append("hydra.sweeper.brackets=1")
    return [*sweep, *map("=".join, given.items()), *options]


def main() -> None:
    """Find the best of the sweep that the command line names, show its command, and run that."""
    parser = argparse.ArgumentParser(
        prog=command(),
        description="Train the best of a sweep on all but the test images, and measure it on those.",
    )
    parser.add_argument("folder", type=Path, help="of the sweep, with sweep.csv")
    parser.add_argument("options", nargs="*", help="for the training: hydra/launcher=joblib, seed=0,1,2, …")
    arguments, flags = parser.parse_known_args()  # such as --dry, which are for the training
    train = final_training(arguments.folder, [*arguments.options, *flags])
    print("python -m pipeline.train", shlex.join(train), flush=True)
    sys.argv[1:] = train
    runpy.run_module("pipeline.train", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    with program():
        main()
