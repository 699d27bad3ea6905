import numpy as np
import pytest

from pipeline.data.dataset import Part
from pipeline.nn import training
from pipeline.nn.initialisers import initialise
from pipeline.nn.losses import LOSSES
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.training import Diverged, Measurement, Snapshots, count_correct, mini_batches, train


def blobs(count: int, seed: int = 0) -> Part:
    """Return `count` points in 6 dimensions around 3 centres, which a small network separates."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, size=count)
    centres = np.random.default_rng(99).normal(scale=3, size=(3, 6))
    images = (centres[labels] + rng.normal(size=(count, 6))).astype(np.float32)
    return Part(images, np.eye(3, dtype=np.uint8)[labels])


def run(
    mlp: MLP, *, part: Part, test: Part, epochs: int = 5, batch_size: int = 8, learning_rate: float = 0.1
) -> list[Measurement]:
    optimizer = OPTIMIZERS["sgd"](mlp.parameters, learning_rate=learning_rate)
    rng = np.random.default_rng(7)
    loss = LOSSES["canonical"]
    return list(train(mlp, loss, optimizer, part, test, epochs=epochs, batch_size=batch_size, rng=rng))


def network(activation: str = "relu", output: str = "softmax", dtype: str = "float32") -> MLP:
    mlp = MLP((6, 10, 3), activation=activation, output=output, bias=True, dtype=dtype)
    initialise(mlp, np.random.default_rng(1), "he")
    return mlp


def test_training_learns_and_measures_each_epoch_with_its_own_parameters() -> None:
    part, test = blobs(200), blobs(100, seed=1)
    mlp = network()
    measurements = run(mlp, part=part, test=test)
    assert [measurement.epoch for measurement in measurements] == [1, 2, 3, 4, 5]
    assert measurements[-1].loss < measurements[0].loss
    assert measurements[-1].train_accuracy > 0.95
    for data, measured in (
        (part, measurements[-1].train_accuracy),
        (test, measurements[-1].test_accuracy),
    ):
        correct = mlp.predict(data.images).argmax(axis=1) == data.labels.argmax(axis=1)
        assert measured == correct.mean()
    shorter = network()
    assert run(shorter, part=part, test=test, epochs=2)[-1].train_accuracy == measurements[1].train_accuracy


def test_it_measures_every_so_often_and_at_the_end() -> None:
    part = blobs(40)
    mlp, other = network(), network()
    optimizers = [OPTIMIZERS["sgd"](m.parameters, learning_rate=0.1) for m in (mlp, other)]
    loss, snapshots = LOSSES["canonical"], Snapshots(every=4)
    rngs = [np.random.default_rng(7) for _ in range(2)]
    every = train(mlp, loss, optimizers[0], part, part, epochs=7, batch_size=8, rng=rngs[0])
    third = train(
        other,
        loss,
        optimizers[1],
        part,
        part,
        epochs=7,
        batch_size=8,
        rng=rngs[1],
        measure_every=3,
        snapshots=snapshots,
    )
    everything = {measurement.epoch: measurement.loss for measurement in every}
    assert {m.epoch: m.loss for m in third} == {epoch: everything[epoch] for epoch in (3, 6, 7)}
    assert snapshots.epochs == [0, 4, 7]
    np.testing.assert_array_equal(snapshots.vectors[0], network().parameters.vector)
    np.testing.assert_array_equal(snapshots.vectors[-1], mlp.parameters.vector)


def test_a_full_batch_is_one_step_an_epoch() -> None:
    part = blobs(40)
    nets = [network(), network()]
    for mlp, batch_size in zip(nets, (40, None), strict=True):
        optimizer = OPTIMIZERS["sgd"](mlp.parameters, learning_rate=0.1)
        rng = np.random.default_rng(7)
        list(train(mlp, LOSSES["canonical"], optimizer, part, part, epochs=2, batch_size=batch_size, rng=rng))
    np.testing.assert_array_equal(nets[0].parameters.vector, nets[1].parameters.vector)


def test_a_single_output_is_right_on_the_labels_side_of_a_half() -> None:
    outputs = np.array([[0.1], [0.4], [0.6], [0.9], [0.5], [0.5]])
    labels = np.array([[0], [1], [0], [1], [0], [1]], np.uint8)
    assert count_correct(outputs, labels) == 2


def test_without_test_images_there_is_no_test_accuracy() -> None:
    part = blobs(20)
    empty = Part(part.images[:0], part.labels[:0])
    assert run(network(), part=part, test=empty, epochs=1)[0].test_accuracy is None


@pytest.mark.parametrize("gathered_bytes", [1, 1000, 1 << 20])
def test_every_image_is_used_once_an_epoch_with_its_label(
    gathered_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "GATHERED_BYTES", gathered_bytes)
    images = np.arange(23, dtype=np.float32)[:, None]
    part = Part(images, np.arange(23, dtype=np.uint8)[:, None])
    rng = np.random.default_rng(0)
    orders = []
    for _ in range(2):
        batches = [(x.copy(), y.copy()) for x, y in mini_batches(part, 5, "float64", rng)]
        assert [len(x) for x, _ in batches] == [5, 5, 5, 5, 3]
        seen = np.concatenate([x for x, _ in batches])
        np.testing.assert_array_equal(seen, np.concatenate([y for _, y in batches]))
        assert sorted(seen.ravel()) == list(range(23))
        orders.append(seen.ravel().tolist())
    assert orders[0] != orders[1]


def test_an_incomplete_last_mini_batch_takes_its_own_mean() -> None:
    """One epoch over 3 images in batches of 2 is one step on two images, then one on the third."""
    part = blobs(3)
    mlp, reference = network(dtype="float64"), network(dtype="float64")
    run(mlp, part=part, test=part, epochs=1, batch_size=2)
    order = np.random.default_rng(7).permutation(3)
    for rows in (order[:2], order[2:]):
        hidden = np.maximum(part.images[rows] @ reference.weights[0].T + reference.biases[0], 0)
        delta = (reference.predict(part.images[rows]) - part.labels[rows]) / len(rows)
        below = (delta @ reference.weights[1]) * (hidden > 0)
        reference.weights[1][:] -= 0.1 * delta.T @ hidden
        reference.biases[1][:] -= 0.1 * delta.sum(axis=0)
        reference.weights[0][:] -= 0.1 * below.T @ part.images[rows]
        reference.biases[0][:] -= 0.1 * below.sum(axis=0)
    np.testing.assert_allclose(mlp.parameters.vector, reference.parameters.vector, rtol=1e-9)


def test_dead_units_are_those_that_no_image_activates() -> None:
    part = blobs(50)
    for activation, dead in (("relu", 0.4), ("leaky_relu", 0.0)):
        mlp = network(activation)
        mlp.weights[0][:4] = 0
        mlp.biases[0][:] = [-1] * 4 + [9] * 6  # four of ten units are negative for every image, and stay so
        assert run(mlp, part=part, test=part, epochs=1)[0].dead == [dead]


@pytest.mark.filterwarnings("error")
def test_divergence_stops_at_its_step_after_the_epochs_before_were_measured() -> None:
    part = blobs(64)
    part.images[5] = np.nan
    mlp = network()
    optimizer = OPTIMIZERS["sgd"](mlp.parameters, learning_rate=0.1)
    rng = np.random.default_rng(7)
    batches = train(mlp, LOSSES["canonical"], optimizer, part, part, epochs=3, batch_size=8, rng=rng)
    step = 1 + int(np.flatnonzero(np.random.default_rng(7).permutation(64) == 5)[0]) // 8
    with pytest.raises(Diverged) as caught:
        list(batches)
    assert (caught.value.epoch, caught.value.step) == (1, step)


def test_a_last_step_that_leaves_no_number_is_told_as_well() -> None:
    part = blobs(64)
    mlp = network()
    optimizer = OPTIMIZERS["sgd"](mlp.parameters, learning_rate=1e300)
    rng = np.random.default_rng(7)
    with pytest.raises(Diverged) as caught:
        list(train(mlp, LOSSES["canonical"], optimizer, part, part, epochs=1, batch_size=64, rng=rng))
    assert (caught.value.epoch, caught.value.step) == (1, 1)


@pytest.mark.filterwarnings("error")
def test_an_exploding_run_yields_what_it_measured_before() -> None:
    part = blobs(64)
    mlp = network(output="identity")
    measured = []
    with pytest.raises(Diverged) as caught:
        optimizer = OPTIMIZERS["sgd"](mlp.parameters, learning_rate=0.4)
        rng = np.random.default_rng(7)
        for measurement in train(
            mlp, LOSSES["canonical"], optimizer, part, part, epochs=99, batch_size=32, rng=rng
        ):
            measured.append(measurement.epoch)
    assert measured == list(range(1, caught.value.epoch))
    assert measured


def test_augmented_images_are_learned_from_in_the_same_order_whatever_the_timing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The blocks are computed ahead in a second thread: work on either side changes nothing."""
    monkeypatch.setattr(training, "GATHERED_BYTES", 200)
    part = blobs(50)

    def seen(work: int, augment_work: int) -> list[np.ndarray]:
        noise = np.random.default_rng(3)

        def augment(x: np.ndarray) -> np.ndarray:
            sum(range(augment_work))
            return x + noise.random(x.shape, np.float32)

        batches = []
        rng = np.random.default_rng(7)
        for x, y in mini_batches(part, 4, "float32", rng, augment=augment):
            batches.append(np.hstack([x, y]))
            sum(range(work))
        return batches

    expected = seen(0, 0)
    assert len(expected) == 13
    plain = np.vstack([x.copy() for x, _ in mini_batches(part, 4, "float32", np.random.default_rng(7))])
    noise = np.vstack(expected)[:, :6] - plain
    assert (noise.min() > -1e-6) and (noise.max() < 1 + 1e-6) and noise.std() > 0.2
    for amounts in ((100_000, 0), (0, 100_000)):
        for ours, theirs in zip(seen(*amounts), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_what_augmentation_raises_reaches_the_user() -> None:
    def augment(x: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(mini_batches(blobs(9), 4, "float32", np.random.default_rng(7), augment=augment))
