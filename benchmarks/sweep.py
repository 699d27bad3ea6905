"""Sixteen short jobs with each launcher, side by side: `python -m benchmarks.sweep`.

Each sweep trains 16 networks for a few epochs on the images in `data/processed`, tracked in an empty MLflow
store of its own.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.table import Table

from benchmarks.common import ROOT, console, machine, verdict
from pipeline.config import read_params
from pipeline.data.dataset import PROCESSED
from pipeline.errors import UserError, one_line_errors

JOBS = 16
EPOCHS = 5
LIMIT = 0.6  # of the default launcher's time, on two cores
LAUNCHERS = {"default": [], "joblib": ["hydra/launcher=joblib"]}


def main() -> None:
    """Measure and print the table."""
    config = read_params()
    if not PROCESSED.exists():
        raise UserError("data/processed is not there: `dvc repro preprocess` makes it")
    options = [
        f"dataset={config.dataset.name}",
        f"split.train={config.split.train}",
        f"split.test={config.split.test}",
        f"training.epochs={EPOCHS}",
        f"seed=range({JOBS})",
    ]
    seconds = {}
    with console.status("") as status:
        for name, launcher in LAUNCHERS.items():
            status.update(f"{JOBS} jobs, {name} launcher")
            seconds[name] = _sweep([*options, *launcher])
    table = Table(title=f"Seconds of a sweep of {JOBS} jobs, {EPOCHS} epochs each")
    for heading in ("launcher", "seconds", "ratio"):
        table.add_column(heading, justify="right")
    for name, took in seconds.items():
        table.add_row(name, f"{took:.1f}", f"{took / seconds['default']:.2f}")
    console.print(machine())
    console.print(table)
    met = seconds["joblib"] <= LIMIT * seconds["default"]
    console.print(verdict(met, f"on two cores joblib takes at most {LIMIT} of the default launcher's time"))


def _sweep(options: list[str]) -> float:
    """Run a sweep in an empty folder that shares only the data, and return its seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "data").symlink_to(PROCESSED.parent.absolute())
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.train", "-m", *options],
            cwd=scratch,
            env={**environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise UserError(f"the sweep failed:\n{done.stdout}{done.stderr}")
        return time.perf_counter() - started


if __name__ == "__main__":
    with one_line_errors():
        main()
