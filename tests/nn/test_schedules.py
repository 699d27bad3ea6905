import math

import numpy as np
import pytest

from pipeline.nn.initialisers import initialise
from pipeline.nn.losses import LOSSES
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.schedules import Schedule, schedule
from pipeline.nn.training import train
from tests.nn.examples import blobs


def rate(name: str, **hyperparameters: float) -> Schedule:
    made = schedule(0.5, 20, name, **{"warmup": 0.0, **hyperparameters})
    assert made
    return made


def test_step_multiplies_every_so_many_epochs() -> None:
    step = rate("step", every=3, factor=0.1)
    assert [step(t) for t in (0, 2.99, 3, 5.9)] == pytest.approx([0.5, 0.5, 0.05, 0.05])
    assert step(9) == pytest.approx(0.5e-3)


def test_a_rate_that_grows_beyond_all_numbers_is_infinite() -> None:
    assert rate("exponential", factor=1e300)(2) == math.inf
    assert rate("step", every=1, factor=1e300)(2) == math.inf


def test_exponential_multiplies_over_each_epoch() -> None:
    exponential = rate("exponential", factor=0.9)
    assert exponential(0) == 0.5
    assert exponential(7) == pytest.approx(0.5 * 0.9**7)
    assert exponential(7.5) / exponential(7) == pytest.approx(math.sqrt(0.9))


def test_cosine_goes_from_all_to_final() -> None:
    assert rate("cosine", final=0.0)(0) == 0.5
    assert rate("cosine", final=0.0)(10) == pytest.approx(0.25)
    assert rate("cosine", final=0.0)(20) == pytest.approx(0)
    assert rate("cosine", final=0.1)(20) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("name", "hyperparameters"),
    [
        ("constant", {}),
        ("step", {"every": 4, "factor": 0.1}),
        ("exponential", {"factor": 0.9}),
        ("cosine", {"final": 0.0}),
    ],
)
def test_warmup_rises_linearly_then_the_schedule_starts_and_ends_with_training(
    name: str, hyperparameters: dict[str, float]
) -> None:
    warm = rate(name, warmup=4.0, **hyperparameters)
    assert [warm(t) for t in (0, 1, 2, 3.9)] == pytest.approx([0, 0.125, 0.25, 0.4875])
    assert warm(4) == 0.5
    assert (
        warm(4 + 5)
        == {
            "constant": 0.5,
            "step": pytest.approx(0.05),
            "exponential": pytest.approx(0.5 * 0.9**5),
            "cosine": pytest.approx(0.25 * (1 + math.cos(math.pi * 5 / 16))),
        }[name]
    )


def test_a_constant_rate_is_no_schedule() -> None:
    assert schedule(0.5, 20, "constant", warmup=0.0) is None


def test_each_step_trains_with_the_rate_at_its_middle() -> None:
    """With two epochs of two steps, rates 1 to 4 in turn: compare with steps made by hand."""
    part = blobs(16)
    mlp, reference = (MLP((6, 3), activation="relu", output="identity", bias=False) for _ in "ab")
    for network in (mlp, reference):
        initialise(network, np.random.default_rng(1), "normal", scale=0.1)
    asked = []

    def rising(t: float) -> float:
        asked.append(t)
        return 0.001 * (1 + 2 * t)

    optimizer = OPTIMIZERS["sgd"](mlp.parameters, learning_rate=9.0)
    rng = np.random.default_rng(7)
    loss = LOSSES["canonical"]
    list(train(mlp, loss, optimizer, part, part, epochs=2, batch_size=8, rng=rng, schedule=rising))
    assert asked == [0.25, 0.75, 1.25, 1.75]
    rng = np.random.default_rng(7)
    rates = iter([1.5e-3, 2.5e-3, 3.5e-3, 4.5e-3])
    for _ in range(2):
        for rows in np.split(rng.permutation(16), 2):
            delta = (reference.predict(part.images[rows]) - part.labels[rows]) / 8
            reference.weights[0][:] -= next(rates) * delta.T @ part.images[rows]
    np.testing.assert_allclose(mlp.weights[0], reference.weights[0], rtol=1e-5)
