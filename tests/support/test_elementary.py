"""The elementary functions are as precise as their docstrings say, and have the bits written down here."""

import hashlib
import math
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import ArrayLike

from pipeline.nn.types import Array
from pipeline.support import elementary as functions
from pipeline.support.elementary import power, standard_normal, whole_power

RNG = np.random.default_rng(0)
COUNT = 20_000
INF, NAN = math.inf, math.nan
NAMES = ["exp", "expm1", "log", "log1p", "tanh", "erf", "sin", "cos"]
MORE_PRECISE = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="longdouble is no more precise than float64 here"
)


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def between(low: float, high: float) -> Array:
    return low + (high - low) * RNG.random(COUNT)


def of_all_sizes(smallest: float, largest: float) -> Array:
    """Return positive numbers whose logarithms are spread evenly."""
    return np.exp(between(math.log(smallest), math.log(largest)))


def of_both_signs(x: Array) -> Array:
    return np.where(RNG.random(COUNT) < 0.5, x, -x)


def erf_reference(x: np.ndarray) -> np.ndarray:
    """Sum the series 2/√π e^(−x²) Σ 2ⁿ x²ⁿ⁺¹ / (1 · 3 · … · (2n + 1)), whose terms all have the sign of x."""
    term = x.copy()
    total = x.copy()
    for n in range(1, 200):
        term *= 2 * x * x / (2 * n + 1)
        total += term
    return 2 / np.sqrt(np.arccos(np.longdouble(-1))) * np.exp(-x * x) * total


TINY = of_both_signs(of_all_sizes(1e-300, 1))
INPUTS = {
    "exp": [between(-707.9, 709.78), between(-2, 2), TINY],
    "expm1": [between(-745, 709.78), between(-2, 2), TINY],
    "log": [of_all_sizes(5e-324, 1.7e308), between(0.5, 2), 1 + of_both_signs(of_all_sizes(1e-16, 0.1))],
    "log1p": [of_all_sizes(5e-324, 1.7e308), between(-1, 2), np.maximum(TINY, -0.99)],
    "tanh": [between(-25, 25), between(-1, 1), TINY],
    "erf": [between(-7, 7), between(-1.5, 1.5), TINY],
    "sin": [between(-4, 4), math.pi + of_both_signs(of_all_sizes(1e-12, 0.1)), TINY],
    "cos": [between(-4, 4), math.pi / 2 + of_both_signs(of_all_sizes(1e-12, 0.1)), TINY],
}
LARGEST_ERRORS = {  # in units in the last place
    "exp": 1,
    "expm1": 2,
    "log": 1,
    "log1p": 2,
    "tanh": 3,
    "erf": 1,
    "sin": 2,
    "cos": 2,
}


@MORE_PRECISE
@pytest.mark.parametrize("name", NAMES)
def test_each_function_is_as_precise_as_its_docstring_says(name: str) -> None:
    function: Callable[[ArrayLike], Array] = getattr(functions, name)
    reference = erf_reference if name == "erf" else getattr(np, name)
    for x in INPUTS[name]:
        exact = reference(x.astype(np.longdouble))
        error = np.abs(function(x) - exact) / np.spacing(np.abs(exact.astype(np.float64)))
        assert error.max() <= LARGEST_ERRORS[name], x[error.argmax()]
    assert f"largest error {LARGEST_ERRORS[name]} ulp" in (function.__doc__ or "")


@MORE_PRECISE
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_are_precise_for_many_turns(name: str) -> None:
    x = between(-1e5, 1e5)
    exact = getattr(np, name)(x.astype(np.longdouble))
    assert np.abs(getattr(functions, name)(x) - exact).max() <= 3e-16


@MORE_PRECISE
@pytest.mark.parametrize("base", [0.01, 0.5, 0.9, 0.999999, 1.0, 1.5, 10.0])
def test_power_is_as_precise_as_its_docstring_says(base: float) -> None:
    exponents = between(-60, 60)
    exact = np.power(np.longdouble(base), exponents.astype(np.longdouble))
    error = np.abs(power(base, exponents) / exact - 1) / 2**-52
    assert (error <= 1.5 * np.abs(np.log(exact)) + 1).all()


SPECIAL: dict[str, list[tuple[float, float]]] = {
    "exp": [(0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (709.79, INF), (1e308, INF), (-708.1, 0), (-1e308, 0)],
    "expm1": [(0, 0), (5e-324, 5e-324), (INF, INF), (-INF, -1), (709.79, INF), (-50, -1)],
    "log": [(1, 0), (0, -INF), (-0.0, -INF), (-5e-324, NAN), (-1, NAN), (INF, INF), (-INF, NAN)],
    "log1p": [(0, 0), (-0.0, 0), (5e-324, 5e-324), (-1, -INF), (-1.1, NAN), (INF, INF), (-INF, NAN)],
    "tanh": [(0, 0), (-0.0, -0.0), (5e-324, 5e-324), (INF, 1), (-INF, -1), (30, 1), (-1e308, -1)],
    "erf": [(0, 0), (-0.0, -0.0), (INF, 1), (-INF, -1), (6, 1), (-1e308, -1)],
    "sin": [(0, 0), (-0.0, 0), (5e-324, 5e-324), (1.1e5, NAN), (1e308, NAN), (INF, NAN), (-INF, NAN)],
    "cos": [(0, 1), (-0.0, 1), (5e-324, 1), (1.1e5, NAN), (1e308, NAN), (INF, NAN), (-INF, NAN)],
}


@pytest.mark.parametrize("name", NAMES)
def test_special_values_are_those_of_the_function_and_none_warns(name: str) -> None:
    function: Callable[[ArrayLike], Array] = getattr(functions, name)
    x, expected = np.array([*SPECIAL[name], (NAN, NAN)]).T
    y = function(x)
    np.testing.assert_array_equal(y, expected)
    if name in {"tanh", "erf"}:
        np.testing.assert_array_equal(np.copysign(1, y), np.copysign(1, expected))
    assert y.dtype == np.float64
    assert function(np.zeros((0, 3))).shape == (0, 3)
    assert function(np.full((2, 3), 0.5)).shape == (2, 3)
    np.testing.assert_array_equal(function(0.5), function(np.array([0.5]))[0])


def test_powers_beyond_all_numbers_are_infinite_or_zero() -> None:
    exponents = [0, 1, 1e308, -1e308, np.inf, -np.inf]
    np.testing.assert_array_equal(power(2.0, exponents), [1, 2, np.inf, 0, np.inf, 0])
    np.testing.assert_array_equal(power(1e300, [2, -2]), [np.inf, 0])
    np.testing.assert_array_equal(power(1.0, [-1e308, 1e308]), 1)


@pytest.mark.parametrize("base", [0.0, 0.3, 0.9, 0.999, 1.0, 3.0])
def test_whole_powers_are_products(base: float) -> None:
    for exponent in (0, 1, 2, 3, 17, 600):
        exact = float(Fraction(base) ** exponent)
        assert whole_power(base, exponent) == pytest.approx(exact, rel=1e-13)


def test_normal_numbers_have_the_distribution() -> None:
    numbers = standard_normal(np.random.default_rng(0), 1_000_000)
    for order, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (5, 0), (6, 15)):
        deviation = math.sqrt(math.prod(range(1, 2 * order, 2)) / len(numbers))  # of the mean of nᵒʳᵈᵉʳ
        assert np.mean(numbers**order) == pytest.approx(moment, abs=4 * deviation)
    for bound in (0.1, 0.5, 1, 2, 3, 4):
        share = math.erf(bound / math.sqrt(2))
        deviation = math.sqrt(share * (1 - share) / len(numbers))
        assert np.mean(np.abs(numbers) < bound) == pytest.approx(share, abs=4 * deviation)
    assert abs(np.corrcoef(numbers[:500_000], numbers[500_000:])[0, 1]) < 0.006


@pytest.mark.parametrize("shape", [0, 1, 7, (0, 3), (5,), (3, 5), (2, 3, 4)])
def test_normal_numbers_come_in_any_shape(shape: int | tuple[int, ...]) -> None:
    numbers = standard_normal(np.random.default_rng(0), shape)
    assert numbers.shape == (shape if isinstance(shape, tuple) else (shape,))
    assert np.isfinite(numbers).all()
    assert len(set(numbers.ravel())) == numbers.size


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "tanh", "erf"])
def test_large_arrays_have_their_results_in_place_however_they_lie_in_memory(name: str) -> None:
    numbers = RNG.uniform(0.1, 5, (200, 300, 2))
    function = getattr(functions, name)
    expected = np.array([[function(row) for row in table] for table in numbers])
    layouts = (numbers, np.asfortranarray(numbers), numbers[::-1, :, ::-1], numbers.transpose(1, 2, 0))
    for x, y in zip(
        layouts, (expected, expected, expected[::-1, :, ::-1], expected.transpose(1, 2, 0)), strict=True
    ):
        np.testing.assert_array_equal(function(x), y)


def grid(low: float, high: float) -> Array:
    """Return numbers evenly spread, and numbers that are ever closer to 0, the same on every machine."""
    shares = np.arange(20_001) / 20_000
    return np.concatenate([low * (1 - shares) + high * shares, high * np.ldexp(1.0, -np.arange(1, 1000))])


HASHES = {  # of the results for a grid from the one number to the other
    "exp": (-700, 700, "9070e1c0ec009014977ba3cfed5f0d8b6d8f494469981746e3f5b9156bce322d"),
    "expm1": (-40, 700, "dcbc62da9710ef81e5a951db1e0e4453befac50ca09e38ba67cddd78ee08972d"),
    "log": (0.001, 1000.0, "1098e3edf95bd49467b1ff4557aa585a726971ee450efe65e19bbd8e35c767d2"),
    "log1p": (-0.999, 100, "affe35328f5c61c1a9605743ff8035c7392843dba7372911a7c476b8f2595c18"),
    "tanh": (-23, 23, "c31be49ed7d9a6c884233b26f5ff42cc70092c6644f763a473fcfcfbd99a994f"),
    "erf": (-6.5, 6.5, "3a655fbe0335c07d38ebf6fe34e16d0709bf06322039ce57c2bd2548ce6f335a"),
    "sin": (-30, 30, "5bc0c88cd6264f5a97764c669108909d94664d19ae74be4691a87dbc3bdb8370"),
    "cos": (-30, 30, "45788f5dc9fd481bcc9f5517ab57cabfcfd521172c771fe49fcd2c0bcdb0e24c"),
    "power": (-100, 100, "52fa8ba9124a88817dab0e73a8cc83010c2604aa77222c25aa988750ac76bc34"),
    "standard_normal": (0, 0, "ad11187274be2830bd0d8a572d452883d2d249218d5a3f35e0083f3aeee92499"),
}


@pytest.mark.parametrize("name", [*NAMES, "power", "standard_normal"])
def test_the_bits_are_those_written_down(name: str) -> None:
    low, high, expected = HASHES[name]
    if name == "standard_normal":
        y = standard_normal(np.random.default_rng(0), 20_000)
    elif name == "power":
        y = power(0.9, grid(low, high))
    else:
        y = getattr(functions, name)(grid(low, high))
    assert hashlib.sha256(y.tobytes()).hexdigest() == expected
