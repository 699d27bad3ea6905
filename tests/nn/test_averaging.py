import numpy as np
import pytest

from pipeline.nn import averaging
from pipeline.nn.averaging import MovingAverage
from pipeline.nn.callbacks import Snapshots
from pipeline.nn.fast import predict
from pipeline.nn.initialisers import He
from pipeline.nn.measurement import Measurement
from pipeline.nn.mlp import MLP
from tests.nn.examples import blobs, run


def network() -> MLP:
    mlp = MLP((6, 3), activation="relu", output="softmax", bias=True, arithmetic="float64")
    He().initialise(mlp, np.random.default_rng(1))
    return mlp


@pytest.mark.parametrize("block", [4, 1 << 17])
@pytest.mark.parametrize(
    ("decay", "total_steps", "stride"),
    [(0.8, 1000, 1), (0.98, 1000, 1), (0.998, 1000, 5), (0.9999, 1000, 10), (0.9999, 59, 1)],
)
def test_it_is_the_weighted_mean_of_all_that_was_taken_in(
    block: int, decay: float, total_steps: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(averaging, "BLOCK", block)
    mlp = network()
    average = MovingAverage(mlp, decay, total_steps)
    expected = mlp.parameters.vector.copy()
    for step in range(1, 60):
        mlp.parameters.vector += step
        average.update()
        if step % stride == 0:
            kept = min(decay, step / (step + 9)) ** stride
            expected = kept * expected + (1 - kept) * mlp.parameters.vector
    np.testing.assert_allclose(average.averaged.parameters.vector, expected, rtol=1e-12)


def test_taking_in_every_few_steps_hardly_changes_the_average() -> None:
    mlp = network()
    average = MovingAverage(mlp, 0.999, 4000)
    expected = mlp.parameters.vector.copy()
    rng = np.random.default_rng(0)
    for step in range(1, 4001):
        mlp.parameters.vector += rng.normal(0, 0.01, len(expected))
        average.update()
        kept = min(0.999, step / (step + 9))
        expected += (1 - kept) * (mlp.parameters.vector - expected)
    behind = np.linalg.norm(mlp.parameters.vector - expected)
    assert np.linalg.norm(average.averaged.parameters.vector - expected) < 0.02 * behind


def test_the_average_is_what_is_measured_and_what_training_ends_with() -> None:
    part = blobs(64)
    plain, averaged = network(), network()
    trained: list[Measurement] = []
    measured: list[Measurement] = []
    snapshots = Snapshots(every=1)
    for mlp, ema, into in ((plain, 0.0, trained), (averaged, 0.99, measured)):
        into += run(mlp, part=part, test=part, epochs=2, learning_rate=0.02, ema=ema, callbacks=[snapshots])
    assert [m.loss for m in measured] == [m.loss for m in trained]  # it changes no step
    assert not np.array_equal(plain.parameters.vector, averaged.parameters.vector)
    correct = predict(averaged, part.inputs).argmax(axis=1) == part.targets.argmax(axis=1)
    assert measured[-1].metrics["train"]["accuracy"] == correct.mean()
    np.testing.assert_array_equal(snapshots.vectors[-1], averaged.parameters.vector)
