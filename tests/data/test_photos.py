"""What is made of a picture: the same digit, however it is stored, turned and lit; bad files in one line."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.data.photos import in_data_form, read_photo
from pipeline.data.strokes import choose_digits, draw
from pipeline.support.errors import UserError

SHAPE = (28, 28)
[DIGITS] = draw(choose_digits(8, "official"), "official")
PAPER = Image.fromarray(np.pad(255 - DIGITS[0], 6, constant_values=255)).resize((300, 300))  # dark on light
INK = 1 - np.asarray(PAPER) / 255


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    "form",
    [
        lambda: PAPER,
        lambda: Image.fromarray(255 - np.asarray(PAPER)),
        lambda: PAPER.convert("RGB"),
        lambda: PAPER.convert("P"),
        lambda: Image.merge("LA", (Image.new("L", PAPER.size), Image.fromarray(255 - np.asarray(PAPER)))),
        lambda: Image.fromarray(257 * np.asarray(PAPER).astype(np.uint16)),
    ],
    ids=["dark on light", "light on dark", "colours", "palette", "black on nothing", "16 bits"],
)
def test_the_same_digit_is_seen_in_every_kind_of_png(form: Callable[[], Image.Image], tmp_path: Path) -> None:
    found = read_photo(saved(form(), tmp_path / "digit.png"), SHAPE)
    plain = read_photo(saved(PAPER, tmp_path / "plain.png"), SHAPE)
    for other in (in_data_form(INK, SHAPE), found):
        assert np.corrcoef(plain.ravel(), other.ravel())[0, 1] > 0.9


def test_an_image_of_the_data_stays_what_it_is(tmp_path: Path) -> None:
    for digit in DIGITS:
        expected = in_data_form(digit / digit.max(), SHAPE)
        picture = Image.fromarray(np.rint(255 * expected).astype(np.uint8))
        found = read_photo(saved(picture, tmp_path / "digit.png"), SHAPE)
        assert np.abs(found - expected).max() < 0.15


@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (3, 180), (6, 90), (8, 270)])
def test_a_camera_may_be_turned(orientation: int, turned: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = read_photo(saved(PAPER, tmp_path / "upright.jpg"), SHAPE)
    photo = saved(PAPER.rotate(turned), tmp_path / "turned.jpg", exif=exif)
    np.testing.assert_allclose(read_photo(photo, SHAPE), upright, atol=0.1)


@pytest.mark.parametrize(("line", "table"), [(3, 0), (3, 40), (12, 40)])
def test_a_thin_line_is_seen_and_what_lies_beside_the_paper_is_not(
    line: int, table: int, tmp_path: Path
) -> None:
    pixels = np.full((700, 900), 235, np.uint8)
    pixels[:, :table] = 60
    pixels[200:500, 449 : 449 + line] = 40  # a one
    pixels[610:614, 700:704] = 40  # dirt
    found = read_photo(saved(Image.fromarray(pixels), tmp_path / "one.jpg"), SHAPE)
    assert found[6:22, 13:15].max(axis=1).min() > 0.9
    assert found[:3].max() == found[25:].max() == found[:, :11].max() == found[:, 17:].max() == 0


def huge() -> bytes:
    """Return the beginning of a PNG that claims to be 40,000 × 40,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunks + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", 0x35AF061E)


def jpeg() -> bytes:
    buffer = io.BytesIO()
    PAPER.save(buffer, "JPEG")
    return buffer.getvalue()


def gif() -> bytes:
    buffer = io.BytesIO()
    PAPER.save(buffer, "GIF")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a picture", r"no picture that can be read: it should be a PNG or JPEG picture, or .*"),
        (b"", r"no picture that can be read: it should be .*"),
        (gif(), r"no picture that can be read: it should be .*"),
        (jpeg()[:900], r".*truncated.*: it should be .*"),
        (huge(), r".*pixels.*: it should be .*"),
    ],
    ids=["text", "empty", "GIF", "truncated", "huge"],
)
def test_what_is_no_picture_is_said_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "digit.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{path}: {message}$"):
        read_photo(path, SHAPE)


@pytest.mark.parametrize("grey", [0, 200, 255])
def test_an_empty_page_has_no_digit(grey: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    page = np.clip(grey + rng.normal(0, 2, (300, 300)), 0, 255).astype(np.uint8)
    with pytest.raises(UserError, match="no ink is seen on it"):
        read_photo(saved(Image.fromarray(page), tmp_path / "page.png"), SHAPE)
