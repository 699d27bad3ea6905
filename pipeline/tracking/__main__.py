"""Record a training that MLflow missed, from its files: `python -m pipeline.tracking outputs/…`."""

import argparse
from pathlib import Path

from pipeline.config import read_params
from pipeline.errors import one_line_errors
from pipeline.tracking import Tracker


def main() -> None:
    """Make sure that the model in the folder named on the command line has a complete run."""
    parser = argparse.ArgumentParser(description="Record a training that MLflow missed, from its files.")
    parser.add_argument("folder", type=Path, help="Hydra's output folder of the training")
    folder = parser.parse_args().folder
    with Tracker(read_params(folder / ".hydra/config.yaml"), folder) as tracker:
        tracker.record()


if __name__ == "__main__":
    with one_line_errors():
        main()
