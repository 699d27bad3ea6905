"""Images distorted anew every time they are learned from: affine maps and elastic distortions.

P. Simard, D. Steinkraus, J. Platt, "Best Practices for Convolutional Neural Networks Applied to Visual
Document Analysis" (ICDAR 2003).
"""

import math

import numpy as np

PIXELS = 25_000  # distorted at a time: all that is computed of them stays in the cache


class Distortion:
    """Takes each pixel of an image from a place a little way off, by bilinear interpolation; outside is 0.

    The place of a pixel at (x, y), counted from the image's middle, is A·(x, y) + shift + displacement(x, y):
    A is a rotation after a shear after a scaling of both axes; the displacement is drawn from U[−1, 1) for
    every pixel and each direction, times `amplitude`, and smoothed by a Gaussian.

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
        for start in range(0, len(images), self._at_once):
            some = slice(start, start + self._at_once)
            distorted[some] = self._distort(images[some].reshape(-1, self.rows, self.columns), rng)
        return distorted

    def _distort(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return `images`, shape (n, rows, columns), distorted, with flattened rows."""
        n = len(images)
        # A margin of zeros, one pixel before and two after, into which all places outside are moved.
        padded = np.zeros((n, self.rows + 3, self.columns + 3), np.float32)
        padded[:, 1:-2, 1:-2] = images
        y, x = self._places(n, rng)
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

    def _places(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return where each pixel is taken from, y and x from the middle: (2, n, rows, columns)."""
        angle, across, along, shear, dy, dx = 2 * rng.random((6, n, 1, 1), np.float32) - 1
        cos, sin = np.cos(self.rotation * angle), np.sin(self.rotation * angle)
        across = 1 + self.scale * across
        along = 1 + self.scale * along
        shear = self.shear * shear
        places = np.empty((2, n, self.rows, self.columns), np.float32)
        np.add(sin * across * self._x, (sin * shear + cos) * along * self._y + self.shift * dy, out=places[0])
        np.add(cos * across * self._x, (cos * shear - sin) * along * self._y + self.shift * dx, out=places[1])
        if self.amplitude:
            noise = rng.random(places.shape, np.float32)
            noise -= 0.5
            # Image by image: products as small as these are done by one thread, so with the same bits always.
            places += self._smooth_rows @ noise @ (2 * self.amplitude * self._smooth_columns)
        return places


def augmentation(name: str, image_shape: tuple[int, int], **parameters: float) -> Distortion | None:
    """Return the distortion with these `parameters`; None where `name` is none."""
    return None if name == "none" else Distortion(image_shape, **parameters)


def gaussian(size: int, sigma: float) -> np.ndarray:
    """Return the matrix, (size, size) float32, that smooths along an axis of `size` pixels; outside is 0.

    Its kernel sums to 1.
    """
    reach = size + math.ceil(9 * sigma)  # beyond it the kernel is nothing
    distance = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)
    kernel /= kernel.sum()
    pixels = np.arange(size)
    return kernel[reach + pixels - pixels[:, None]].astype(np.float32)


def interpolate(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return a + share · (b − a), in the memory of `b`."""
    b -= a
    b *= share
    b += a
    return b
