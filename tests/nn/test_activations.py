"""Activation functions at known and at extreme pre-activations, and the losses of the canonical outputs."""

import math
import warnings

import numpy as np
import pytest

from pipeline.nn.activations import ACTIVATIONS, CANONICAL, HIDDEN, CanonicalOutput
from pipeline.nn.arithmetic import ARITHMETICS, FLOAT64

Z = np.array([[-1e4, -800.0, -90.0, -1.5], [0.3, 2.0, 90.0, 1e4]])


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_extreme_inputs_neither_overflow_nor_warn(name: str, arithmetic: str) -> None:
    function = ACTIVATIONS[name](ARITHMETICS[arithmetic])
    dtype = ARITHMETICS[arithmetic].dtype
    z = Z.astype(dtype)
    out, delta = np.empty_like(z), np.ones_like(z)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a = function.forward(z)
        assert function.forward(z, out=out) is out
        function.backward(z, a, delta)
        if isinstance(function, CanonicalOutput):
            divergence = function.divergence(z, a, np.eye(4, dtype=dtype)[:2])
            assert divergence.dtype == dtype
            assert np.isfinite(divergence).all()
    np.testing.assert_array_equal(a, out)
    assert a.dtype == delta.dtype == dtype
    assert np.isfinite(a).all()
    assert np.isfinite(delta).all()


@pytest.mark.parametrize("name", CANONICAL)
def test_the_loss_of_a_canonical_output_has_the_gradient_a_minus_y(name: str) -> None:
    function = ACTIVATIONS[name](FLOAT64)
    assert isinstance(function, CanonicalOutput)
    rng = np.random.default_rng(0)
    z, y = rng.normal(scale=2, size=(5, 3)), rng.dirichlet([1, 1, 1], 5)
    a = function.forward(z)
    step = 1e-6
    for index in np.ndindex(z.shape):
        shift = np.zeros_like(z)
        shift[index] = step
        above, below = (
            function.divergence(shifted, function.forward(shifted), y).sum()
            for shifted in (z + shift, z - shift)
        )
        assert (above - below) / (2 * step) == pytest.approx(a[index] - y[index], abs=1e-7)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_known_values(arithmetic: str) -> None:
    z = np.array([[-2.0, 0.0, 3.0]], ARITHMETICS[arithmetic].dtype)
    softplus = [math.log(1 + math.exp(-2)), math.log(2), math.log(1 + math.exp(3))]
    expected = {
        "identity": [-2, 0, 3],
        "relu": [0, 0, 3],
        "leaky_relu": [-0.02, 0, 3],
        "elu": [math.exp(-2) - 1, 0, 3],
        "gelu": [-2 * 0.022750131948, 0, 3 * 0.998650101968],
        "silu": [-2 / (1 + math.exp(2)), 0, 3 / (1 + math.exp(-3))],
        "mish": [-2 * math.tanh(softplus[0]), 0, 3 * math.tanh(softplus[2])],
        "softplus": softplus,
        "tanh": [math.tanh(-2), 0, math.tanh(3)],
        "sigmoid": [1 / (1 + math.exp(2)), 0.5, 1 / (1 + math.exp(-3))],
        "softmax": np.exp([-2, 0, 3]) / np.exp([-2, 0, 3]).sum(),
    }
    assert expected.keys() == ACTIVATIONS.keys()
    for name, values in expected.items():
        a = ACTIVATIONS[name](ARITHMETICS[arithmetic]).forward(z)
        rtol = 1e-6 if arithmetic == "float32" else 1e-9
        np.testing.assert_allclose(a[0], values, rtol=rtol, err_msg=name)


@pytest.mark.parametrize("name", HIDDEN)
def test_every_activation_of_hidden_units_works_element_by_element(name: str) -> None:
    function = ACTIVATIONS[name](FLOAT64)
    z = np.random.default_rng(0).normal(scale=2, size=(7, 5))
    a = function.forward(z)
    for row, expected in zip(z, a, strict=True):
        for number, value in zip(row, expected, strict=True):
            assert function.forward(np.array([[number]]))[0, 0] == pytest.approx(value, rel=1e-12)
