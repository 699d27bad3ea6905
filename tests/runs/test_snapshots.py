"""Which of a training's snapshots and units are shown."""

import numpy as np

from pipeline.runs.snapshots import evenly_spaced, most_moved


def test_what_is_shown_is_evenly_spaced_from_the_first_to_the_last_snapshot() -> None:
    assert evenly_spaced(range(9), 5) == [0, 2, 4, 6, 8]
    assert evenly_spaced(range(3), 5) == [0, 1, 2]
    assert evenly_spaced([], 5) == []


def test_the_units_shown_are_those_whose_weights_change_most() -> None:
    start = np.ones((4, 3), np.float32)
    end = start + np.array([[0], [-3], [1], [2]], np.float32)
    assert most_moved(start, end, 3).tolist() == [1, 3, 2]
    assert most_moved(start, start, 9).tolist() == [0, 1, 2, 3]
