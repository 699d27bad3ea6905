"""Sums and products of numbers on a grid are never rounded, so every order gives the same bits."""

import math
import warnings
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.nn import fast
from pipeline.nn.activations import ACTIVATIONS, CANONICAL
from pipeline.nn.exact import exact_sum, product_bits, to_grid
from pipeline.nn.fast import Backpropagation, predict
from pipeline.nn.initialisers import Normal
from pipeline.nn.losses import LOSSES
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array

SMALLEST = Fraction(2) ** -400
SPECIAL = [0.0, -0.0, 5e-324, -1e-310, 1e-300, -1e-121, 1e-120, 1e-8, -1.0, 3.0, 1e16, -1e119, 1e120]
NUMBERS = st.floats(-1e120, 1e120) | st.floats(-2, 2) | st.sampled_from(SPECIAL)
SIZES = st.integers(1, 40)


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def vectors(numbers: st.SearchStrategy[float] = NUMBERS) -> st.SearchStrategy[Array]:
    return SIZES.flatmap(lambda n: arrays(np.float64, n, elements=numbers))


def matrices(rows: st.SearchStrategy[int], columns: int) -> st.SearchStrategy[Array]:
    return rows.flatmap(lambda n: arrays(np.float64, (n, columns), elements=NUMBERS))


PAIRS = SIZES.flatmap(lambda k: st.tuples(matrices(st.integers(1, 4), k), matrices(st.integers(1, 4), k)))


def unit(a: Array, bits: int) -> Fraction:
    """Return the power of two of which the largest number of `a` has `bits` bits."""
    above = SMALLEST
    while Fraction(float(np.abs(a).max())) >= above:
        above *= 2
    return above / 2**bits


@given(vectors(), st.integers(1, 51))
def test_numbers_are_rounded_to_the_nearest_of_so_many_bits(a: Array, bits: int) -> None:
    """In a tie to the even multiple, which is what `round` does with fractions."""
    grid = unit(a, bits)
    rounded = to_grid(a, bits)
    assert [Fraction(x) for x in rounded.tolist()] == [round(Fraction(x) / grid) * grid for x in a.tolist()]
    assert np.abs(rounded).max() <= 2**bits * grid


@given(matrices(SIZES, 3), st.integers(1, 51))
def test_each_row_may_have_a_grid_of_its_own(a: Array, bits: int) -> None:
    np.testing.assert_array_equal(to_grid(a, bits, by_row=True), [to_grid(row, bits) for row in a])


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_may_be_rounded_in_place(order: str, by_row: bool) -> None:
    a = np.random.default_rng(0).normal(size=(4, 3)).copy(order)  # type: ignore[arg-type]
    expected = to_grid(a, 10, by_row=by_row)
    assert (expected != a).any()
    assert to_grid(a, 10, out=a, by_row=by_row) is a
    np.testing.assert_array_equal(a, expected)


@pytest.mark.parametrize(
    "large", [2.0**400, -(2.0**400), 1e200, 1e308, -1e308, math.inf, -math.inf, math.nan]
)
def test_what_is_too_large_for_exact_products_becomes_nan(large: float) -> None:
    a = np.array([[1.0, 2.0], [3.0, large], [5.0, 6.0]])
    assert np.isnan(to_grid(a, 20)).all()
    by_row = to_grid(a, 20, by_row=True)
    assert np.isnan(by_row[1]).all()
    np.testing.assert_array_equal(by_row[[0, 2]], a[[0, 2]])
    assert np.isnan(exact_sum(a))


@pytest.mark.parametrize("terms", [1, 2, 3, 4, 5, 20, 784, 785, 1000, 1024, 1025, 60_000, 2**31 - 1, 2**31])
def test_the_factors_of_a_product_have_as_many_bits_as_leave_room_for_its_sums(terms: int) -> None:
    bits = product_bits(terms)
    assert terms * 4**bits <= 2**53 < terms * 4 ** (bits + 1)


@given(PAIRS)
def test_a_product_is_that_of_fractions_in_every_order(pair: tuple[Array, Array]) -> None:
    k = pair[0].shape[1]
    a, b = (to_grid(factor, product_bits(k)) for factor in pair)
    product = a @ b.T
    order = np.random.default_rng(0).permutation(k)
    np.testing.assert_array_equal(a[:, order] @ b[:, order].T, product)
    np.testing.assert_array_equal(np.array([[sum(x * y) for y in b] for x in a]), product)
    np.testing.assert_array_equal((b @ a.T).T, product)
    for i, j in np.ndindex(product.shape):
        exact = sum(Fraction(x) * Fraction(y) for x, y in zip(a[i].tolist(), b[j].tolist(), strict=True))
        assert Fraction(float(product[i, j])) == exact


@pytest.mark.parametrize("k", [1, 2, 31, 784, 1000, 1025, 20_000])
def test_a_product_of_the_largest_numbers_on_the_grid_is_exact(k: int) -> None:
    """All of one sign, so that no partial sum is greater; and of both, so that many cancel out."""
    bits = product_bits(k)
    largest = 2**bits - 1
    for seed, signs in ((0, [1]), (1, [-1, 1])):
        rng = np.random.default_rng(seed)
        a, b = (largest * rng.choice(signs, (3, k)) for _ in "ab")
        a[0] -= np.sign(a[0]) * rng.integers(0, 2, k)
        exact = a.astype(object) @ b.T.astype(object)
        ours = to_grid(a / 2.0**bits, bits) @ to_grid(b / 2.0**bits, bits).T * 4.0**bits
        np.testing.assert_array_equal(ours, exact.astype(float))


@given(vectors())
def test_a_sum_is_the_same_in_every_order(a: Array) -> None:
    total = exact_sum(a)
    for order in (np.argsort(a), np.argsort(-np.abs(a)), np.random.default_rng(0).permutation(len(a))):
        assert exact_sum(a[order]) == total
    error = abs(Fraction(float(total)) - sum(map(Fraction, a.tolist())))
    bits = min(51, 53 - math.ceil(math.log2(len(a))))
    assert error <= len(a) * unit(a, bits) / 2
    # No partial sum is rounded: any tree of additions ends in the sum of the numbers on the grid.
    assert Fraction(float(total)) == sum(map(Fraction, to_grid(a, bits).tolist()))


@pytest.mark.parametrize("count", [1, 2, 3, 1000, 2**20, 2**20 + 1])
def test_a_sum_of_many_large_numbers_is_exact(count: int) -> None:
    """The largest numbers are all of one sign, and have all the bits that a sum of so many leaves them."""
    bits = min(51, 53 - (count - 1).bit_length())
    a = np.full(count, 2.0**bits - 1)
    assert int(exact_sum(a)) == count * (2**bits - 1)
    assert exact_sum(np.tile(a, (2, 1)), axis=1).tolist() == 2 * [count * (2**bits - 1)]


def test_the_sum_of_a_row_depends_on_no_other() -> None:
    a = np.array([[1.0, 2.0, 0.125], [1e-30, 2e-30, -1e-30], [1e100, 1.0, 1.0], [1.0, 1e300, math.nan]])
    np.testing.assert_array_equal(exact_sum(a, axis=1), [exact_sum(row) for row in a])
    np.testing.assert_allclose(exact_sum(a, axis=1)[:3], a.sum(axis=1)[:3], rtol=1e-15)


def test_the_sum_of_nothing_is_zero() -> None:
    assert exact_sum(np.zeros(0)) == 0
    assert exact_sum(np.zeros((0, 3)), axis=1).shape == (0,)


def network(activation: str, output: str, bias: bool = True) -> MLP:
    mlp = MLP((5, 9, 7, 3), activation=activation, output=output, bias=bias, arithmetic="exact")
    Normal(scale=0.6).initialise(mlp, np.random.default_rng(1))
    for biases in mlp.biases:
        biases[:] = np.random.default_rng(2).normal(size=biases.shape)
    return mlp


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_is_predicted_of_a_row_depends_on_no_other(
    activation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the rows are of very different sizes, and some are not numbers."""
    monkeypatch.setattr(fast, "PREDICTION_ROWS", 8)
    mlp = network("tanh" if activation == "softmax" else activation, activation)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20, 5)) * 10.0 ** rng.integers(-12, 7, (20, 1))
    x[3], x[4], x[12, 2], x[13, 2] = 0, 1e-300, np.nan, 1e200
    together = predict(mlp, x)
    alone = np.concatenate([predict(mlp, x[i : i + 1]) for i in range(20)])
    backwards = predict(mlp, x[::-1])[::-1]
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(backwards, together)
    rows_of_numbers = np.isfinite(together).all(axis=1)
    assert rows_of_numbers.sum() == 18
    expected = mlp.forward(x[rows_of_numbers])[1][-1]
    np.testing.assert_allclose(together[rows_of_numbers], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_examples_and_of_hidden_units_changes_no_bit(
    activation: str, loss: str, seed: int
) -> None:
    """Every sum of backpropagation runs over one or the other."""
    hidden, output = "tanh" if activation == "softmax" else activation, activation
    if loss == "canonical" and output not in CANONICAL:
        output = "softmax"
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(11, 5)), np.eye(3)[rng.integers(0, 3, 11)]
    mlp, shuffled = network(hidden, output), network(hidden, output)
    rows, first, second = (rng.permutation(n) for n in (11, 9, 7))
    shuffled.weights[0][:] = mlp.weights[0][first]
    shuffled.weights[1][:] = mlp.weights[1][second][:, first]
    shuffled.weights[2][:] = mlp.weights[2][:, second]
    shuffled.biases[0][:], shuffled.biases[1][:] = mlp.biases[0][first], mlp.biases[1][second]
    backpropagation = Backpropagation(mlp, LOSSES[loss](), 11)
    other = Backpropagation(shuffled, LOSSES[loss](), 11)
    assert backpropagation(x.copy(), y) == other(x[rows], y[rows])
    ours, theirs = backpropagation.gradient, other.gradient
    np.testing.assert_array_equal(ours.weights[0][first], theirs.weights[0])
    np.testing.assert_array_equal(ours.weights[1][second][:, first], theirs.weights[1])
    np.testing.assert_array_equal(ours.weights[2][:, second], theirs.weights[2])
    np.testing.assert_array_equal(ours.biases[0][first], theirs.biases[0])
    np.testing.assert_array_equal(ours.biases[1][second], theirs.biases[1])
    np.testing.assert_array_equal(ours.biases[2], theirs.biases[2])


def test_so_it_is_with_many_more_examples_than_units() -> None:
    """The sums over them leave the factors fewer bits than those over the units."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20_000, 5)), np.eye(3)[rng.integers(0, 3, 20_000)]
    mlp = network("tanh", "softmax")
    backpropagation = Backpropagation(mlp, LOSSES["canonical"](), len(x))
    loss = backpropagation(x.copy(), y)
    gradient = backpropagation.gradient.vector.copy()
    order = rng.permutation(len(x))
    assert backpropagation(x[order], y[order]) == loss
    np.testing.assert_array_equal(backpropagation.gradient.vector, gradient)
