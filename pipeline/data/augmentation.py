"""Images distorted anew every time they are learned from: affine maps and elastic distortions.

P. Simard, D. Steinkraus, J. Platt, "Best Practices for Convolutional Neural Networks Applied to Visual
Document Analysis" (ICDAR 2003).

The bits are the same on every machine: the random streams are fixed, and from them on there are only
operations that IEEE 754 rounds exactly (+ − × ÷) in a fixed order, and matrix products whose partial sums are
all exact, so that no order of them matters.
"""

import math

import numpy as np

from pipeline.support.elementary import cos, exp, sin

PIXELS = 25_000  # distorted at a time: all that is computed of them stays in the cache


class Distortion:
    """Takes each pixel of an image from a place a little way off, by bilinear interpolation; outside is 0.

    The place of a pixel at (x, y), counted from the image's middle, is A·(x, y) + shift + displacement(x, y):
    A is a rotation after a shear after a scaling of both axes; the displacement is drawn from U[−1, 1), in
    steps of 2⁻¹⁵, for every pixel and each direction, times `amplitude`, and smoothed by a Gaussian.

    Args:
        image_shape: rows and columns.
        rotation: largest angle, in radians; the angle is drawn evenly from both directions, here and below.
        scale: largest relative change of each axis' length.
        shear: largest shear.
        shift: largest shift along each axis, in pixels.
        amplitude: of the displacements before they are smoothed, in pixels; 0 for none.
        sigma: standard deviation of the Gaussian, in pixels.
    """

    def __init__(
        self,
        image_shape: tuple[int, int],
        *,
        rotation: float = 0.0,
        scale: float = 0.0,
        shear: float = 0.0,
        shift: float = 0.0,
        amplitude: float = 0.0,
        sigma: float = 1.0,
    ) -> None:
        self.rows, self.columns = image_shape
        self.rotation = rotation
        self.scale = scale
        self.shear = shear
        self.shift = shift
        self.amplitude = amplitude
        self._smooth_rows = gaussian(self.rows, sigma)
        self._smooth_columns = gaussian(self.columns, sigma)
        self._y = np.arange(self.rows, dtype=np.float32)[:, None] - (self.rows - 1) / 2
        self._x = np.arange(self.columns, dtype=np.float32) - (self.columns - 1) / 2
        self._at_once = max(1, PIXELS // (self.rows * self.columns))

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return `images`, shape (n, rows · columns), float32, each distorted as `rng` has it."""
        distorted = np.empty_like(images)
        maps = self._draw_maps(len(images), rng)
        for start in range(0, len(images), self._at_once):
            some = slice(start, start + self._at_once)
            places = self._draw_places(maps[:, some], rng)
            distorted[some] = self._interpolate(images[some].reshape(-1, self.rows, self.columns), *places)
        return distorted

    def _draw_maps(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return what x, y and 1 are multiplied by for the y and the x of n affine maps, (6, n) float32."""
        angle, across, along, shear, dy, dx = 2 * rng.random((6, n)) - 1
        sine, cosine = sin(self.rotation * angle), cos(self.rotation * angle)
        across = 1 + self.scale * across
        along = 1 + self.scale * along
        shear = self.shear * shear
        return np.array(
            [
                *(sine * across, (sine * shear + cosine) * along, self.shift * dy),
                *(cosine * across, (cosine * shear - sine) * along, self.shift * dx),
            ],
            np.float32,
        )

    def _draw_places(self, maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return where each pixel is taken from, y and x from the middle: (2, n, rows, columns) float32."""
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
            return flat[offset:].take(index, mode="clip")  # which checks no index: none is outside

        upper = interpolate(neighbours(0), neighbours(1), x)
        lower = interpolate(neighbours(width), neighbours(width + 1), x)
        return interpolate(upper, lower, y).reshape(n, -1)


def augmentation(name: str, image_shape: tuple[int, int], **parameters: float) -> Distortion | None:
    """Return the distortion with these `parameters`; None where `name` is none."""
    return None if name == "none" else Distortion(image_shape, **parameters)


def gaussian(size: int, sigma: float) -> np.ndarray:
    """Return the matrix, (size, size) float64, that smooths along an axis of `size` pixels; outside is 0.

    Its kernel sums to 1, but for the rounding of each of its numbers to a multiple of 2⁻¹⁸.
    """
    reach = size + math.ceil(9 * sigma)  # beyond it the kernel is nothing
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
