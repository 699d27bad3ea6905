"""A photo of a digit becomes an image like those of MNIST: its ink is found, and put where MNIST has it."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from pipeline.nn.types import Array
from pipeline.support.errors import UserError
from pipeline.support.files import reading

MOST_PIXELS = 80_000_000  # of a photo
SIDE = 512  # pixels of the longer side, to which a photo is reduced: a digit needs 20
BOX = 20 / 28  # of the image's sides: the box that a digit of MNIST fits in

# How ink is found. Lengths are shares of the photo's longer side; contrasts are differences of logarithms.
GRAIN = 0.003  # of a paper's texture, which is smoothed away
WINDOW = 0.25  # wider than any line, narrower than most shadows
FILLED = 0.5  # of the digit's longer side: wider than the spots where lines run into one another
CONTRAST = 0.15  # what differs less from the paper is no ink
DARKEST = 0.1  # of white: below it, differences are noise
SPECK = 0.05  # of the area of the largest patch of ink: what is smaller is dirt
INNER = 0.15  # if a patch inside the photo is as long, those at its edge are not of the digit
LINE = 0.1  # of the digit's longer side: the width of a line that is still seen when the side is 20 pixels


def read_photo(path: Path, shape: tuple[int, int]) -> Array:
    """Return the digit on the PNG or JPEG at `path` in the form of the data: `shape`, numbers in [0, 1].

    Raises:
        UserError: if the file is no such picture, is too large, or no ink is seen on it.
    """
    with reading(path, "", remedy="it should be a PNG or JPEG picture, or a CSV or NPY file of pixel values"):
        try:
            grey = open_photo(path)
        except UnidentifiedImageError:
            raise ValueError("no picture that can be read") from None
    return from_grey(grey, path, shape)


def from_grey(grey: Array, path: Path, shape: tuple[int, int]) -> Array:
    """Return the digit on a photo in grey, (height, width) in [0, 1], in the form of the data.

    Raises:
        UserError: if no ink is seen on it; the error names `path`.
    """
    photo = Image.fromarray(grey.astype(np.float32))
    photo.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    ink = find_ink(np.asarray(photo, np.float64))
    if not ink.any():
        raise UserError(
            f"{path}: no ink is seen on it: it should show one digit, darker or lighter than the paper"
        )
    return in_data_form(thickened(ink), shape)


def open_photo(path: Path) -> Array:
    """Return a picture in grey as it should be looked at, (height, width) in [0, 1]; a large one reduced.

    A camera that was turned says so in the file. What is transparent is white, as paper is.
    """
    with Image.open(path, formats=("PNG", "JPEG")) as photo:
        if photo.width * photo.height > MOST_PIXELS:
            raise ValueError(f"{photo.width} × {photo.height} pixels, more than {MOST_PIXELS:,}")
        photo.draft("L", (SIDE, SIDE))  # a large JPEG is read in a smaller size
        upright = ImageOps.exif_transpose(photo)
    if upright.mode.startswith("I"):  # 16 bits
        return np.asarray(upright, np.float32) / 65535
    transparent = upright.has_transparency_data
    upright = upright.convert("RGBA" if transparent else "L")
    upright.thumbnail((SIDE, SIDE), Image.Resampling.BOX)  # before a pixel takes more than a byte
    if transparent:
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("L")
    return np.asarray(upright, np.float64) / 255


def find_ink(grey: Array) -> Array:
    """Return how much ink is where on a photo, from 0 to 1; all 0 if there is none.

    Args:
        grey: (height, width) in [0, 1].

    Ink may be darker or lighter than the paper. Light multiplies what it falls on. So in logarithms, ink
    differs from the paper around it by the same number in light and in shadow. The paper's brightness is
    what remains if all that is narrower than a window takes the brightness around it: a closing.
    """
    longer = max(grey.shape)
    light = np.log(ndimage.gaussian_filter(grey, GRAIN * longer) + DARKEST)
    # Ink is the smaller part of what is around it, so the mean there is close to the paper's brightness.
    around = ndimage.uniform_filter(light, _odd(2 * WINDOW * longer))
    sign = -1 if ((light - around) ** 3).sum() > 0 else 1  # −1 for light ink on dark paper
    window = WINDOW * longer
    for _ in range(2):  # the second time with a window that fits the digit
        paper = ndimage.grey_closing(sign * light, (_odd(window), _odd(window)))
        depth = paper - sign * light
        depth[(depth > CONTRAST) & ~_of_digit(depth > CONTRAST)] = 0  # or a dark table would hide faint ink
        inked = _of_digit(depth > max(threshold(depth), CONTRAST))
        if not inked.any():
            return np.zeros_like(grey)
        window = max(window, FILLED * _longer_side(inked))
    full = np.quantile(depth[inked], 0.75)  # of ink, without the soft edges of its lines
    ink = (np.exp(sign * paper) - np.exp(light)) / (np.exp(sign * paper) - np.exp(sign * (paper - full)))
    near = ndimage.binary_dilation(inked, iterations=max(longer // 256, 1))  # with the soft edges
    return np.where(near, ink.clip(0, 1), 0)


def threshold(values: Array) -> float:
    """Return where to split `values` into two groups so that the values in each differ least.

    Source: N. Otsu, "A threshold selection method from gray-level histograms", 1979.
    """
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below, total = counts.cumsum(), (counts * middles).cumsum()
    above = below[-1] - below
    between = (total * above - (total[-1] - total) * below) ** 2 / np.maximum(below * above, 1)
    return float(edges[between.argmax() + 1])


def _of_digit(inked: np.ndarray) -> np.ndarray:
    """Return the patches of `inked` that are of the digit: neither dirt nor something at the photo's edge."""
    labels, _ = ndimage.label(inked, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    areas[0] = 0  # the paper
    boxes = ndimage.find_objects(labels)
    sides = np.array([0, *(max(side.stop - side.start for side in box) for box in boxes)])
    inside = np.ones(len(areas), dtype=bool)
    inside[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = False
    if (inside & (sides > INNER * max(inked.shape))).any():
        areas[~inside] = 0
    large = (areas > 0) & (areas >= SPECK * areas.max())
    return np.asarray(large[labels])


def thickened(ink: Array) -> Array:
    """Return `ink` with lines so wide that they can be seen in the form of the data."""
    drawn = ink > 0.5
    # The width of a line, from the mean distance of its pixels to its edges.
    width = 4 * ndimage.distance_transform_edt(drawn)[drawn].mean() - 2
    missing = LINE * _longer_side(drawn) - width
    if missing < 1:
        return ink
    ink = np.pad(ink, int(missing))
    away = ndimage.distance_transform_edt(ink <= 0.5)  # pixels to the nearest ink
    return np.maximum(ink, np.clip((missing + 1) / 2 - away, 0, 1))


def in_data_form(ink: Array, shape: tuple[int, int]) -> Array:
    """Bring `ink`, (height, width), to the form of the data, `shape`, as MNIST's authors did.

    The ink is scaled to fit into a box of 20 × 20, by the mean over the area of each pixel, and shifted by
    whole pixels so that its centre of mass is in the middle of 28 × 28. `drawing.js` does the same.

    Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
    """
    rows, columns = shape
    y, x = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    cut = ink[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
    scale = min(BOX * rows / cut.shape[0], BOX * columns / cut.shape[1])
    height, width = (max(int(np.floor(scale * side + 0.5)), 1) for side in cut.shape)
    small = _box_mean(cut.shape[0], height) @ cut @ _box_mean(cut.shape[1], width).T
    mass = small.sum()
    centre = (small.sum(axis=1) @ np.arange(height) / mass, small.sum(axis=0) @ np.arange(width) / mass)
    top, left = (int(np.floor(side / 2 - at + 0.5)) for side, at in zip(shape, centre, strict=True))
    room = np.zeros((3 * rows, 3 * columns))  # what goes over the edge is cut off
    room[rows + top : rows + top + height, columns + left : columns + left + width] = small
    return room[rows : 2 * rows, columns : 2 * columns]


def _box_mean(many: int, few: int) -> Array:
    """Return the matrix (few, many) that takes the mean of `many` pixels in each of `few` equal intervals."""
    ends = np.linspace(0, many, few + 1)
    before = np.clip(ends[:, None] - np.arange(many), 0, 1)  # how much of each pixel lies before each end
    return np.asarray(np.diff(before, axis=0) * few / many)


def _longer_side(drawn: np.ndarray) -> int:
    """Return the longer side of what is true in `drawn`, in pixels."""
    return max(int(np.ptp(places)) + 1 for places in np.nonzero(drawn))


def _odd(pixels: float) -> int:
    """Return an odd number near `pixels`: a window with a middle."""
    return round(pixels) | 1
