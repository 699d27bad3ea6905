import math
from typing import Any

import numpy as np
import pytest

from pipeline.nn.fast import predict
from pipeline.nn.initialisers import Normal
from pipeline.nn.mlp import MLP
from pipeline.nn.schedules import SCHEDULES, Schedule
from pipeline.nn.types import Array
from tests.nn.examples import batches_of, blobs, trainer_of

EVERY: dict[str, dict[str, Any]] = {
    "constant": {},
    "step": {"every": 4, "factor": 0.1},
    "exponential": {"factor": 0.9},
    "cosine": {"final": 0.0},
}


def rates(name: str, epochs: list[float], *, warmup: float = 0.0, **hyperparameters: Any) -> list[float]:
    """Return the learning rates after so many of 20 epochs, with 0.5 as the base."""
    schedule = SCHEDULES[name](warmup=warmup, **hyperparameters)
    made: list[float] = schedule.rates(0.5, np.array(epochs), 20).tolist()
    return made


def test_constant_stays() -> None:
    assert rates("constant", [0, 7.5, 20]) == [0.5, 0.5, 0.5]


def test_step_multiplies_every_so_many_epochs() -> None:
    expected = [0.5, 0.5, 0.05, 0.05, 0.5e-3]
    assert rates("step", [0, 2.99, 3, 5.9, 9], every=3, factor=0.1) == pytest.approx(expected, rel=1e-14)


@pytest.mark.filterwarnings("error")
def test_a_rate_that_grows_beyond_all_numbers_is_infinite() -> None:
    assert rates("exponential", [2], factor=1e300) == [math.inf]
    assert rates("step", [2], every=1, factor=1e300) == [math.inf]


def test_exponential_multiplies_over_each_epoch() -> None:
    expected = [0.5, 0.5 * 0.9**7, 0.5 * 0.9**7.5]
    assert rates("exponential", [0, 7, 7.5], factor=0.9) == pytest.approx(expected, rel=1e-14)


def test_cosine_goes_from_all_to_final() -> None:
    half_way = [0.5, 0.5 * (1 + math.cos(math.pi / 4)) / 2, 0.25, 0]
    assert rates("cosine", [0, 5, 10, 20], final=0.0) == pytest.approx(half_way, rel=1e-14)
    assert rates("cosine", [20], final=0.1) == pytest.approx([0.05])


@pytest.mark.parametrize("name", SCHEDULES)
def test_warmup_rises_linearly_then_the_schedule_starts_and_ends_with_training(name: str) -> None:
    warm = rates(name, [0, 1, 2, 3.9, 4, 4 + 5], warmup=4.0, **EVERY[name])
    assert warm[:5] == pytest.approx([0, 0.125, 0.25, 0.4875, 0.5], rel=1e-14)
    assert warm[5] == pytest.approx(
        {
            "constant": 0.5,
            "step": 0.05,
            "exponential": 0.5 * 0.9**5,
            "cosine": 0.25 * (1 + math.cos(math.pi * 5 / 16)),
        }[name]
    )


def test_each_step_trains_with_the_rate_at_its_middle() -> None:
    """With two epochs of two steps, rates 1 to 4 in turn: compare with steps made by hand."""
    part = blobs(16)
    mlp, reference = (
        MLP((6, 3), activation="relu", output="identity", bias=False, arithmetic="float32") for _ in "ab"
    )
    for network in (mlp, reference):
        Normal(scale=0.1).initialise(network, np.random.default_rng(1))
    asked: list[float] = []

    class Rising(Schedule):
        def scale(self, t: Array, length: float) -> Array:
            asked.extend(t)
            return 1 + 2 * t

    trainer_of(mlp, 0.001, schedule=Rising(name="rising")).fit(batches_of(part, mlp), 2)
    assert asked == [0.25, 0.75, 1.25, 1.75]
    rng = np.random.default_rng(7)
    by_hand = iter([1.5e-3, 2.5e-3, 3.5e-3, 4.5e-3])
    for _ in range(2):
        for rows in np.split(rng.permutation(16), 2):
            delta = (predict(reference, part.inputs[rows]) - part.targets[rows]) / 8
            reference.weights[0][:] -= next(by_hand) * delta.T @ part.inputs[rows]
    np.testing.assert_allclose(mlp.weights[0], reference.weights[0], rtol=1e-5)
