"""Sixteen jobs with each launcher, side by side: `python -m benchmarks.sweep`.

Each sweep trains the default network with 16 seeds on the images in `data/processed`, tracked in an MLflow
store of its own that is there already, as it is in any folder but a new one. By default a job measures its
accuracies after every epoch, in a thread of its own: so even one job at a time keeps a second core busy now
and then, and jobs side by side gain less.
"""

from pipeline.support.program import program

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.table import Table

from benchmarks.common import ROOT, console, machine, untracked_environment, verdict
from pipeline.config.reading import read_params
from pipeline.data.dataset import PROCESSED
from pipeline.support.errors import UserError

JOBS = 16
LIMIT = 0.6  # of the default launcher's time, on two cores
MAKE_STORE = "from pipeline.tracking.store import open_store; open_store()"
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
        f"seed=range({JOBS})",
    ]
    epochs = config.training.epochs
    table = Table(title=f"Seconds of a sweep of {JOBS} jobs, {epochs} epochs each")
    for heading in ("measured", "launcher", "seconds", "ratio"):
        table.add_column(heading, justify="right")
    verdicts = []
    for measured, every in {"after every epoch": 1, "at the end": epochs}.items():
        seconds = {}
        for name, launcher in LAUNCHERS.items():
            with console.status(f"{JOBS} jobs, measured {measured}, {name} launcher"):
                seconds[name] = _sweep([*options, f"training.measure_every={every}", *launcher])
            ratio = seconds[name] / seconds["default"]
            table.add_row(measured, name, f"{seconds[name]:.1f}", f"{ratio:.2f}")
        target = f"measured {measured}, on two cores joblib takes at most {LIMIT} of the default's time"
        verdicts.append(verdict(ratio <= LIMIT, target))
    console.print(machine())
    console.print(table)
    console.print("\n".join(verdicts))


def _sweep(options: list[str]) -> float:
    """Run a sweep in a folder that holds only the data and an empty store, and return its seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "data").symlink_to(PROCESSED.parent.absolute())
        environment = {**untracked_environment(), "PYTHONPATH": str(ROOT)}
        subprocess.run(
            [sys.executable, "-c", MAKE_STORE], cwd=scratch, env=environment, check=True, capture_output=True
        )
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.train", "-m", *options],
            cwd=scratch,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise UserError(f"the sweep failed:\n{done.stdout}{done.stderr}")
        return time.perf_counter() - started


if __name__ == "__main__":
    with program(__doc__):
        main()
