"""The sweeps' recipes, shortened, and their figures."""

from pathlib import Path

import pytest
from matplotlib.image import imread

from tests.conftest import run_module

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
    height, width, _ = imread(tmp_path / drawn.stdout.strip()).shape
    assert height > 300 and width > 700


def test_a_sweep_that_has_not_been_trained(tmp_path: Path) -> None:
    drawn = run_module(tmp_path, "pipeline.recipes", "depth_width")
    assert drawn.returncode == 1
    assert drawn.stderr.startswith(
        "error: no job below multirun/depth_width has ended: `python -m pipeline.train"
    )
