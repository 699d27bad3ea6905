"""Photos of digits on paper, drawn: with texture, shadow, slant and noise, as a telephone takes them."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from pipeline.nn.types import Array

ENLARGED = 560  # pixels of an image's side, from which a photo is made


def write_photo(path: Path, digit: np.ndarray, seed: int, width: int, light: bool) -> None:
    """Write a photo of `digit`, (28, 28) uint8, to `path`.

    Args:
        path: a JPEG.
        digit: an image of `pipeline.data.strokes`, whose ink is on the photo.
        seed: of all that is random.
        width: of the photo, in pixels.
        light: whether the ink is light and the paper is dark.
    """
    rng = np.random.default_rng(seed)
    height = round(width * rng.uniform(0.75, 1.3))
    ink = slanted(digit, rng, (height, width))
    fibres = ndimage.gaussian_filter(rng.normal(size=(height, width)), (1, 4))
    texture = 0.03 * fibres / fibres.std() + 0.02 * rng.normal(size=(height, width))
    paper, pen = (0.15, 0.75) if light else (0.88, 0.2)
    photo = (paper + texture) * (1 - ink) + pen * ink
    photo *= lighting(rng, (height, width))
    pixels = (255 * photo.clip(0, 1)).astype(np.uint8)
    Image.fromarray(pixels).save(path, "JPEG", quality=int(rng.integers(50, 95)))


def slanted(digit: np.ndarray, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return the digit's ink, 0 to 1, enlarged, slanted and turned, somewhere on paper of this `shape`."""
    large = Image.fromarray(digit).resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC)
    ink = np.clip(8 * (ndimage.gaussian_filter(np.asarray(large) / 255, 6) - 0.35) + 0.5, 0, 1)
    turn, slant, scale = rng.uniform(-0.12, 0.12), rng.uniform(-0.15, 0.15), rng.uniform(0.4, 0.9)
    back = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, 0], [slant, 1]]
    back *= ENLARGED / (scale * min(shape))
    centre = np.array(shape) * rng.uniform(0.48, 0.52, 2)
    offset = np.full(2, ENLARGED / 2) - back @ centre
    return np.asarray(ndimage.affine_transform(ink, back, offset, output_shape=shape, order=1))


def lighting(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return the light on paper of this `shape`: brighter on one side, with a shadow that has an edge."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape) - 0.5
    angle, edge = rng.uniform(0, 2 * np.pi, 2)
    towards = np.cos(angle) * x + np.sin(angle) * y
    shadow = np.cos(edge) * x + np.sin(edge) * y > rng.uniform(-0.3, 0.3)
    soft = ndimage.gaussian_filter(shadow.astype(float), 0.01 * max(shape))
    return np.asarray((0.8 + 0.35 * towards) * (1 - 0.35 * soft))
