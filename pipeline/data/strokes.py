"""The strokes dataset: digit-like images that the project draws itself, for a machine without a network.

Each digit is a few pen strokes through control points. For each image the points are moved at random, and
smooth curves are drawn through them. The whole is slanted, turned, scaled and shifted. The ink of a pixel
follows from its distance to the pen's path. The random changes are so large that the default network makes
about as many errors as on MNIST.

The bits are the same on every machine. The random streams are fixed, and all operations after them are ones
that IEEE 754 rounds exactly (+ − × ÷ √). None comes from the mathematics library or BLAS.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

SIDE = 28
BLOCK = 500  # images that are drawn at once; another number gives other images

_SEED = 28_28_10
_STREAMS = {"train": 0, "official": 1}

# How much an image differs from the plain digit: half-widths of triangular distributions around 0.
_POINT = 0.18  # each control point, in digit heights
_SLANT = 0.45  # sideways by height
_TURN = 0.22  # tangent of half the angle
_STRETCH = 0.25  # width and height, each by this fraction
_SHIFT = 3.0  # pixels
_HEIGHT = 17.0  # pixels of a plain digit
_PEN = (0.7, 1.9)  # half the line's width in pixels, least and most
_INK = (0.75, 1.0)  # brightness of a fully inked pixel, least and most


class _Glyph(NamedTuple):
    """One way to write a digit: control points (x, y) in [0, 1]², y downwards, and the strokes through them.

    A stroke is a list of indices of points. If the last is the first, the stroke is a closed loop. Strokes
    that share a point meet there in a corner.
    """

    points: list[tuple[float, float]]
    strokes: list[list[int]]


_DIGITS: list[list[_Glyph]] = [
    [
        _Glyph(
            [
                (0.5, 0.0),
                (0.22, 0.2),
                (0.16, 0.5),
                (0.25, 0.82),
                (0.5, 1.0),
                (0.77, 0.8),
                (0.84, 0.5),
                (0.76, 0.18),
            ],
            [[0, 1, 2, 3, 4, 5, 6, 7, 0]],
        ),
    ],
    [
        _Glyph([(0.5, 0.0), (0.5, 0.5), (0.5, 1.0)], [[0, 1, 2]]),
        _Glyph([(0.32, 0.2), (0.53, 0.0), (0.53, 0.5), (0.53, 1.0)], [[0, 1], [1, 2, 3]]),
        _Glyph([(0.32, 0.2), (0.53, 0.0), (0.53, 1.0), (0.28, 1.0), (0.78, 1.0)], [[0, 1], [1, 2], [3, 4]]),
    ],
    [
        _Glyph(
            [(0.2, 0.22), (0.48, 0.0), (0.76, 0.24), (0.58, 0.58), (0.18, 1.0), (0.84, 0.97)],
            [[0, 1, 2, 3, 4], [4, 5]],
        ),
        _Glyph(
            [
                (0.2, 0.2),
                (0.5, 0.0),
                (0.74, 0.28),
                (0.5, 0.68),
                (0.22, 0.96),
                (0.2, 0.76),
                (0.5, 0.86),
                (0.86, 0.98),
            ],
            [[0, 1, 2, 3, 4, 5, 6, 7]],
        ),
    ],
    [
        _Glyph(
            [(0.22, 0.12), (0.52, 0.0), (0.76, 0.2), (0.42, 0.46), (0.8, 0.72), (0.52, 1.0), (0.18, 0.88)],
            [[0, 1, 2, 3], [3, 4, 5, 6]],
        ),
        _Glyph(
            [(0.2, 0.02), (0.76, 0.02), (0.45, 0.4), (0.8, 0.7), (0.52, 1.0), (0.18, 0.88)],
            [[0, 1], [1, 2], [2, 3, 4, 5]],
        ),
    ],
    [
        _Glyph([(0.26, 0.0), (0.16, 0.55), (0.84, 0.53), (0.7, 0.02), (0.68, 1.0)], [[0, 1], [1, 2], [3, 4]]),
        _Glyph([(0.64, 0.0), (0.12, 0.66), (0.88, 0.66), (0.64, 1.0)], [[0, 1], [1, 2], [0, 3]]),
    ],
    [
        _Glyph(
            [(0.8, 0.02), (0.28, 0.02), (0.24, 0.44), (0.56, 0.38), (0.8, 0.68), (0.52, 1.0), (0.18, 0.9)],
            [[0, 1], [1, 2], [2, 3, 4, 5, 6]],
        ),
    ],
    [
        _Glyph(
            [(0.66, 0.0), (0.32, 0.32), (0.2, 0.7), (0.48, 1.0), (0.78, 0.76), (0.54, 0.52), (0.24, 0.72)],
            [[0, 1, 2, 3, 4, 5, 6]],
        ),
    ],
    [
        _Glyph([(0.16, 0.04), (0.84, 0.04), (0.56, 0.5), (0.4, 1.0)], [[0, 1], [1, 2, 3]]),
        _Glyph(
            [(0.16, 0.04), (0.84, 0.04), (0.56, 0.5), (0.4, 1.0), (0.34, 0.52), (0.78, 0.48)],
            [[0, 1], [1, 2, 3], [4, 5]],
        ),
    ],
    [
        _Glyph(
            [
                (0.72, 0.14),
                (0.48, 0.0),
                (0.26, 0.22),
                (0.5, 0.47),
                (0.78, 0.76),
                (0.5, 1.0),
                (0.22, 0.76),
                (0.5, 0.48),
            ],
            [[0, 1, 2, 3, 4, 5, 6, 7, 0]],
        ),
    ],
    [
        _Glyph(
            [(0.74, 0.14), (0.48, 0.02), (0.22, 0.26), (0.46, 0.5), (0.72, 0.3), (0.74, 0.6), (0.68, 1.0)],
            [[0, 1, 2, 3, 4, 0], [0, 5, 6]],
        ),
        _Glyph(
            [
                (0.74, 0.16),
                (0.48, 0.02),
                (0.22, 0.26),
                (0.46, 0.48),
                (0.72, 0.28),
                (0.74, 0.62),
                (0.56, 1.0),
                (0.22, 0.92),
            ],
            [[0, 1, 2, 3, 4, 0], [0, 5, 6, 7]],
        ),
    ],
]

_MOST_POINTS = max(len(glyph.points) for glyphs in _DIGITS for glyph in glyphs)


def choose_digits(count: int, part: Literal["train", "official"]) -> np.ndarray:
    """Return `count` labels, (count,) uint8 in 0…9; a smaller count gives the first of them."""
    return (10 * _stream(part, 0).random(count)).astype(np.uint8)


def draw(digits: np.ndarray, part: Literal["train", "official"]) -> Iterator[np.ndarray]:
    """Draw an image of each of `digits`; yield them in blocks of (n, 28, 28) uint8, 255 for full ink."""
    for block, start in enumerate(range(0, len(digits), BLOCK), start=1):
        chosen = digits[start : start + BLOCK]
        # Numbers for a whole block even if the last one is shorter, so that no image depends on the count.
        numbers = _stream(part, block).random((BLOCK, 15 + 4 * _MOST_POINTS))[: len(chosen)].T
        variant, pen, ink = numbers[:3]
        jitter = numbers[3::2] + numbers[4::2] - 1
        images = np.empty((len(chosen), SIDE, SIDE), np.uint8)
        for digit, glyphs in enumerate(_DIGITS):
            for number, glyph in enumerate(glyphs):
                rows = np.flatnonzero((chosen == digit) & ((variant * len(glyphs)).astype(int) == number))
                images[rows] = _draw_glyph(
                    glyph, _between(_PEN, pen[rows]), _between(_INK, ink[rows]), jitter[:, rows]
                )
        yield images


def _stream(part: str, number: int) -> np.random.Generator:
    sequence = np.random.SeedSequence(_SEED, spawn_key=(_STREAMS[part], number))
    return np.random.Generator(np.random.PCG64(sequence))


def _between(ends: tuple[float, float], fraction: np.ndarray) -> np.ndarray:
    low, high = ends
    return low + (high - low) * fraction


def _draw_glyph(glyph: _Glyph, pen: np.ndarray, ink: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """Draw n images of `glyph`.

    Args:
        glyph: the plain digit.
        pen: half the line's width in pixels, (n,).
        ink: the brightness of full ink, in [0, 1], (n,).
        jitter: (6 + 2 · points, n) in [−1, 1]: slant, turn, stretch, shift, then each point's x and y.

    Returns:
        (n, 28, 28) uint8.
    """
    points = _place(glyph, jitter)
    nearest = np.full((len(pen), SIDE, SIDE), np.inf, np.float32)  # squared distance from the pen's path
    for stroke in glyph.strokes:
        vertices = _smooth(points[:, stroke], closed=stroke[0] == stroke[-1])
        for begin, end in zip(vertices[:, :-1].swapaxes(0, 1), vertices[:, 1:].swapaxes(0, 1), strict=True):
            np.minimum(nearest, _squared_distance(begin, end), out=nearest)
    coverage = np.clip(pen.astype(np.float32)[:, None, None] + np.float32(0.5) - np.sqrt(nearest), 0, 1)
    return (coverage * (255 * ink).astype(np.float32)[:, None, None] + np.float32(0.5)).astype(np.uint8)


def _place(glyph: _Glyph, jitter: np.ndarray) -> np.ndarray:
    """Return the glyph's control points in pixels, (2, points, n): x and y, moved for each image."""
    slant, turn, width, height, right, down = jitter[:6]
    plain = np.array(glyph.points).T[:, :, None]
    moved = plain - 0.5 + _POINT * jitter[6 : 6 + 2 * len(glyph.points)].reshape(2, len(glyph.points), -1)
    x, y = _HEIGHT * moved
    x *= 1 + _STRETCH * width
    y *= 1 + _STRETCH * height
    x -= _SLANT * slant * y
    half = _TURN * turn  # tan(θ/2), from which cos θ and sin θ follow by division alone
    cosine, sine = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
    centre = (SIDE - 1) / 2
    return np.array(
        [
            cosine * x - sine * y + centre + _SHIFT * right,
            sine * x + cosine * y + centre + _SHIFT * down,
        ]
    )


def _smooth(points: np.ndarray, closed: bool) -> np.ndarray:
    """Return the vertices of a Catmull-Rom spline through `points`, both (2, points, n).

    Source: E. Catmull, R. Rom, "A class of local interpolating splines", 1974; here as cubic polynomials.
    """
    if points.shape[1] == 2:
        return points
    first, last = points[:, :1], points[:, -1:]
    before = points[:, -2:-1] if closed else 2 * first - points[:, 1:2]
    after = points[:, 1:2] if closed else 2 * last - points[:, -2:-1]
    p = np.concatenate([before, points, after], axis=1)
    p0, p1, p2, p3 = p[:, :-3], p[:, 1:-2], p[:, 2:-1], p[:, 3:]
    # Each span from p1 to p2 becomes two segments that meet at the spline's value halfway.
    halfway = (9 * (p1 + p2) - (p0 + p3)) / 16
    inner = np.stack([p1, halfway], axis=2).reshape(2, 2 * p1.shape[1], points.shape[2])
    return np.concatenate([inner, last], axis=1)


def _squared_distance(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return every pixel's squared distance from the segments `begin` to `end`.

    Args:
        begin: (2, n), x and y in pixels.
        end: (2, n).

    Returns:
        (n, 28, 28) float32.
    """
    span = end - begin
    length = np.maximum(np.sqrt(span[0] * span[0] + span[1] * span[1]), 1e-6)
    ux, uy = (span / length)[:, :, None]
    x, y = np.arange(SIDE) - ((begin + end) / 2)[:, :, None]  # from the segment's middle, (n, 28) each
    along = _outer_sum(uy * y, ux * x)
    across = _outer_sum(-ux * y, uy * x)
    np.abs(along, out=along)
    along -= (length / 2).astype(np.float32)[:, None, None]
    np.maximum(along, 0, out=along)  # how far beyond the segment's ends
    along *= along
    across *= across
    along += across
    return along


def _outer_sum(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return (n, 28, 28) float32 from a number for each row and one for each column, (n, 28) each."""
    return rows.astype(np.float32)[:, :, None] + columns.astype(np.float32)[:, None, :]
