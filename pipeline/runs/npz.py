"""Arrays as an npz file with the same bytes on every computer."""

from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np

from pipeline.support.files import replacing

LARGEST_MEMBER_BYTES = 2_000_000_000  # of a zip file in its first format


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays` as `np.savez` does, but with the same bytes on every system and in every Python.

    A zip file says which system made it, and Python writes its sizes in two formats.
    """
    with replacing(path) as temporary, ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            member = ZipInfo(f"{name}.npy")  # of 1980, the earliest time that a zip file can hold
            member.create_system = 3  # Unix
            with archive.open(member, "w", force_zip64=array.nbytes > LARGEST_MEMBER_BYTES) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
