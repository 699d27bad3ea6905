import time
from typing import Any

import numpy as np
import pytest

from pipeline.nn import batches as batches_module
from pipeline.nn import callbacks as callbacks_module
from pipeline.nn import fast
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.batches import MiniBatches
from pipeline.nn.callbacks import Snapshots
from pipeline.nn.dropout import Dropout
from pipeline.nn.fast import predict
from pipeline.nn.initialisers import He
from pipeline.nn.losses import Canonical
from pipeline.nn.measurement import Measurement, measure
from pipeline.nn.metrics import count_correct
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.training import Diverged, Trainer
from pipeline.nn.types import Part
from tests.nn.examples import Measured, batches_of, blobs, network, run


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_training_learns_and_measures_each_epoch_with_its_own_parameters(
    arithmetic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "PREDICTION_ROWS", 16)
    part, test = blobs(200), blobs(100, seed=1)
    mlp = network(arithmetic=arithmetic)
    measurements = run(mlp, part=part, test=test)
    assert [measurement.epoch for measurement in measurements] == [1, 2, 3, 4, 5]
    assert measurements[-1].loss < measurements[0].loss
    assert measurements[-1].metrics["train"]["accuracy"] > 0.95
    for data, measured in (
        (part, measurements[-1].metrics["train"]["accuracy"]),
        (test, measurements[-1].metrics["test"]["accuracy"]),
    ):
        correct = predict(mlp, data.inputs).argmax(axis=1) == data.targets.argmax(axis=1)
        assert measured == correct.mean()


def test_what_is_measured_are_the_parameters_right_after_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the measuring takes place while the next epoch changes them."""
    part = blobs(200)

    def measure_late(*networks_and_parts: Any, **epoch: Any) -> Measurement:
        time.sleep(0.05)  # several epochs of this network
        return measure(*networks_and_parts, **epoch)

    expected = [run(network(), part=part, test=part, epochs=n, learning_rate=0.002)[-1] for n in range(1, 6)]
    monkeypatch.setattr(callbacks_module, "measure", measure_late)
    measured = run(network(), part=part, test=part, learning_rate=0.002)
    assert [m.metrics for m in measured] == [m.metrics for m in expected]
    assert len({m.metrics["train"]["accuracy"] for m in measured}) > 2


def test_it_measures_every_so_often_and_at_the_end() -> None:
    part = blobs(40)
    mlp, snapshots = network(), Snapshots(every=4)
    every = run(mlp, part=part, test=part, epochs=7)
    third = run(network(), part=part, test=part, epochs=7, measure_every=3, callbacks=[snapshots])
    everything = {measurement.epoch: measurement.loss for measurement in every}
    assert {m.epoch: m.loss for m in third} == {epoch: everything[epoch] for epoch in (3, 6, 7)}
    assert snapshots.epochs == [0, 4, 7]
    np.testing.assert_array_equal(snapshots.vectors[0], network().parameters.vector)
    np.testing.assert_array_equal(snapshots.vectors[-1], mlp.parameters.vector)


@pytest.mark.parametrize("measure_every", [1, 3])
def test_a_measurement_comes_one_epoch_late_however_seldom_it_is_measured(measure_every: int) -> None:
    part, measured = blobs(40), Measured()
    run(network(), part=part, test=part, epochs=8, measure_every=measure_every, callbacks=[measured])
    assert measured.late == [1] * (len(measured.late) - 1) + [0]


def test_a_full_batch_is_one_step_an_epoch() -> None:
    part = blobs(40)
    nets = [network(), network()]
    for mlp, batch_size in zip(nets, (40, None), strict=True):
        run(mlp, part=part, test=part, epochs=2, batch_size=batch_size)
    np.testing.assert_array_equal(nets[0].parameters.vector, nets[1].parameters.vector)


def test_a_single_output_above_a_half_says_the_second_class() -> None:
    """At ½ it says the first one, as `classify` does."""
    outputs = np.array([[0.1], [0.4], [0.6], [0.9], [0.5], [0.5]])
    labels = np.array([[0], [1], [0], [1], [0], [1]], np.uint8)
    assert count_correct(outputs, labels) == 3


def test_without_test_images_there_is_no_test_accuracy() -> None:
    part = blobs(20)
    empty = Part(part.inputs[:0], part.targets[:0])
    assert run(network(), part=part, test=empty, epochs=1)[0].metrics.keys() == {"train"}


@pytest.mark.parametrize("gathered_bytes", [1, 1000, 1 << 20])
def test_every_image_is_used_once_an_epoch_with_its_label(
    gathered_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "GATHERED_BYTES", gathered_bytes)
    images = np.arange(23, dtype=np.float32)[:, None]
    part = Part(images, np.arange(23, dtype=np.uint8)[:, None])
    rng = np.random.default_rng(0)
    orders = []
    for _ in range(2):
        batches = [(x.copy(), y.copy()) for x, y in MiniBatches(part, 5, rng)]
        assert [len(x) for x, _ in batches] == [5, 5, 5, 4, 4]
        seen = np.concatenate([x for x, _ in batches])
        np.testing.assert_array_equal(seen, np.concatenate([y for _, y in batches]))
        assert sorted(seen.ravel()) == list(range(23))
        orders.append(seen.ravel().tolist())
    assert orders[0] != orders[1]


def test_a_smaller_mini_batch_takes_its_own_mean() -> None:
    """One epoch over 3 images in batches of 2 is one step on two images, then one on the third.

    The epoch's loss is the mean over the images, not over the mini-batches.
    """
    part = blobs(3)
    mlp, reference = network(arithmetic="float64"), network(arithmetic="float64")
    [measurement] = run(mlp, part=part, test=part, epochs=1, batch_size=2)
    losses = []
    order = np.random.default_rng(7).permutation(3)
    for rows in (order[:2], order[2:]):
        hidden = np.maximum(part.inputs[rows] @ reference.weights[0].T + reference.biases[0], 0)
        outputs = predict(reference, part.inputs[rows])
        losses += [-np.log(outputs[part.targets[rows] == 1])]
        delta = (outputs - part.targets[rows]) / len(rows)
        below = (delta @ reference.weights[1]) * (hidden > 0)
        reference.weights[1][:] -= 0.1 * delta.T @ hidden
        reference.biases[1][:] -= 0.1 * delta.sum(axis=0)
        reference.weights[0][:] -= 0.1 * below.T @ part.inputs[rows]
        reference.biases[0][:] -= 0.1 * below.sum(axis=0)
    np.testing.assert_allclose(mlp.parameters.vector, reference.parameters.vector, rtol=1e-9)
    assert measurement.loss == pytest.approx(np.concatenate(losses).mean(), rel=1e-9)


def test_units_drop_out_of_an_incomplete_last_mini_batch_too() -> None:
    """Of nine images only the last one is not black: nothing else moves the first layer's weights."""
    last = np.random.default_rng(7).permutation(9)[-1]
    part = blobs(9)
    part.inputs[np.arange(9) != last] = 0
    made = []
    for seed in (0, 1):
        mlp = MLP((6, 40, 3), activation="relu", output="softmax", bias=False)
        He().initialise(mlp, np.random.default_rng(1))
        run(mlp, part=part, test=part, epochs=1, dropout=Dropout(0.5, np.random.default_rng(seed)))
        made.append(mlp.weights[0])
    assert not np.array_equal(made[0], made[1])


@pytest.mark.parametrize(("activation", "dead"), [("relu", [0.4, 0.5]), ("leaky_relu", [0.0, 0.0])])
def test_dead_units_are_those_that_no_image_activates(
    activation: str, dead: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "PREDICTION_ROWS", 16)
    images = np.zeros((50, 6), np.float32)
    images[0] = 9  # the only one that activates the last unit of the first layer
    part = Part(images, np.eye(3, dtype=np.uint8)[np.zeros(50, int)])
    mlp = MLP((6, 5, 4, 3), activation=activation, output="softmax", bias=True)
    mlp.weights[0][4] = 1
    mlp.biases[0][:] = [-1, -1, 1, 1, -1]
    mlp.biases[1][:] = [-1, 1, -1, 1]
    assert run(mlp, part=part, test=part, epochs=1, learning_rate=1e-6)[0].dead == pytest.approx(dead)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_divergence_stops_at_its_step_after_the_epochs_before_were_measured(arithmetic: str) -> None:
    part = blobs(64)
    part.inputs[5] = np.nan
    step = 1 + int(np.flatnonzero(np.random.default_rng(7).permutation(64) == 5)[0]) // 8
    with pytest.raises(Diverged) as caught:
        run(network(arithmetic=arithmetic), part=part, test=part, epochs=3)
    assert (caught.value.epoch, caught.value.step) == (1, step)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_a_gradient_too_large_for_adam_to_square_is_told_at_its_step(name: str) -> None:
    """The loss stays a number, but the weights that it concerns would never move again."""
    part, mlp = blobs(64), network()
    part.inputs[5] *= 1e20
    place = int(np.flatnonzero(np.random.default_rng(7).permutation(64) == 5)[0])
    settings: dict[str, Any] = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    optimizer = OPTIMIZERS[name](learning_rate=0.001, **settings)
    with pytest.raises(Diverged, match="the square of a gradient became infinite") as caught:
        Trainer(mlp, Canonical(), optimizer).fit(batches_of(part, mlp), 1)
    assert (caught.value.epoch, caught.value.step) == (1, 1 + place // 8)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("arithmetic", "learning_rate", "numbers"),
    [("float32", 2e38, True), ("float32", 1e300, False), ("exact", 1e308, False)],
)
def test_a_last_step_that_leaves_not_all_parameters_numbers_is_told_as_well(
    arithmetic: str, learning_rate: float, numbers: bool
) -> None:
    part, mlp = blobs(64), network(arithmetic=arithmetic)
    part.inputs[:] *= 10
    with pytest.raises(Diverged) as caught:
        run(mlp, part=part, test=part, epochs=1, batch_size=64, learning_rate=learning_rate)
    assert (caught.value.epoch, caught.value.step) == (1, 1)
    assert np.isfinite(mlp.parameters.vector).any() == numbers


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_an_exploding_run_yields_what_it_measured_before(arithmetic: str) -> None:
    part = blobs(64)
    measured = Measured()
    exploding = network(output="identity", arithmetic=arithmetic)
    with pytest.raises(Diverged) as caught:
        run(
            exploding,
            part=part,
            test=part,
            epochs=99,
            batch_size=32,
            learning_rate=0.4,
            callbacks=[measured],
        )
    epochs = [measurement.epoch for measurement in measured.measurements]
    assert epochs == list(range(1, caught.value.epoch))
    assert epochs


def test_augmented_images_are_learned_from_in_the_same_order_whatever_the_timing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The blocks are computed ahead in a second thread: work on either side changes nothing."""
    monkeypatch.setattr(batches_module, "GATHERED_BYTES", 200)
    part = blobs(50)

    def seen(work: int, augment_work: int) -> list[np.ndarray]:
        noise = np.random.default_rng(3)

        def augment(x: np.ndarray) -> np.ndarray:
            sum(range(augment_work))
            return x + noise.random(x.shape, np.float32)

        batches = []
        rng = np.random.default_rng(7)
        for x, y in MiniBatches(part, 4, rng, dtype="float32", augment=augment):
            batches.append(np.hstack([x, y]))
            sum(range(work))
        return batches

    expected = seen(0, 0)
    assert len(expected) == 13
    plain = np.vstack([x.copy() for x, _ in MiniBatches(part, 4, np.random.default_rng(7), dtype="float32")])
    noise = np.vstack(expected)[:, :6] - plain
    assert (noise.min() > -1e-6) and (noise.max() < 1 + 1e-6) and noise.std() > 0.2
    for amounts in ((100_000, 0), (0, 100_000)):
        for ours, theirs in zip(seen(*amounts), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_what_augmentation_raises_reaches_the_user() -> None:
    def augment(x: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(MiniBatches(blobs(9), 4, np.random.default_rng(7), augment=augment))
