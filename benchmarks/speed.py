"""Seconds an epoch, ours beside other libraries': `python -m benchmarks.speed`.

The work and who does it are in `benchmarks.contestants`. All take turns, round by round, so that whatever
else the machine does hits all alike; each waits in a process of its own while another runs.

PyTorch and JAX are no dependencies of this project. Where the environment variable BENCH_PYTHON names another
interpreter that has them (and NumPy), they run in that one:

    python3 -m venv other && other/bin/pip install numpy torch jax
    BENCH_PYTHON=other/bin/python python -m benchmarks.speed
"""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.common import ROOT, console, machine, progress, verdict
from benchmarks.contestants import BATCH, CONTESTANTS, Contestant
from pipeline import NATIVE, PORTABLE
from pipeline.config import Split, StrokesDataset
from pipeline.data.dataset import PROCESSED, load_dataset
from pipeline.download import download
from pipeline.errors import UserError, one_line_errors
from pipeline.preprocess import preprocess

ROUNDS = 9

ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}

# What a contestant's epoch may take, in epochs of ours with like kernels: least, most, the target in words.
TARGETS = {
    "products": (1 / 1.25, None, "ours ≤ 1.25 × the products"),
    "scikit_learn": (2.0, None, "ours ≥ 2 × faster"),
    "pytorch": (3.5, None, "ours ≥ 3.5 × faster"),
    "jax_step": (1.0, None, "ours faster"),
    "jax_scan": (1.0, None, "ours faster"),
    "products_portable": (1 / 1.25, None, "ours ≤ 1.25 × the products"),
    "measured_portable": (None, 1.25, "adds ≤ 25 %"),
}


class Worker:
    """A process that runs a contestant's epochs, one whenever it is asked.

    Attributes:
        version: of the contestant's library; empty where that is not installed.
    """

    def __init__(self, name: str, contestant: Contestant, folder: Path) -> None:
        self.title = contestant.title
        inherited = {key: value for key, value in os.environ.items() if key not in PORTABLE}
        self.process = subprocess.Popen(
            [_interpreter(contestant), "-m", "benchmarks.contestants", name, str(folder.resolve())],
            cwd=ROOT,
            env=inherited | ONE_THREAD | ({} if contestant.portable else {NATIVE: "1"}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = self._answer()

    def epoch(self) -> float:
        """Run an epoch and return its seconds."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise UserError(f"the benchmark of {self.title} failed: see above")
        return line.strip()


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as workers_alive:
        folder = PROCESSED if PROCESSED.exists() else _strokes(Path(scratch))
        dataset = load_dataset(folder)
        workers = {}
        for name, contestant in progress(CONTESTANTS.items(), "starting"):
            worker = Worker(name, contestant, folder)
            workers_alive.enter_context(worker.process)
            if worker.version:
                workers[name] = worker
        rounds = [
            {name: worker.epoch() for name, worker in workers.items()}
            for _ in progress(range(ROUNDS), "measuring")
        ]
        versions = {name: worker.version for name, worker in workers.items()}

    title = (
        f"An epoch of 784-100-10 on {len(dataset.train.images):,} images ({dataset.title}), mini-batches of"
        f" {BATCH}, one thread:\nmedians of {ROUNDS} rounds"
    )
    table = Table("", "seconds", "÷ ours", "target", title=title, title_justify="left")
    for portable, heading in (
        (False, "the machine's own kernels (native)"),
        (True, "the same bits everywhere (portable)"),
    ):
        table.add_section()
        table.add_row(f"[bold]{heading}[/]")
        for name, contestant in CONTESTANTS.items():
            if contestant.portable == portable:
                table.add_row(*_row(name, contestant, rounds, versions))
    console.print(machine())
    console.print(table)
    console.print("÷ ours: the row's seconds by those of ours with the same kernels, round by round.")


def _row(
    name: str, contestant: Contestant, rounds: list[dict[str, float]], versions: dict[str, str]
) -> list[str]:
    if name not in versions:
        return [contestant.title, "not installed", "", "see BENCH_PYTHON in benchmarks/speed.py"]
    title = contestant.title
    if contestant.distribution != "numpy":
        title += f" ({contestant.distribution} {versions[name]})"
    ours = "ours_portable" if contestant.portable else "ours"
    ratio = median(seconds[name] / seconds[ours] for seconds in rounds)
    target = ""
    if name in TARGETS:
        least, most, words = TARGETS[name]
        target = verdict((least is None or ratio >= least) and (most is None or ratio <= most), words)
    return [title, f"{median(seconds[name] for seconds in rounds):.3f}", f"{ratio:.2f}", target]


def _interpreter(contestant: Contestant) -> str:
    """Return the Python that runs `contestant`."""
    other = os.environ.get("BENCH_PYTHON")
    if other is None or contestant.distribution not in {"torch", "jax"}:
        return sys.executable
    if not Path(other).is_file():
        raise UserError(f"BENCH_PYTHON = {other} is no file: name a Python that has torch and jax")
    return str(Path(other).absolute())


def _strokes(folder: Path) -> Path:
    """Draw strokes images as many as MNIST's and return the folder to load them from."""
    download(StrokesDataset(), folder / "raw", mirror=None)
    preprocess(folder / "raw", folder / "processed", Split(train=40_000, test=20_000))
    return folder / "processed"


if __name__ == "__main__":
    with one_line_errors():
        main()
