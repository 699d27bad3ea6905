"""The stage `page`: one HTML file to look at and to play with.

Under DVC it shows the network in `models/model.npz`. `python -m pipeline.page FOLDER` shows that of another
run, in that run's folder; of images, once `python -m pipeline.evaluate FOLDER` has measured it.
"""

from pipeline.support.program import program

from pipeline.page.assemble import assemble
from pipeline.page.contents import read_contents
from pipeline.runs.run import Run
from pipeline.runs.trained import TrainedRun, chosen_run, files_of
from pipeline.support.files import write_text
from pipeline.tracking import MirrorProcess


def main(run: Run) -> None:
    """Write the page of `run`."""
    trained = TrainedRun.open(run)
    with MirrorProcess(trained.run, trained.config, "page"):
        write_text(trained.run.page, assemble(read_contents(trained)))
        print(f"page: {trained.run.page}", flush=True)


if __name__ == "__main__":
    chosen = chosen_run(__doc__)
    with program(stage="page" if chosen.is_dvcs() else None), files_of(chosen):
        main(chosen)
