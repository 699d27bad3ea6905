"""IDX, the format of the MNIST files: http://yann.lecun.com/exdb/mnist/ (archived), section "file formats".

A file is two zero bytes, a byte for the element's type, a byte for the number of dimensions, each dimension
as a big-endian 32-bit integer, then the elements with the last dimension running fastest.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.support.files import reading, replacing

UNSIGNED_BYTE = 0x08
TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20
_STORED = 0xFFFF  # the longest stored block that deflate allows


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read the unsigned bytes in `dimensions` dimensions from the IDX file at `path`, gzipped or plain.

    Memory is taken as bytes arrive, never because the header claims them.

    Returns:
        uint8 of the shape that the header gives.

    Raises:
        UserError: if the file is missing, cannot be read, is no IDX file of that kind, is damaged, or holds
            fewer or more bytes than its header says.
    """
    remedy = f"dataset.files should name an IDX file of unsigned bytes in {dimensions} dimensions"
    with reading(path, "download", remedy), path.open("rb") as file:
        gzipped = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        shape, elements = _read(gzip.GzipFile(fileobj=file) if gzipped else file, dimensions)
    return np.frombuffer(elements, np.uint8).reshape(shape)


def write_idx(path: Path, shape: Sequence[int], blocks: Iterable[np.ndarray]) -> None:
    """Write `blocks`, uint8 arrays that together fill `shape`, to a gzipped IDX file at `path`.

    The bytes depend on the elements alone. Every version of zlib compresses in its own way, so nothing is
    compressed: the file is gzip (RFC 1952) around stored blocks (RFC 1951, 3.2.4).
    """
    header = struct.pack(f">HBB{len(shape)}I", 0, UNSIGNED_BYTE, len(shape), *shape)
    checksum = zlib.crc32(header)
    with replacing(path) as temporary, temporary.open("wb") as file:
        # Deflate, no flags, no time, no extra flags, unknown system.
        file.write(_GZIP_MAGIC + bytes([8, 0, 0, 0, 0, 0, 0, 255]))
        _store(file, header)
        for piece in _pieces(blocks):
            checksum = zlib.crc32(piece, checksum)
            _store(file, piece)
        _store(file, b"", last=True)
        file.write(struct.pack("<II", checksum, (len(header) + math.prod(shape)) % 2**32))


def _read(file: BinaryIO | gzip.GzipFile, dimensions: int) -> tuple[tuple[int, ...], bytearray]:
    """Return the shape and the elements; raise `ValueError` where they are not what they should be."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise ValueError(f"it begins with {magic.hex(' ') or 'nothing'}, so it is no IDX file")
    if magic[2] != UNSIGNED_BYTE:
        raise ValueError(f"its elements are {TYPES[magic[2]]}, not uint8")
    if magic[3] != dimensions:
        raise ValueError(f"it has {magic[3]} dimensions, not {dimensions}")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise ValueError("it ends within its header")
    shape = struct.unpack(f">{dimensions}I", sizes)
    claimed = math.prod(shape)
    claim = f"its header says {' × '.join(map(str, shape))}"
    if claimed == 0:
        raise ValueError(f"{claim}, so there is nothing in it")
    elements = bytearray()
    while chunk := file.read(_CHUNK):
        elements += chunk
        if len(elements) > claimed:
            raise ValueError(f"{claim}, but more than {claimed} bytes follow")
    if len(elements) < claimed:
        raise ValueError(f"{claim}, but {len(elements)} bytes follow, not {claimed}")
    return shape, elements


def _pieces(blocks: Iterable[np.ndarray]) -> Iterator[bytes]:
    """Cut the bytes of all `blocks` into pieces of `_STORED`, wherever one block ends and the next begins."""
    rest = b""
    for block in blocks:
        data = rest + block.tobytes()
        whole = len(data) - len(data) % _STORED
        for start in range(0, whole, _STORED):
            yield data[start : start + _STORED]
        rest = data[whole:]
    yield rest


def _store(file: BinaryIO, data: bytes, last: bool = False) -> None:
    file.write(struct.pack("<BHH", last, len(data), len(data) ^ 0xFFFF))
    file.write(data)
