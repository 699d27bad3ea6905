"""Memory of the train stage on 60,000 and on 600,000 images: `python -m benchmarks.memory`.

The images are strokes, drawn and preprocessed by the pipeline's own stages in a temporary folder (2.7 GB).
Anonymous memory is what a process asked for itself. Resident memory has the images as well: they are mapped
from the files, and the system takes their pages back as soon as they are wanted elsewhere.
"""

from pipeline.support.program import program

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.table import Table

from benchmarks.common import ROOT, console, machine, peak_memory, verdict
from pipeline.config.schema import Split, StrokesDataset
from pipeline.download import download
from pipeline.preprocess import preprocess
from pipeline.support.errors import UserError

TEST = 10_000
SIZES = (60_000, 600_000)
EPOCHS = 2  # the second one trains while the first is measured
LIMIT = 600  # MB resident, for the smaller size
GROWTH = 10  # MB anonymous: the permutation of ten times as many images takes 4 MB


def main() -> None:
    """Measure and print the table."""
    if not Path("/proc/self/status").exists():
        raise UserError("this benchmark reads memory from /proc: run it on Linux")
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch, "raw")
        with console.status(f"drawing {max(SIZES) + TEST:,} images"):
            download(StrokesDataset(train=max(SIZES) + TEST), raw, mirror=None)
        peaks = []
        for train in SIZES:
            with console.status(f"training on {train:,} images"):
                folder = Path(scratch, str(train))
                preprocess(raw, folder / "data/processed", Split(train=train, test=TEST))
                peaks.append(_train(folder, train))

    small, large = (anonymous for _, anonymous in peaks)
    targets = [
        verdict(peaks[0][0] < LIMIT, f"resident < {LIMIT} MB"),
        verdict(large - small <= GROWTH, f"anonymous grows by {large - small:+.0f} MB, ≤ {GROWTH} MB"),
    ]
    table = Table("images", "resident, MB", "anonymous, MB", "target", title="Peak memory of the train stage")
    for train, (resident, anonymous), target in zip(SIZES, peaks, targets, strict=True):
        table.add_row(f"{train:,} + {TEST:,}", f"{resident:.0f}", f"{anonymous:.0f}", target)
    console.print(machine())
    console.print(table)


def _train(folder: Path, train: int) -> tuple[float, float]:
    """Run the train stage in `folder` and return its peaks of resident and of anonymous memory in MB."""
    overrides = ["dataset=strokes", f"split.train={train}", f"split.test={TEST}", f"training.epochs={EPOCHS}"]
    overrides += ["tracking.enabled=false", "hydra.run.dir=out", "hydra/job_logging=disabled"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.train", *overrides],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    return peak_memory(process, f"training on {train} images")


if __name__ == "__main__":
    with program(__doc__):
        main()
