import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates
from threadpoolctl import threadpool_limits

from benchmarks.augmentation import CHOICES, experiment_with
from pipeline.data import augmentation as augmentation_module
from pipeline.data.augmentation import (
    NO_MAPS,
    Affine,
    AffineElastic,
    Augmentation,
    Distortion,
    Elastic,
    gaussian,
)

MAPS: dict[str, Any] = {"rotation": 0.2, "scale": 0.15, "shear": 0.15, "shift": 1.0}
BOTH = AffineElastic(**MAPS, amplitude=34.0, sigma=5.0)
SHIFT = Affine(rotation=0.0, scale=0.0, shear=0.0, shift=50.0)
SHAPES = [(28, 28), (7, 19), (40, 12), (1, 30), (1, 1)]


def pictures(shape: tuple[int, int], count: int = 5) -> np.ndarray:
    """Return random images, flattened."""
    return np.random.default_rng(1).random((count, math.prod(shape)), dtype=np.float32)


def places(distortion: Distortion, count: int) -> np.ndarray:
    """Return where the pixels of as many images are taken from."""
    rng = seeded()
    return distortion._draw_places(distortion._draw_maps(count, rng), rng)


def seeded() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", SHAPES)
def test_without_any_distortion_the_images_stay_as_they_are(shape: tuple[int, int]) -> None:
    images = pictures(shape)
    np.testing.assert_array_equal(Distortion(NO_MAPS, shape)(images, seeded()), images)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("augmentation", [Elastic(amplitude=34.0, sigma=5.0), SHIFT, BOTH], ids=str)
def test_each_pixel_is_interpolated_at_its_place_and_outside_is_0(
    shape: tuple[int, int], augmentation: Augmentation
) -> None:
    """SciPy interpolates at the same places: in a wide margin of zeros, so that it fades out there, too."""
    images = pictures(shape)
    distortion = Distortion(augmentation, shape)
    y, x = places(distortion, len(images))
    expected = [
        map_coordinates(
            np.pad(image.reshape(shape), 60),
            [rows + (shape[0] - 1) / 2 + 60, columns + (shape[1] - 1) / 2 + 60],
            order=1,
        ).ravel()
        for image, rows, columns in zip(images, y, x, strict=True)
    ]
    np.testing.assert_allclose(distortion(images, seeded()), expected, atol=1e-4)


def test_the_affine_part_is_a_rotation_after_a_shear_after_a_scaling_and_a_shift() -> None:
    """Solved for from where the pixels are taken: A = R(θ)·K·S, each within its bounds on both sides."""
    distortion = Distortion(Affine(**MAPS), (9, 11))
    taken_from = places(distortion, 500).astype(float)
    x = np.broadcast_to(np.arange(11) - 5, (9, 11)).ravel()
    y = np.broadcast_to(np.arange(9)[:, None] - 4, (9, 11)).ravel()
    unknown = np.stack([x, y, np.ones(99)], axis=1)
    drawn = []
    for rows, columns in zip(*taken_from, strict=True):
        solved, residual, *_ = np.linalg.lstsq(unknown, np.stack([columns.ravel(), rows.ravel()], axis=1))
        assert residual.max() < 1e-8
        (a, c), (b, d), shift = solved
        angle, across = math.atan2(c, a), math.hypot(a, c)
        along = (a * d - b * c) / across
        drawn.append([angle, across - 1, along - 1, (a * b + c * d) / across / along, *shift])
    bounds = [0.2, 0.15, 0.15, 0.15, 1, 1]
    assert np.all(np.abs(drawn) <= np.array(bounds) + 1e-5)
    np.testing.assert_allclose(np.min(drawn, axis=0), -np.array(bounds), rtol=0.1)
    np.testing.assert_allclose(np.max(drawn, axis=0), bounds, rtol=0.1)
    correlation = np.corrcoef(np.transpose(drawn)) - np.eye(6)
    assert np.abs(correlation).max() < 0.2


@pytest.mark.parametrize("shape", [(28, 28), (7, 19), (1, 30)])
def test_the_displacements_are_even_noise_smoothed_by_a_gaussian(shape: tuple[int, int]) -> None:
    still = places(Distortion(NO_MAPS, shape), 200)
    noise = places(Distortion(Elastic(amplitude=1.0, sigma=0.1), shape), 200) - still  # too narrow to smooth
    moved = places(Distortion(Elastic(amplitude=34.0, sigma=2.5), shape), 200) - still
    assert np.abs(noise).max() <= 1
    shares, _ = np.histogram(noise, 10, (-1, 1))
    np.testing.assert_allclose(shares / noise.size, 0.1, atol=0.01)
    expected = 34 * gaussian_filter(noise, 2.5, axes=(2, 3), mode="constant", truncate=12)
    np.testing.assert_allclose(moved, expected, atol=4e-4)


def test_the_gaussian_sums_to_1_where_no_border_cuts_it_off() -> None:
    assert gaussian(41, 2.0).sum(axis=1)[20] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("size", "sigma"), [(28, 0.1), (28, 5.0), (300, 7.0), (28, 1000.0)])
def test_products_with_the_gaussian_are_exact(size: int, sigma: float) -> None:
    """It holds multiples of 2⁻¹⁸ whose sums stay below what 53 bits hold beside two other factors."""
    matrix = gaussian(size, sigma)
    np.testing.assert_array_equal(matrix, np.rint(matrix * 2**18) / 2**18)
    assert matrix.sum(axis=1).max() ** 2 < 2


def test_the_bits_depend_on_the_seed_alone() -> None:
    """Not on threads, on how many images are distorted in a call, or on what else the machine does."""
    images = pictures((28, 28), 300)
    distortion = Distortion(BOTH, (28, 28))
    with threadpool_limits(1):
        expected = distortion(images, seeded())
    with threadpool_limits(2):
        np.testing.assert_array_equal(distortion(images, seeded()), expected)
    with ThreadPoolExecutor(2) as threads:
        for result in threads.map(lambda _: distortion(images, seeded()), range(4)):
            np.testing.assert_array_equal(result, expected)
    assert not np.array_equal(distortion(images, np.random.default_rng(1)), expected)
    assert expected.dtype == np.float32


def test_distorted_alike_an_image_does_not_depend_on_the_others() -> None:
    images = pictures((28, 28), 300)
    distortion = Distortion(BOTH, (28, 28))
    together = distortion.alike(images, seeded())
    for row in (0, 1, 299):
        alone = images[row : row + 1]
        np.testing.assert_array_equal(distortion.alike(alone, seeded())[0], together[row])
        np.testing.assert_array_equal(distortion(alone, seeded())[0], together[row])


def test_a_weaker_distortion_moves_pixels_less_in_the_same_way() -> None:
    weaker = places(Distortion(BOTH.times(0.5), (28, 28)), 20) - places(Distortion(NO_MAPS, (28, 28)), 20)
    whole = places(Distortion(BOTH, (28, 28)), 20) - places(Distortion(NO_MAPS, (28, 28)), 20)
    np.testing.assert_allclose(weaker, whole / 2, atol=0.5)  # a rotation is no multiple of another
    np.testing.assert_array_equal(
        places(Distortion(BOTH.times(1), (28, 28)), 5), places(Distortion(BOTH, (28, 28)), 5)
    )


def test_every_image_is_distorted_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation_module, "PIXELS", 28 * 28 * 3)
    same = np.tile(pictures((28, 28), 1), (10, 1))
    assert len(np.unique(Distortion(BOTH, (28, 28))(same, seeded()), axis=0)) == 10


def test_the_benchmark_has_an_experiment_for_each_augmentation() -> None:
    assert [experiment_with(name).augmentation.name for name in CHOICES] == list(CHOICES)
