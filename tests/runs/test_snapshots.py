"""Which of a training's snapshots and units are shown, and how snapshots are kept."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.nn.callbacks import Snapshots
from pipeline.runs.snapshots import MANY, evenly_spaced, load_snapshots, most_moved, save_snapshots


def test_what_is_shown_is_evenly_spaced_from_the_first_to_the_last_snapshot() -> None:
    assert evenly_spaced(range(9), 5) == [0, 2, 4, 6, 8]
    assert evenly_spaced(range(3), 5) == [0, 1, 2]
    assert evenly_spaced([], 5) == []


def test_the_units_shown_are_those_whose_weights_change_most() -> None:
    start = np.ones((4, 3), np.float32)
    end = start + np.array([[0], [-3], [1], [2]], np.float32)
    assert most_moved(start, end, 3).tolist() == [1, 3, 2]
    assert most_moved(start, start, 9).tolist() == [0, 1, 2, 3]


def test_many_parameters_take_half_the_bytes_unless_one_is_too_large(tmp_path: Path) -> None:
    snapshots, path = Snapshots(1), tmp_path / "snapshots.npz"
    for largest, dtype in ((6e4, np.float16), (7e4, np.float32)):
        vector = np.zeros(MANY, np.float32)
        vector[0] = largest
        snapshots.restore([0, 1], [vector, vector])
        save_snapshots(snapshots, path)
        with np.load(path) as file:
            assert file["parameters"].dtype == dtype
        assert load_snapshots(path)[1][1][0] == pytest.approx(largest, rel=1e-3)
