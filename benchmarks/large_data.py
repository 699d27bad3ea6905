"""Memory and throughput of preprocess and train on large data: `python -m benchmarks.large_data`.

CSV files of 0.05 and 0.5 GB, then folders of PNG images of 0.05 and 0.5 GB, all made in a temporary folder.
Peak memory should not grow with the size. Anonymous memory is what a process asked for itself. Resident
memory has the mapped arrays as well, whose pages the system takes back as soon as they are wanted elsewhere.
Seconds are those of one processor core, whatever else runs meanwhile.
"""

from pipeline.support.program import program

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from PIL import Image
from rich.table import Table

from benchmarks.common import ROOT, console, machine, peak_memory, verdict
from pipeline.support.errors import UserError

NUMBERS = 18  # columns of numbers, with one of texts and the target
ROW_BYTES = 153  # of the CSV file, about
IMAGE_SIDE = 256  # pixels of noise, which hardly shrink
SIZES_MB = {"table": (50, 500), "images": (50, 500)}
LIMIT_MB = 600  # anonymous
GROWTH_MB = 60  # anonymous, from the smaller size to the larger: the targets and the parts of the rows
LEAST_MB_PER_S = 60  # of CSV, on one core
BLOCK_ROWS = 50_000


def main() -> None:
    """Measure and print the table."""
    if not Path("/proc/self/status").exists():
        raise UserError("this benchmark reads memory from /proc: run it on Linux")
    table = Table("data", "stage", "core seconds", "MB/s", "resident, MB", "anonymous, MB", "target")
    table.title = "Time and peak memory of the stages"
    with tempfile.TemporaryDirectory() as scratch:
        for kind, make in MAKERS.items():
            anonymous: dict[str, float] = {}
            for megabytes in SIZES_MB[kind]:
                folder = Path(scratch, f"{kind}-{megabytes}")
                folder.mkdir()
                with console.status(f"{kind}, {megabytes} MB"):
                    written = make(folder, megabytes)
                    measured = _run(folder, kind)
                for stage, (seconds, resident, own) in measured.items():
                    rate = written / 1e6 / seconds
                    targets = [verdict(own < LIMIT_MB, f"< {LIMIT_MB} MB")]
                    if stage in anonymous:
                        growth = own - anonymous[stage]
                        targets.append(verdict(growth <= GROWTH_MB, f"{growth:+.0f} ≤ {GROWTH_MB} MB"))
                        if (kind, stage) == ("table", "preprocess"):
                            targets.append(verdict(rate >= LEAST_MB_PER_S, f"≥ {LEAST_MB_PER_S} MB/s"))
                    anonymous[stage] = own
                    table.add_row(
                        f"{kind}, {written / 1e6:.0f} MB",
                        stage,
                        f"{seconds:.1f}",
                        f"{rate:.0f}",
                        f"{resident:.0f}",
                        f"{own:.0f}",
                        ", ".join(targets),
                    )
    console.print(machine())
    console.print(table)


def make_table(folder: Path, megabytes: int) -> int:
    """Write a table to `folder`, and return its size in bytes."""
    rng, rows = np.random.default_rng(0), megabytes * 1_000_000 // ROW_BYTES
    path = folder / "data.csv"
    writer = None
    for start in range(0, rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows - start)
        columns: dict[str, np.ndarray] = {
            f"x{column}": np.round(rng.normal(size=count) * 100, 3) for column in range(NUMBERS)
        }
        columns["city"] = rng.choice(["Paris", "Oslo", "Rome"], count)
        columns["y"] = np.where(columns["x0"] + columns["x1"] > 0, "yes", "no")
        block = pa.table(columns)
        writer = writer or pyarrow.csv.CSVWriter(path, block.schema)
        writer.write(block)
    if writer:
        writer.close()
    return path.stat().st_size


def make_images(folder: Path, megabytes: int) -> int:
    """Write images of noise to two classes in `folder`, and return their size in bytes."""
    rng, size, number = np.random.default_rng(0), 0, 0
    while size < megabytes * 1_000_000:
        path = folder / "photos" / ["dark", "light"][number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 128, (IMAGE_SIDE, IMAGE_SIDE), np.uint8) + np.uint8(number % 2 * 100)
        Image.fromarray(pixels).save(path, compress_level=1)
        size, number = size + path.stat().st_size, number + 1
    return size


MAKERS: dict[str, Callable[[Path, int], int]] = {"table": make_table, "images": make_images}


def _run(folder: Path, kind: str) -> dict[str, tuple[float, float, float]]:
    """Run the stages on the data in `folder`, and return seconds and the peaks of memory of each."""
    path = folder / ("data.csv" if kind == "table" else "photos")
    overrides = [f"dataset={kind}", f"dataset.path={path}", "training.epochs=1", "tracking.enabled=false"]
    overrides += ["dataset.target=y"] if kind == "table" else ["dataset.size=[32,32]"]
    composed = _start(folder, "pipeline.train", "--cfg", "job", "--resolve", *overrides)
    (folder / "params.yaml").write_text(composed.communicate()[0], encoding="utf-8")
    train = ("pipeline.train", *overrides, "hydra.run.dir=out", "hydra/job_logging=disabled")
    stages = {"download": ("pipeline.download",), "preprocess": ("pipeline.preprocess",), "train": train}
    return {stage: _measure(folder, command) for stage, command in stages.items()}


def _start(folder: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _measure(folder: Path, command: tuple[str, ...]) -> tuple[float, float, float]:
    """Return the processor seconds of `command`, and its peaks of resident and of anonymous memory in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = _start(folder, *command)
    resident, anonymous = peak_memory(process, " ".join(command))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, resident, anonymous


if __name__ == "__main__":
    with program(__doc__):
        main()
