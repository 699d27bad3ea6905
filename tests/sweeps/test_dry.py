"""With `--dry`, the jobs and their epochs are shown, nothing is trained, and nothing is left behind."""

from pathlib import Path

import pytest

from tests.commands import TRACKED, files, run_module

HALVING = [
    *(
        "hydra/sweeper=halving",
        "hydra.sweeper.jobs=2",
        "hydra.sweeper.keep=1/2",
        "hydra.sweeper.brackets=3",
    ),
    *("split.validation=50", "training.epochs=4"),
]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], ["relu 100, sgd 0.1, seed 0, on Strokes: 2 epochs"]),
        (
            ["optimizer=sgd,adam", "training.epochs=3,4", "hydra/launcher=joblib"],
            [
                "sweep of epochs × optimizer, 4 jobs, on Strokes",
                "job 0: epochs 3, optimizer sgd: 3 of 3 epochs",
                "job 1: epochs 3, optimizer adam: 3 of 3 epochs",
                "job 2: epochs 4, optimizer sgd: 4 of 4 epochs",
                "job 3: epochs 4, optimizer adam: 4 of 4 epochs",
                "together 14 of 14 epochs",
            ],
        ),
        (
            [*HALVING, "seed=7,8", "model.hidden=[5],[6],[7],[8]"],
            [
                "sweep of seed × hidden, 8 jobs, on Strokes",
                *["job 0: seed 7, hidden [6]: 1 of 4 epochs", "job 1: seed 8, hidden [6]: 1 of 4 epochs"],
                *["job 2: seed 7, hidden [8]: 1 of 4 epochs", "job 3: seed 8, hidden [8]: 1 of 4 epochs"],
                *["job 4: seed 7, hidden [7]: 2 of 4 epochs", "job 5: seed 8, hidden [7]: 2 of 4 epochs"],
                *["job 6: seed 7, hidden [5]: 2 of 4 epochs", "job 7: seed 8, hidden [5]: 2 of 4 epochs"],
                *["up to epoch 1: 4 jobs", "up to epoch 2: 6 jobs", "up to epoch 4: 4 jobs"],
                "together 22 of 32 epochs",
            ],
        ),
    ],
    ids=["a single training", "a grid", "a search"],
)
def test_the_jobs_and_their_epochs_are_shown_and_nothing_is_left_behind(
    workspace: Path, options: list[str], told: list[str]
) -> None:
    before = files(workspace)
    done = run_module(workspace, "pipeline.train", *["-m"] * bool(options), "--dry", *TRACKED, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == told
    assert files(workspace) == before
    assert not (workspace / "multirun").exists() and not (workspace / "outputs").exists()


def test_what_cannot_work_is_told(workspace: Path) -> None:
    done = run_module(workspace, "pipeline.train", "--dry", *TRACKED, "training.batch_size=999")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: training.batch_size = 999: should be at most the number of training"
    )
