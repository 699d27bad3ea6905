"""The sweeps' recipes, shortened, and their figures."""

from pathlib import Path

import pytest
from matplotlib.image import imread

from pipeline.recipes import read_jobs
from tests.commands import run_module

FEW = {
    "depth_width": ["dataset.n=2", "model.hidden=[4],[4,4]", "seed=0", "training.epochs=50"],
    "dying_relu": ["dataset=xor", "model.hidden=[5]", "optimizer.learning_rate=0.1", "training.epochs=5"],
}


@pytest.mark.parametrize("recipe", list(FEW))
def test_a_sweep_is_trained_and_drawn_by_its_name(tmp_path: Path, recipe: str) -> None:
    trained = run_module(tmp_path, "pipeline.train", f"experiment={recipe}", *FEW[recipe])
    assert trained.returncode == 0, trained.stderr
    drawn = run_module(tmp_path, "pipeline.recipes", recipe)
    assert drawn.returncode == 0, drawn.stderr
    figure = tmp_path / drawn.stdout.strip()
    height, width, _ = imread(figure).shape
    assert height > 300 and width > 700

    options = [*FEW[recipe], "hydra.sweep.dir=again"]
    again = run_module(tmp_path, "pipeline.train", f"experiment={recipe}", *options)
    assert "(finished before, skipped)" in again.stdout
    drawn_again = run_module(tmp_path, "pipeline.recipes", recipe, "--folder", "again")
    assert (tmp_path / drawn_again.stdout.strip()).read_bytes() == figure.read_bytes()


def test_a_job_that_failed_is_not_drawn_from_what_another_left_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for change in ("model.activation=relu,elu", "optimizer.learning_rate=0.1,1e300"):
        sweep = ["experiment=dying_relu", *FEW["dying_relu"], "model.activation=relu", change]
        run_module(tmp_path, "pipeline.train", *sweep)
    [(config, _)] = read_jobs(Path("multirun/dying_relu"), "dying_relu")
    assert config.optimizer.learning_rate == 0.1
    assert config.model.activation == "relu"


def test_a_sweep_that_has_not_been_trained(tmp_path: Path) -> None:
    drawn = run_module(tmp_path, "pipeline.recipes", "depth_width")
    assert drawn.returncode == 1
    assert drawn.stderr.startswith(
        "error: no job in multirun/depth_width has ended well: `python -m pipeline.train"
    )
