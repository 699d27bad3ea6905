from itertools import product

import numpy as np
import pytest

from pipeline.nn.products import axpy, gemm, gemv

LAYOUTS = list(product("CF", repeat=3))


def random(rng: np.random.Generator, m: int, n: int, order: str, dtype: str = "float64") -> np.ndarray:
    matrix = np.empty((m, n), dtype, order=order)  # type: ignore[call-overload] # C or F
    matrix[:] = rng.normal(size=(m, n))
    return matrix


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("keep", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("layouts", LAYOUTS, ids=map("".join, LAYOUTS))
@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 7, 3), (5, 1, 3), (5, 7, 1), (1, 1, 1)])
def test_gemm_adds_the_product_to_its_share_of_what_is_there(
    shape: tuple[int, int, int], layouts: tuple[str, str, str], keep: float, dtype: str
) -> None:
    m, k, n = shape
    rng = np.random.default_rng(0)
    a = random(rng, m, k, layouts[0], dtype)
    b = random(rng, k, n, layouts[1], dtype)
    out = random(rng, m, n, layouts[2], dtype)
    expected = keep * out.astype(float) + a.astype(float) @ b.astype(float)
    gemm(a, b, out, keep)
    np.testing.assert_allclose(out, expected, rtol=1e-12 if dtype == "float64" else 1e-4, atol=1e-6)


def test_gemm_overwrites_what_is_not_a_number() -> None:
    out = np.full((3, 4), np.nan)
    gemm(np.ones((3, 2)), np.ones((2, 4)), out)
    np.testing.assert_array_equal(out, 2)


@pytest.mark.parametrize(
    "place", [np.zeros((6, 8))[::2, ::2], np.zeros((8, 6)).T[::2, ::2]], ids=["rows", "columns"]
)
def test_gemm_does_not_lose_its_result(place: np.ndarray) -> None:
    """What it cannot compute in place it refuses, instead of computing elsewhere."""
    with pytest.raises(ValueError, match="in place"):
        gemm(np.ones((3, 2)), np.ones((2, 4)), place)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("keep", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (5, 1), (1, 1)])
def test_gemv_adds_the_product_to_its_share_of_what_is_there(
    shape: tuple[int, int], order: str, keep: float, dtype: str
) -> None:
    m, k = shape
    rng = np.random.default_rng(0)
    a = random(rng, m, k, order, dtype)
    x, out = (rng.normal(size=n).astype(dtype) for n in (k, m))
    expected = keep * out.astype(float) + a.astype(float) @ x.astype(float)
    gemv(a, x, out, keep)
    np.testing.assert_allclose(out, expected, rtol=1e-12 if dtype == "float64" else 1e-4, atol=1e-6)


def test_gemv_overwrites_what_is_not_a_number() -> None:
    out = np.full(3, np.nan)
    gemv(np.ones((3, 2)), np.ones(2), out)
    np.testing.assert_array_equal(out, 2)


def test_gemv_does_not_lose_its_result() -> None:
    with pytest.raises(ValueError, match="in place"):
        gemv(np.ones((3, 2)), np.ones(2), np.zeros(6)[::2])


def test_axpy_does_not_lose_its_result() -> None:
    with pytest.raises(ValueError, match="in place"):
        axpy(1, np.ones(3), np.zeros(6)[::2])


def test_axpy_adds_in_place() -> None:
    x, out = np.arange(20_000.0), np.ones(20_000)
    axpy(-2, x, out[:])
    np.testing.assert_array_equal(out, 1 - 2 * np.arange(20_000.0))
