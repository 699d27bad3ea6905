"""Files that NumPy reads, but that training did not write so: they end in one line."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.nn.callbacks import Snapshots
from pipeline.nn.mlp import MLP
from pipeline.runs.models import load_model, save_model
from pipeline.runs.snapshots import load_snapshots, save_snapshots
from pipeline.support.errors import UserError

VECTOR = np.arange(6, dtype=np.float32)
EPOCHS = np.arange(3)
VECTORS = np.ones((3, 6), np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    mlp = MLP((2, 2, 1), activation="relu", output="sigmoid", bias=False)
    mlp.parameters.vector[:] = VECTOR
    save_model(mlp, tmp_path / "model.npz")
    return tmp_path / "model.npz"


@pytest.fixture
def snapshots(tmp_path: Path) -> Path:
    kept = Snapshots(every=1)
    kept.restore(EPOCHS.tolist(), list(VECTORS))
    save_snapshots(kept, tmp_path / "snapshots.npz")
    return tmp_path / "snapshots.npz"


def replace(path: Path, **changes: Any) -> None:
    """Put `changes` into the file at `path`; an array that is None is removed."""
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def add_overlong_header(path: Path, name: str) -> None:
    """Replace an array by one that NumPy refuses in an error of several lines."""
    replace(path, **{name: None})
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }" + b" " * 20_000
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def assert_refused_in_one_line(path: Path, load: Any) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(str(path))} is not what this pipeline wrote") as raised:
        load(path)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith("`dvc repro -f train` makes it anew")


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        VECTOR[1:],
        VECTOR[None],
        VECTOR[0],
        VECTOR.astype(int),
        VECTOR.astype(complex),
        VECTOR.astype(str),
        VECTOR.astype(">f4"),
        np.where(VECTOR == 3, np.float32(np.inf), VECTOR),
        VECTOR * np.float32(np.nan),
    ],
    ids=str,
)
def test_parameters_that_training_never_writes_are_refused(model: Path, parameters: Any) -> None:
    replace(model, parameters=parameters)
    assert_refused_in_one_line(model, load_model)


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "sigmoidal"},
        {"activation": []},
        {"output": None},
        {"bias": True},
        {"widths": []},
        {"widths": [2]},
        {"widths": [2, -2, 1]},
        {"widths": [2, 10**12, 1]},
        {"widths": [2.0, 2, 1]},
        {"widths": "221"},
        {"depth": 2},
    ],
    ids=str,
)
def test_an_architecture_that_there_is_not_is_refused(model: Path, change: dict[str, Any]) -> None:
    with np.load(model) as file:
        architecture = json.loads(str(file["architecture"]))
    replace(model, architecture=json.dumps({**architecture, **change}))
    assert_refused_in_one_line(model, load_model)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 20_000], ids=lambda text: text[:5])
def test_an_architecture_that_is_none_is_refused(model: Path, text: str) -> None:
    replace(model, architecture=text)
    assert_refused_in_one_line(model, load_model)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": None},
        {"epochs": EPOCHS[:2]},
        {"epochs": EPOCHS[::-1]},
        {"epochs": EPOCHS * 0},
        {"epochs": EPOCHS.astype(float)},
        {"epochs": EPOCHS.astype(str)},
        {"epochs": EPOCHS[:1], "parameters": VECTORS[:1]},
        {"parameters": None},
        {"parameters": VECTORS.ravel()},
        {"parameters": VECTORS.astype(complex)},
        {"parameters": VECTORS.astype(str)},
    ],
    ids=str,
)
def test_snapshots_that_training_never_writes_are_refused(snapshots: Path, change: dict[str, Any]) -> None:
    replace(snapshots, **change)
    assert_refused_in_one_line(snapshots, load_snapshots)


def test_a_reason_of_several_lines_is_told_in_one(model: Path, snapshots: Path) -> None:
    for path, load in ((model, load_model), (snapshots, load_snapshots)):
        add_overlong_header(path, "parameters")
        assert_refused_in_one_line(path, load)


def test_what_was_saved_is_loaded(model: Path, snapshots: Path) -> None:
    for path in (model, snapshots):
        replace(path)  # written anew as the tests above do
    np.testing.assert_array_equal(load_model(model).parameters.vector, VECTOR)
    epochs, vectors = zip(*load_snapshots(snapshots), strict=True)
    np.testing.assert_array_equal(epochs, EPOCHS)
    np.testing.assert_array_equal(vectors, VECTORS)


def test_the_bytes_of_a_model_do_not_depend_on_the_system(tmp_path: Path) -> None:
    """Neither on Python, whose versions write a zip file's sizes in two formats."""
    save_model(MLP((2, 3, 1), activation="tanh", output="sigmoid", bias=True), tmp_path / "model.npz")
    with zipfile.ZipFile(tmp_path / "model.npz") as archive:
        for member in archive.infolist():
            assert (member.create_system, member.create_version, member.extract_version) == (3, 20, 20)
            assert member.date_time == (1980, 1, 1, 0, 0, 0) and member.compress_type == zipfile.ZIP_STORED
