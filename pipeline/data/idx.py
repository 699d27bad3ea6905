"""IDX, the format of the MNIST files: http://yann.lecun.com/exdb/mnist/ (archived), section "file formats".

A file is two zero bytes, a byte for the element's type, a byte for the number of dimensions, each dimension
as a big-endian 32-bit integer, then the elements with the last dimension running fastest.
"""

import gzip
import math
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.support.files import reading, replacing

UNSIGNED_BYTE = 0x08
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 20


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read the numbers in `dimensions` dimensions from the IDX file at `path`, gzipped or plain.

    Memory is taken as bytes are read, however many the header claims.

    Returns:
        An array of the type and the shape that the header gives.

    Raises:
        UserError: if the file is missing, cannot be read, is damaged, is no IDX file of that kind, or holds
            fewer or more bytes than its header says.
    """
    remedy = f"dataset.files should name an IDX file of numbers in {dimensions} dimensions"
    with reading(path, "download", remedy), path.open("rb") as file:
        gzipped = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        dtype, shape, elements = _read(gzip.GzipFile(fileobj=file) if gzipped else file, dimensions)
    return np.frombuffer(elements, dtype).reshape(shape)


def write_idx(path: Path, shape: Sequence[int], blocks: Iterable[np.ndarray]) -> None:
    """Write `blocks`, uint8 arrays that together fill `shape`, to a plain IDX file at `path`."""
    header = struct.pack(f">HBB{len(shape)}I", 0, UNSIGNED_BYTE, len(shape), *shape)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(header)
        for block in blocks:
            file.write(block.tobytes())


def _read(file: BinaryIO | gzip.GzipFile, dimensions: int) -> tuple[np.dtype, tuple[int, ...], bytearray]:
    """Return type, shape and elements; raise `ValueError` if the file is not as it should be."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise ValueError(f"it begins with {magic.hex(' ') or 'nothing'}, so it is no IDX file")
    if magic[3] != dimensions:
        raise ValueError(f"it has {magic[3]} dimensions, not {dimensions}")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise ValueError("it ends within its header")
    shape = struct.unpack(f">{dimensions}I", sizes)
    dtype = np.dtype(TYPES[magic[2]])
    claimed = math.prod(shape) * dtype.itemsize
    claim = f"its header says {' × '.join(map(str, shape))}"
    if claimed == 0:
        raise ValueError(f"{claim}, so there is nothing in it")
    elements = bytearray()
    while chunk := file.read(_CHUNK_BYTES):
        elements += chunk
        if len(elements) > claimed:
            raise ValueError(f"{claim}, but more than {claimed} bytes follow")
    if len(elements) < claimed:
        raise ValueError(f"{claim}, but {len(elements)} bytes follow, not {claimed}")
    return dtype, shape, elements
