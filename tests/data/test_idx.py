import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.data.idx import read_idx, write_idx
from pipeline.support.errors import UserError

IMAGES = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
PLAIN = struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 3, 5) + IMAGES.tobytes()

fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("content", [PLAIN, gzip.compress(PLAIN)], ids=["plain", "gzip"])
def test_it_reads_the_shape_and_the_elements(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    images = read_idx(path, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, IMAGES)


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")],
)
def test_it_reads_every_type_of_the_format(tmp_path: Path, code: int, dtype: str) -> None:
    elements = np.arange(-3, 3).astype(dtype)
    (tmp_path / "numbers").write_bytes(struct.pack(">BBBBI", 0, 0, code, 1, 6) + elements.tobytes())
    found = read_idx(tmp_path / "numbers", 1)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, elements)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "begins with nothing"),
        (b"<!DOCTYPE html><title>Not here</title>", "no IDX file"),
        (b"\0\0\x07" + PLAIN[3:], "no IDX file"),
        (b"\0\0\x0d" + PLAIN[3:], "2 × 3 × 5, but 30 bytes follow, not 120"),
        (b"\0\0\x08\x01" + struct.pack(">I", 2) + b"\1\2", "1 dimensions, not 3"),
        (PLAIN[:9], "ends within its header"),
        (PLAIN[:-1], "2 × 3 × 5, but 29 bytes follow, not 30"),
        (PLAIN + b"\0", "more than 30 bytes"),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 0, 5), "nothing in it"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "images.gz"
    for packed in (content, gzip.compress(content)):
        path.write_bytes(packed)
        with pytest.raises(UserError, match=rf"images\.gz: .*{complaint}.*: dataset\.files should name"):
            read_idx(path, 3)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="images is not there"):
        read_idx(tmp_path / "images", 3)


def test_gzip_cut_short_anywhere_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    for keep in range(1, len(gzip.compress(PLAIN))):
        path.write_bytes(gzip.compress(PLAIN)[:keep])
        with pytest.raises(UserError, match=r"images\.gz"):
            read_idx(path, 3)


@pytest.mark.parametrize("sizes", [(2**32 - 1,) * 3, (60_000, 28, 28)])
def test_what_the_header_claims_is_never_allocated(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(struct.pack(">BBBBIII", 0, 0, 8, 3, *sizes) + b"few"))
    tracemalloc.start()
    with pytest.raises(UserError, match="but 3 bytes follow"):
        read_idx(path, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_a_file_that_inflates_without_end_is_left_early(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(PLAIN + bytes(50_000_000)))
    tracemalloc.start()
    with pytest.raises(UserError, match="more than 30 bytes"):
        read_idx(path, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e7


@fuzz
@given(st.binary(max_size=64) | st.binary(max_size=64).map(gzip.compress))
@example(PLAIN)
def test_any_bytes_are_read_right_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    try:
        images = read_idx(path, 3)
    except UserError:
        assert content != PLAIN
        return
    plain = gzip.decompress(content) if content[:1] == b"\x1f" else content
    assert plain == struct.pack(">BBBBIII", 0, 0, 8, 3, *images.shape) + images.tobytes()


@fuzz
@given(
    st.lists(
        st.tuples(st.integers(0, len(gzip.compress(PLAIN)) - 1), st.integers(0, 255)), min_size=1, max_size=3
    )
)
@example([(4, 1)])
def test_a_damaged_file_is_read_right_or_refused(tmp_path: Path, damage: list[tuple[int, int]]) -> None:
    whole = gzip.compress(PLAIN)
    content = bytearray(whole)
    for place, value in damage:
        content[place] = value
    path = tmp_path / "damaged"
    path.write_bytes(content)
    try:
        images = read_idx(path, 3)
    except UserError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        said_beside = slice(4, 10)  # the time, how hard it was packed, and on which system
        content[said_beside] = whole[said_beside]
        assert content != whole
    else:
        np.testing.assert_array_equal(images, IMAGES)


@pytest.mark.parametrize("blocks", [1, 7])
@pytest.mark.parametrize("shape", [(8,), (20, 3, 5)])
def test_what_is_written_is_read_again(tmp_path: Path, shape: tuple[int, ...], blocks: int) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    write_idx(tmp_path / "array", shape, np.array_split(array, blocks))
    np.testing.assert_array_equal(read_idx(tmp_path / "array", len(shape)), array)
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)  # as the format's page says
    assert (tmp_path / "array").read_bytes() == header + array.tobytes()
