"""Activation functions at extreme pre-activations, and against their antiderivatives."""

import warnings

import numpy as np
import pytest

from pipeline.nn.activations import ACTIVATIONS

Z = np.array([[-1e4, -800.0, -90.0, -1.5], [0.3, 2.0, 90.0, 1e4]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_extreme_inputs_neither_overflow_nor_warn(name: str, dtype: str) -> None:
    function = ACTIVATIONS[name]
    z = Z.astype(dtype)
    a, delta = np.empty_like(z), np.ones_like(z)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        function.forward(z, out=a)
        function.backward(z, a, delta)
        potential = function.potential(z, a)
    assert a.dtype == delta.dtype == dtype
    assert np.isfinite(a).all()
    assert np.isfinite(delta).all()
    assert np.isfinite(potential)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_potential_is_the_antiderivative(name: str) -> None:
    function = ACTIVATIONS[name]
    z = np.random.default_rng(0).normal(scale=2, size=(5, 3))
    a = np.empty_like(z)
    function.forward(z, out=a)
    step = 1e-6
    for index in np.ndindex(z.shape):
        shift = np.zeros_like(z)
        shift[index] = step
        values = []
        for shifted in (z + shift, z - shift):
            scratch = np.empty_like(z)
            function.forward(shifted, out=scratch)
            values.append(function.potential(shifted, scratch))
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(a[index], abs=1e-7)


def test_known_values() -> None:
    z = np.array([[-2.0, 0.0, 3.0]])
    expected = {
        "identity": [-2, 0, 3],
        "relu": [0, 0, 3],
        "leaky_relu": [-0.02, 0, 3],
        "elu": [np.exp(-2) - 1, 0, 3],
        "gelu": [-2 * 0.022750131948, 0, 3 * 0.998650101968],
        "silu": [-2 / (1 + np.exp(2)), 0, 3 / (1 + np.exp(-3))],
        "softplus": [np.log(1 + np.exp(-2)), np.log(2), np.log(1 + np.exp(3))],
        "tanh": [np.tanh(-2), 0, np.tanh(3)],
        "sigmoid": [1 / (1 + np.exp(2)), 0.5, 1 / (1 + np.exp(-3))],
        "softmax": np.exp([-2, 0, 3]) / np.exp([-2, 0, 3]).sum(),
    }
    assert expected.keys() == ACTIVATIONS.keys()
    for name, values in expected.items():
        a = np.empty_like(z)
        ACTIVATIONS[name].forward(z, out=a)
        np.testing.assert_allclose(a[0], values, rtol=1e-9, err_msg=name)
