"""Arrays that are damaged, and an option that they have no use for."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.support.errors import UserError
from tests.own import arrays, prepare

X, Y = np.random.default_rng(0).random((200, 9)), np.arange(200) % 2


def test_compressed_arrays_that_are_damaged_are_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    np.savez_compressed(path, x=X, y=Y)
    whole = path.read_bytes()
    for at in range(100, len(whole) - 600, len(whole) // 20):
        damaged = bytearray(whole)
        damaged[at : at + 3] = b"\xff\xff\xff"
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"arrays\.npz: x is damaged"):
            prepare(tmp_path, {"kind": "arrays", "path": str(path)})


def test_a_range_is_refused_where_it_would_have_no_effect(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^dataset\.range = \[0\.0, 16\.0\]: should be null for numbers"):
        prepare(tmp_path, arrays(tmp_path, X, Y, range=[0, 16]))
