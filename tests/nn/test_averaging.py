import numpy as np
import pytest

from pipeline.nn import averaging
from pipeline.nn.averaging import MovingAverage
from pipeline.nn.initialisers import initialise
from pipeline.nn.mlp import MLP
from pipeline.nn.training import Measurement, Snapshots
from tests.nn.examples import blobs, run


def network() -> MLP:
    mlp = MLP((6, 3), activation="relu", output="softmax", bias=True, dtype="float64")
    initialise(mlp, np.random.default_rng(1), "he")
    return mlp


@pytest.mark.parametrize("block", [4, 1 << 17])
def test_it_is_the_weighted_mean_of_all_that_was_taken_in(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(averaging, "BLOCK", block)
    mlp = network()
    average = MovingAverage(mlp, 0.8)
    expected = mlp.parameters.vector.copy()
    for step in range(1, 60):
        mlp.parameters.vector += step
        average.update()
        decay = min(0.8, step / (step + 9))
        expected = decay * expected + (1 - decay) * mlp.parameters.vector
    np.testing.assert_allclose(average.mlp.parameters.vector, expected, rtol=1e-12)


def test_the_average_is_what_is_measured_and_what_training_ends_with() -> None:
    part = blobs(64)
    plain, averaged = network(), network()
    trained: list[Measurement] = []
    measured: list[Measurement] = []
    snapshots = Snapshots(every=1)
    for mlp, ema, into in ((plain, 0.0, trained), (averaged, 0.99, measured)):
        into += run(mlp, part=part, test=part, epochs=2, learning_rate=0.02, ema=ema, snapshots=snapshots)
    assert [m.loss for m in measured] == [m.loss for m in trained]  # it changes no step
    assert not np.array_equal(plain.parameters.vector, averaged.parameters.vector)
    correct = averaged.predict(part.images).argmax(axis=1) == part.labels.argmax(axis=1)
    assert measured[-1].train_accuracy == correct.mean()
    np.testing.assert_array_equal(snapshots.vectors[-1], averaged.parameters.vector)
