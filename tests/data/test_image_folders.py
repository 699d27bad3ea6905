"""Images that are damaged."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.images import read_image
from tests.own import picture


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_a_damaged_image_is_read_or_refused_in_one_line(tmp_path: Path, form: str) -> None:
    """Pillow's readers raise nearly any exception."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    whole, refused = picture(pixels, form), 0
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[at : at + 4] = b"\xff\x00\xff\xff"
        (tmp_path / "image").write_bytes(damaged)
        try:
            read_image(tmp_path / "image", colour=False, size=None)
        except ValueError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused
