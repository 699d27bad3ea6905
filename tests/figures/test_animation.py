from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageSequence

from pipeline.data.generated import alternating, xor
from pipeline.figures import animation
from pipeline.figures.problems import DecisionPlane, LearnedFunction
from pipeline.figures.style import style
from pipeline.figures.weights import Weights
from pipeline.nn.mlp import MLP


def networks(inputs: int) -> Iterator[MLP]:
    """Yield networks of one output that differ."""
    for seed in (0, 1):
        network = MLP((inputs, 4, 1), activation="tanh", output="sigmoid", bias=True)
        network.parameters.vector[:] = np.random.default_rng(seed).normal(size=network.parameters.vector.size)
        yield network


def weights_that_change() -> Iterator[Figure]:
    weights = Weights.draw("Digits", "after 1", np.eye(9, 12), (4, 3))
    for epoch in (0, 1):
        yield weights.show(f"after {epoch}", np.eye(9, 12, epoch))


def function_that_changes() -> Iterator[Figure]:
    function = LearnedFunction.draw("Points", alternating(3))
    for epoch, network in enumerate(networks(1)):
        yield function.show(f"after {epoch}", network)


def plane_that_changes() -> Iterator[Figure]:
    plane = DecisionPlane.draw("XOR", xor())
    for epoch, network in enumerate(networks(2)):
        yield plane.show(f"after {epoch}", network)


@pytest.mark.parametrize("picture", [weights_that_change, function_that_changes, plane_that_changes])
def test_a_frame_is_what_the_whole_figure_would_be(picture: Callable[[], Iterator[Figure]]) -> None:
    with style():
        *_, figure = picture()
        file = BytesIO()
        figure.savefig(file, dpi=animation.DPI)
        first, last = animation.pictures(picture())
    np.testing.assert_array_equal(np.array(last), np.array(Image.open(file).convert("RGB")))
    assert first != last


def test_the_last_frame_stays_longer_and_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one.gif", tmp_path / "other.gif"
    with style():
        for path in (one, other):
            animation.save_gif(path, weights_that_change())
    assert one.read_bytes() == other.read_bytes()
    with Image.open(one) as gif:
        first, last = (frame.info["duration"] for frame in ImageSequence.Iterator(gif))
    assert last > first
    assert {path.name for path in tmp_path.iterdir()} == {"one.gif", "other.gif"}
