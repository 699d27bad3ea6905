"""The stage `plot`: the figures that show what the network learned and where it errs.

Under DVC it draws the network in `models/model.npz`. `python -m pipeline.plot FOLDER` draws that of another
run, into that run's folder. `python -m pipeline.evaluate FOLDER` has to measure it before, unless it is of a
generated problem.
"""

from pipeline.support.program import program

from pipeline.config.schema import GeneratedDataset
from pipeline.runs.run import Run
from pipeline.runs.trained import TrainedRun, chosen_run, files_of
from pipeline.support.files import refuse_links, remove_leftovers, warn_of_others
from pipeline.tracking import MirrorProcess


def main(run: Run) -> None:
    """Draw the training of `run` and what was measured into the run's `reports/figures/`."""
    if run.is_dvcs():
        refuse_links(run.figures, "remove the link, and the stage makes the folder")
    trained = TrainedRun.open(run)
    run = trained.run
    remove_leftovers(run.figures)
    with MirrorProcess(run, trained.config, "plot"):
        # Imported here, since matplotlib takes a second, in which tracking is already under way.
        from pipeline.figures.problems import draw_problem
        from pipeline.figures.training import draw_training, remove_others

        draw = draw_problem if isinstance(trained.config.dataset, GeneratedDataset) else draw_training
        drawn = draw(trained)
        remove_others(run.figures, drawn)
        if run.is_dvcs():
            warn_of_others(run.figures, drawn)
        print(f"figures: {run.figures}", flush=True)


if __name__ == "__main__":
    chosen = chosen_run(__doc__)
    with program(stage="plot" if chosen.is_dvcs() else None), files_of(chosen):
        main(chosen)
