"""Seconds an epoch, ours beside other libraries': `python -m benchmarks.speed`.

Two networks are trained: the problem sheet's for MNIST (`benchmarks.sheet_network`) and a wide one
(`benchmarks.wide_network`). These modules say which libraries take part. The libraries take turns, round by
round and in alternating order, so that whatever else the machine does affects all of them alike. Each waits
in a process of its own while another runs.

PyTorch and JAX are no dependencies of this project. Where the environment variable BENCH_PYTHON names another
interpreter that has them, with what our own code imports, they run in that one:

    python3 -m venv other
    other/bin/pip install numpy threadpoolctl pydantic hydra-core requests tqdm torch jax
    BENCH_PYTHON=other/bin/python python -m benchmarks.speed
"""

from pipeline.support.program import program

import math
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import ModuleType

from rich.table import Table

from benchmarks import sheet_network, wide_network
from benchmarks.common import Worker, console, machine, progress, verdict
from benchmarks.contestants import Contestant
from pipeline.config.schema import Split, StrokesDataset
from pipeline.data.dataset import PROCESSED, Dataset, load_dataset
from pipeline.download import download
from pipeline.preprocess import preprocess
from pipeline.support.errors import UserError

ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


@dataclass(frozen=True)
class Race:
    """A network, and who trains it.

    Attributes:
        module: where the contestants are.
        rounds: how often each has its turn.
        environment: of their processes.
        threads: how many each may use, in words.
    """

    module: ModuleType
    rounds: int
    environment: dict[str, str]
    threads: str


RACES = (
    Race(sheet_network, rounds=10, environment=ONE_THREAD, threads="one thread"),
    Race(wide_network, rounds=8, environment={}, threads=f"{wide_network.THREADS} threads"),
)


class Runner(Worker):
    """A process that runs a contestant's epochs, one whenever it is asked."""

    def __init__(self, race: Race, name: str, folder: Path) -> None:
        contestant = race.module.CONTESTANTS[name]
        arguments = ["benchmarks.contestants", race.module.__name__, name, str(folder.resolve())]
        super().__init__(
            contestant.title,
            [interpreter(contestant.distribution), "-m", *arguments],
            {"JAX_PLATFORMS": "cpu"} | race.environment,
        )

    def epoch(self) -> float:
        """Run an epoch and return its seconds."""
        return float(self.ask(""))


def main() -> None:
    """Measure and print a table for each network."""
    console.print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        folder = PROCESSED if PROCESSED.exists() else _strokes(Path(scratch))
        dataset = load_dataset(folder)
        for race in RACES:
            console.print(run(race, dataset, folder))
    console.print("÷ ours: the row's seconds by those of ours with the same arithmetic, round by round.")


def run(race: Race, dataset: Dataset, folder: Path) -> Table:
    """Let the contestants of `race` take turns on the dataset in `folder`, and return the table."""
    contestants = race.module.CONTESTANTS
    with ExitStack() as workers_alive:
        workers = {}
        for name in progress(contestants, "starting"):
            worker = Runner(race, name, folder)
            workers_alive.enter_context(worker.process)
            if worker.version:
                workers[name] = worker
        there = list(workers)
        back = there[::-1]
        rounds = [
            {name: workers[name].epoch() for name in (back if i % 2 else there)}
            for i in progress(range(race.rounds), "measuring")
        ]
        versions = {name: worker.version for name, worker in workers.items()}
    title = (
        f"An epoch of {'-'.join(map(str, race.module.WIDTHS))} on {len(dataset.train.inputs):,} images"
        f" ({dataset.title}), mini-batches of {race.module.BATCH}, {race.threads}:"
        f"\nmedians of {race.rounds} rounds"
    )
    table = Table("", "seconds", "÷ ours", "target", title=title, title_justify="left")
    for exact, heading in ((False, "float32"), (True, "exact: the same bits everywhere")):
        table.add_section()
        table.add_row(f"[bold]{heading}[/]")
        for name, contestant in contestants.items():
            if contestant.exact == exact:
                table.add_row(*_row(name, contestant, rounds, versions))
    return table


def _row(
    name: str, contestant: Contestant, rounds: list[dict[str, float]], versions: dict[str, str]
) -> list[str]:
    if name not in versions:
        return [contestant.title, "not installed", "", "see BENCH_PYTHON in benchmarks/speed.py"]
    title = contestant.title
    if contestant.distribution != "numpy":
        title += f" ({contestant.distribution} {versions[name]})"
    ours = "ours_exact" if contestant.exact else "ours"
    ratio = median(seconds[name] / seconds[ours] for seconds in rounds)
    target = contestant.target
    if target:
        least, most = contestant.at_least or 0.0, contestant.at_most or math.inf
        target = verdict(least <= ratio <= most, target)
    return [title, f"{median(seconds[name] for seconds in rounds):.3f}", f"{ratio:.2f}", target]


def interpreter(distribution: str) -> str:
    """Return the Python that runs the library in the package `distribution`."""
    other = os.environ.get("BENCH_PYTHON")
    if other is None or distribution not in {"torch", "jax"}:
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
    with program(__doc__):
        main()
