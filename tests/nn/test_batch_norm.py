"""Batch normalisation: its gradient, and the plain network that is made of it."""

import numpy as np
import pytest

from pipeline.nn.activations import HIDDEN
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.fast import Backpropagation, predict
from pipeline.nn.folding import folded
from pipeline.nn.losses import Canonical
from pipeline.nn.mlp import MLP
from tests.nn.examples import batches_of, blobs, network, random_batch, random_network, trainer_of
from tests.nn.test_gradients import numerical_gradient


def normalising(activation: str = "relu", arithmetic: str = "float64") -> MLP:
    mlp = random_network(activation, "softmax", [6, 5], arithmetic=arithmetic)
    mlp.batch_norm = True
    return mlp


@pytest.mark.parametrize("activation", HIDDEN)
def test_gradients_are_slopes_of_the_loss_of_the_mini_batch(activation: str) -> None:
    mlp = normalising(activation)
    x, y = random_batch(8, mlp)
    backpropagation = Backpropagation(mlp, Canonical(), len(x))

    def loss() -> float:
        return backpropagation(x, y)

    by_parameters = numerical_gradient(loss, mlp.parameters.vector)
    by_inputs = numerical_gradient(loss, x.reshape(-1)).reshape(x.shape)
    loss()
    np.testing.assert_allclose(backpropagation.gradient.vector, by_parameters, atol=1e-7)
    np.testing.assert_allclose(backpropagation.input_gradient(x, y), by_inputs, atol=1e-7)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_the_plain_network_answers_as_the_trained_one_does_over_all_training_rows(
    arithmetic: str,
) -> None:
    mlp = normalising(arithmetic=arithmetic)
    x, _ = random_batch(50, mlp)
    trained = Backpropagation(mlp, Canonical(), len(x)).outputs(x.copy())
    plain = folded(mlp, x)
    assert not plain.batch_norm and mlp.batch_norm
    np.testing.assert_allclose(predict(plain, x), trained, rtol=1e-4)
    assert not np.allclose(predict(mlp, x), trained, rtol=0.1)  # so it is not the same anyway


def test_what_is_folded_is_the_same_whether_or_not_the_rows_are_sorted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.nn.folding.FOLDING_ROWS", 1000)
    mlp = normalising()
    x, _ = random_batch(4000, mlp)
    x[2000:] += 3  # as another class may be
    whole = Backpropagation(mlp, Canonical(), len(x)).outputs(x.copy())
    assert np.abs(predict(folded(mlp, x), x) - whole).mean() < 0.01
    assert np.abs(predict(folded(mlp, x[:1000]), x) - whole).mean() > 0.1  # of the first class alone


def test_how_large_weights_of_a_hidden_unit_are_makes_no_difference() -> None:
    mlp = normalising()
    x, _ = random_batch(20, mlp)
    backpropagation = Backpropagation(mlp, Canonical(), len(x))
    before = backpropagation.outputs(x).copy()
    mlp.weights[1][2] *= 100
    np.testing.assert_allclose(backpropagation.outputs(x), before, rtol=1e-4)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_training_ends_with_the_plain_network_that_was_measured_last(ema: float) -> None:
    mlp, part = network(), blobs(60)
    mlp.batch_norm = True
    trainer = trainer_of(mlp, ema=ema)
    trainer.prepare(batches_of(part, mlp, 10), epochs=1)
    trainer.train_epoch(batches_of(part, mlp, 10))
    measured = trainer.to_measure.parameters.vector.copy()
    mlp = network()
    mlp.batch_norm = True
    trainer_of(mlp, ema=ema).fit(batches_of(part, mlp, 10), epochs=1)
    np.testing.assert_array_equal(mlp.parameters.vector, measured)
    assert not mlp.batch_norm
