"""Record a training that MLflow missed, from its files: `python -m pipeline.tracking outputs/…`."""

from pipeline.support.program import command, program

import argparse
from dataclasses import replace
from pathlib import Path

from pipeline.config.reading import read_params
from pipeline.config.schema import Tracking
from pipeline.data.dataset import PROCESSED, digest
from pipeline.runs.models import load_model, misfit, read_made_from
from pipeline.runs.run import Run
from pipeline.runs.training_data import data_for
from pipeline.support.errors import UserError
from pipeline.tracking import MirrorProcess

PATIENCE_S = 60.0  # here the user waits for nothing else
ADVICE = "prepare the data that it was trained on"


def main() -> None:
    """Make sure that the model in the folder named on the command line has a complete run.

    Raises:
        SystemExit: with status 1 if it could not be recorded.
        UserError: if there is no model, or `data/processed` does not hold what it was trained on.
    """
    parser = argparse.ArgumentParser(
        prog=command(), description="Record a training that MLflow missed, from its files."
    )
    parser.add_argument("folder", type=Path, help="Hydra's output folder of the training")
    run = Run(parser.parse_args().folder)
    if not run.model.exists():
        raise UserError(f"{run.folder} holds no {Run().model}: there is nothing to record")
    config = read_params(run.params)
    dataset = data_for(config)
    model = load_model(run.model)
    if reason := misfit(model, dataset):
        raise UserError(f"{run.model} {reason}: {ADVICE}")
    data = (read_made_from(run.model) or {}).get("dataset")
    if isinstance(data, str) and data != digest():  # of the same name, as what stands in for a dataset, too
        raise UserError(f"{run.model} was trained on other data than {PROCESSED} holds: {ADVICE}")
    config = replace(config, tracking=Tracking(enabled=True, patience=PATIENCE_S))
    with MirrorProcess(run, config, "record") as mirror:
        pass
    if mirror.failure:  # of which it has warned
        raise SystemExit(1)


if __name__ == "__main__":
    with program():
        main()
