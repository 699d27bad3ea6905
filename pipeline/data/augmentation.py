"""Random distortions of training images, new ones in each epoch: affine maps and elastic distortions.

P. Simard, D. Steinkraus, J. Platt, "Best Practices for Convolutional Neural Networks Applied to Visual
Document Analysis" (ICDAR 2003).

The bits are the same on every machine. The random streams are fixed. All operations after them are ones that
IEEE 754 rounds exactly (+ − × ÷), in a fixed order, or matrix products whose partial sums are all exact, so
that their order does not matter.
"""

import math
from dataclasses import fields, replace
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.support.bounds import STRICT, Fraction, NonNegative, Real
from pipeline.support.elementary import cos, exp, sin
from pipeline.support.errors import UserError

MAGNITUDES = {"rotation", "scale", "shear", "shift", "amplitude"}  # fields of which 0 distorts nothing
PIXELS = 25_000  # that are distorted at once, so few that all numbers about them fit into the cache


Angle = Annotated[NonNegative, Field(le=math.pi)]  # radians
Shear = Annotated[NonNegative, Field(le=10)]
Pixels = Annotated[NonNegative, Field(le=1000)]
Sigma = Annotated[Real, Field(ge=0.1, le=1000)]  # a narrower Gaussian reaches no other pixel


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Augmentation:
    """How images are distorted.

    Attributes:
        name: in configurations.
    """

    name: str = ""

    def times(self, strength: float) -> Self:
        """Return the same augmentation with `strength` times the distances and angles."""
        there = MAGNITUDES & {field.name for field in fields(self)}
        return replace(self, **{name: strength * getattr(self, name) for name in there})


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NoAugmentation(Augmentation):
    """The images are learned from as they are."""

    name: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AffineMaps(Augmentation):
    """Images are rotated, scaled, sheared and shifted, evenly in both directions.

    Attributes:
        rotation: largest angle, in radians.
        scale: largest relative change of each axis' length.
        shear: largest shear.
        shift: largest shift along each axis, in pixels.
    """

    rotation: Angle
    scale: Fraction
    shear: Shear
    shift: Pixels


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Displacements(Augmentation):
    """Pixels are displaced.

    Attributes:
        amplitude: of the displacements before they are smoothed, in pixels.
        sigma: standard deviation of the Gaussian that smooths them, in pixels.
    """

    amplitude: Pixels
    sigma: Sigma


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Affine(AffineMaps):
    """Affine maps."""

    name: Literal["affine"] = "affine"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Elastic(Displacements):
    """Elastic distortions."""

    name: Literal["elastic"] = "elastic"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AffineElastic(AffineMaps, Displacements):
    """Both at once."""

    name: Literal["affine_elastic"] = "affine_elastic"


AUGMENTATIONS: dict[str, type[Augmentation]] = {
    each.name: each for each in (NoAugmentation, Affine, Elastic, AffineElastic)
}


NO_MAPS = Affine(rotation=0.0, scale=0.0, shear=0.0, shift=0.0)
NO_DISPLACEMENTS = Elastic(amplitude=0.0, sigma=1.0)


class Distortion:
    """Takes each pixel of an image from a place nearby, by bilinear interpolation; outside is 0.

    The place of a pixel at (x, y), counted from the image's middle, is A·(x, y) + shift + displacement(x, y):
    A is a rotation after a shear after a scaling of both axes; the displacement is drawn from U[−1, 1), in
    steps of 2⁻¹⁵, for every pixel and each direction, times `amplitude`, and smoothed by a Gaussian.

    Args:
        augmentation: how images are distorted.
        image_shape: rows and columns.
    """

    def __init__(self, augmentation: Augmentation, image_shape: tuple[int, int]) -> None:
        affine = augmentation if isinstance(augmentation, AffineMaps) else NO_MAPS
        elastic = augmentation if isinstance(augmentation, Displacements) else NO_DISPLACEMENTS
        self.rows, self.columns = image_shape
        self.affine = affine
        self.amplitude = elastic.amplitude
        self._smooth_rows = gaussian(self.rows, elastic.sigma)
        self._smooth_columns = gaussian(self.columns, elastic.sigma)
        self._y = np.arange(self.rows, dtype=np.float32)[:, None] - (self.rows - 1) / 2
        self._x = np.arange(self.columns, dtype=np.float32) - (self.columns - 1) / 2
        self._at_once = max(1, PIXELS // (self.rows * self.columns))

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return `images`, shape (n, rows · columns), float32, each distorted by numbers from `rng`."""
        distorted = np.empty_like(images)
        maps = self._draw_maps(len(images), rng)
        for start in range(0, len(images), self._at_once):
            some = slice(start, start + self._at_once)
            places = self._draw_places(maps[:, some], rng)
            distorted[some] = self._interpolate(images[some].reshape(-1, self.rows, self.columns), *places)
        return distorted

    def alike(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return `images`, shape (n, rows · columns), float32, all distorted in one way, drawn from `rng`.

        So what becomes of an image does not depend on the others.
        """
        distorted = np.empty_like(images)
        places = self._draw_places(self._draw_maps(1, rng), rng)
        for start in range(0, len(images), self._at_once):
            some = images[start : start + self._at_once].reshape(-1, self.rows, self.columns)
            y, x = places.repeat(len(some), axis=1)
            distorted[start : start + len(some)] = self._interpolate(some, y, x)
        return distorted

    def _draw_maps(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return the factors of x, y and 1 in y, then in x, of n affine maps, (6, n) float32."""
        angle, across, along, shear, dy, dx = 2 * rng.random((6, n)) - 1
        sine, cosine = sin(self.affine.rotation * angle), cos(self.affine.rotation * angle)
        across = 1 + self.affine.scale * across
        along = 1 + self.affine.scale * along
        shear = self.affine.shear * shear
        return np.array(
            [
                *(sine * across, (sine * shear + cosine) * along, self.affine.shift * dy),
                *(cosine * across, (cosine * shear - sine) * along, self.affine.shift * dx),
            ],
            np.float32,
        )

    def _draw_places(self, maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the y and x, from the middle, of each pixel's source: (2, n, rows, columns) float32."""
        n = maps.shape[1]
        places = np.empty((2, n, self.rows, self.columns), np.float32)
        for place, of_map in zip(places, maps.reshape(2, 3, n, 1, 1), strict=True):
            by_x, by_y, shift = of_map
            np.add(by_x * self._x, by_y * self._y + shift, out=place)
        if self.amplitude:
            # The noise is integers of 16 bits, and the matrices hold multiples of 2⁻¹⁸ that sum to about 1.
            # So all sums are multiples of 2⁻³⁶, less than 2¹⁶, and exact in float64.
            noise = np.frombuffer(rng.bytes(2 * places.size), "<i2").astype(np.float64).reshape(places.shape)
            smoothed = self._smooth_rows @ noise @ self._smooth_columns
            smoothed *= self.amplitude / 2**15
            places += smoothed.astype(np.float32)
        return places

    def _interpolate(self, images: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return `images` at the places (y, x), with flattened rows; `y` and `x` are overwritten.

        All three have the shape (n, rows, columns).
        """
        n = len(images)
        # A margin of zeros, one pixel before and two after, into which all places outside are moved.
        padded = np.zeros((n, self.rows + 3, self.columns + 3), np.float32)
        padded[:, 1:-2, 1:-2] = images
        y += (self.rows + 1) / 2
        x += (self.columns + 1) / 2
        np.clip(y, 0, self.rows + 1, out=y)
        np.clip(x, 0, self.columns + 1, out=x)
        top, left = np.floor(y), np.floor(x)
        y -= top
        x -= left
        # The flat index of each place's upper left neighbour; float32 is exact up to 2²⁴.
        width = self.columns + 3
        top *= width
        top += left
        top += (np.arange(n, dtype=np.float32) * padded[0].size)[:, None, None]
        index = top.astype(np.intp)
        flat = padded.ravel()

        def neighbours(offset: int) -> np.ndarray:
            return flat[offset:].take(index, mode="clip")  # no check of the indices: all are inside

        upper = interpolate(neighbours(0), neighbours(1), x)
        lower = interpolate(neighbours(width), neighbours(width + 1), x)
        return interpolate(upper, lower, y).reshape(n, -1)


def check_images(augmentation: Augmentation, image_shape: tuple[int, ...] | None) -> None:
    """Raise `UserError` if `augmentation` cannot distort the data, because they are not grey images."""
    if not isinstance(augmentation, NoAugmentation) and (not image_shape or len(image_shape) != 2):
        raise UserError(
            f"augmentation = {augmentation.name}: should be none for data that are not grey images"
        )


def distortion_for(augmentation: Augmentation, image_shape: tuple[int, ...] | None) -> Distortion | None:
    """Return the distortion that `augmentation` describes; None if the images stay as they are.

    Raises:
        UserError: if the data are not grey images.
    """
    if isinstance(augmentation, NoAugmentation):
        return None
    check_images(augmentation, image_shape)
    assert image_shape  # checked above
    return Distortion(augmentation, (image_shape[0], image_shape[1]))


def gaussian(size: int, sigma: float) -> np.ndarray:
    """Return the matrix, (size, size) float64, that smooths along an axis of `size` pixels; outside is 0.

    Its kernel sums to 1, except that each of its numbers is rounded to a multiple of 2⁻¹⁸.
    """
    reach = size + math.ceil(9 * sigma)  # beyond it the kernel is 0
    distances = np.arange(reach) / sigma
    kernel = exp(-0.5 * distances * distances)
    total = float(kernel[0]) + 2 * math.fsum(kernel[1:])
    rounded = np.rint(kernel[:size] / total * 2**18) / 2**18
    pixels = np.arange(size)
    return rounded[np.abs(pixels - pixels[:, None])]


def interpolate(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return a + share · (b − a), in the memory of `b`."""
    b -= a
    b *= share
    b += a
    return b
