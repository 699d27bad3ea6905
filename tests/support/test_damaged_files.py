"""Whatever bytes are in a file that a stage reads: it is read, or refused in one line that names it."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data.dataset import RawDescription, load_dataset, read_description
from pipeline.data.idx import read_idx, write_idx
from pipeline.nn.callbacks import Snapshots
from pipeline.nn.mlp import MLP
from pipeline.runs.evaluation import (
    Predictions,
    read_metrics,
    read_predictions,
    write_metrics,
    write_predictions,
)
from pipeline.runs.history import read_history, write_history
from pipeline.runs.models import load_model, save_model
from pipeline.runs.snapshots import load_snapshots, save_snapshots
from pipeline.support.errors import UserError

CLASSES = ["few", "many"]
COUNTS = {"train": 6, "test": 4, "official": 3}


def write_all(folder: Path) -> None:
    """Write one of each kind of file that a stage leaves to another one."""
    rng = np.random.default_rng(0)
    labels = {part: rng.integers(0, 2, count, np.uint8) for part, count in COUNTS.items()}
    for part, count in COUNTS.items():
        np.save(folder / f"{part}_images.npy", rng.random((count, 6), np.float32))
        np.save(folder / f"{part}_labels.npy", np.eye(2, dtype=np.uint8)[labels[part]])
    description = {"name": "dots", "title": "Dots", "classes": CLASSES, "image_shape": [2, 3]}
    (folder / "dataset.json").write_text(json.dumps(description))
    write_idx(folder / "images.gz", (2, 2, 3), [rng.integers(0, 256, (2, 2, 3), np.uint8)])
    roles = ["train_images", "train_labels", "official_images", "official_labels"]
    (folder / "raw").mkdir()
    described = {**description, "files": {role: {"name": role, "sha256": "0" * 64} for role in roles}}
    (folder / "raw/dataset.json").write_text(json.dumps(described))
    save_model(MLP((6, 2), activation="relu", output="relu", bias=False), folder / "model.npz")
    vectors = [np.zeros(12, np.float32), np.ones(12, np.float32)]
    snapshots = Snapshots(every=1)
    snapshots.restore([0, 1], vectors)
    save_snapshots(snapshots, folder / "snapshots.npz")
    row = {"epoch": 1.0, "loss": 0.5, "train_accuracy": 0.5, "test_accuracy": 0.5, "dead_1": 0.0}
    write_history([row, {**row, "epoch": 2.0}], folder / "history.csv")
    predictions = Predictions(labels["test"], labels["test"], np.full(COUNTS["test"], 0.75))
    write_predictions(folder / "predictions.csv", predictions, CLASSES)
    write_metrics(folder / "metrics.json", {part: {"accuracy": 0.5} for part in COUNTS})


def read_dataset(path: Path) -> Any:
    return load_dataset(path.parent)


def of_dataset(read: Callable[..., Any], path: Path) -> Any:
    return read(path, load_dataset(path.parent))


READERS: dict[str, Callable[[Path], Any]] = {
    "dataset.json": read_dataset,
    "train_images.npy": read_dataset,
    "official_labels.npy": read_dataset,
    "raw/dataset.json": lambda path: read_description(path.parent, RawDescription, "download"),
    "images.gz": lambda path: read_idx(path, 3),
    "model.npz": load_model,
    "snapshots.npz": load_snapshots,
    "history.csv": read_history,
    "predictions.csv": partial(of_dataset, read_predictions),
    "metrics.json": partial(of_dataset, read_metrics),
}
NASTY = [
    b"",
    b"\0",
    b"[" * 10_000,
    b'{"a":' * 10_000,
    b'{"name": "\\ud800", "title": "\\udfff", "classes": ["\\ud800", "b"], "image_shape": [2, 3]}',
    b'{"name": "a", "title": "b", "classes": ["a", "b"], "image_shape": [Infinity, 28]}',
    b'{"name": "a", "title": "b", "classes": ["a", "b"], "image_shape": [1e999, 28]}',
    b'{"name": "a", "title": "b", "classes": ["a", "b"], "image_shape": [1' + b"0" * 5000 + b", 28]}",
    b'{"name": "a", "title": "b", "classes": "ab", "image_shape": [2, 3]}',
    b'{"train": {"accuracy": [1]}}',
    "Grüße".encode("utf-16"),
    "Grüße".encode("latin-1"),
    b"epoch,train_accuracy\n1," + b"9" * 200_000,
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write_all(folder)
    return folder


def is_read_or_refused(path: Path) -> bool:
    """Return whether the file at `path` is read; fail unless it is, or is refused in one line naming it.

    A damaged description may be a whole one of other arrays. Then the line names an array that does not fit.
    """
    name = str(path.relative_to(path.parents[1]) if path.parent.name == "raw" else path.name)
    try:
        READERS[name](path)
    except UserError as error:
        told = str(error)
        of_others = path.name == "dataset.json" and f"{path.parent}/" in told and ".npy is not" in told
        assert str(path) in told or "images but" in told or of_others, told
        assert told.isprintable() and len(told) < 1000, told
        return False
    return True


@pytest.mark.parametrize("name", READERS)
def test_what_is_whole_is_read(whole: Path, name: str) -> None:
    assert is_read_or_refused(whole / name)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_ends_in_one_line(whole: Path, name: str, data: st.DataObject) -> None:
    """Bytes are changed, taken out, or put in; or they are another file's, or nasty ones."""
    path = whole / name
    content = path.read_bytes()
    others = [(whole / other).read_bytes() for other in READERS if other != name]
    place = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(place, min(len(content), place + 8)))
    damaged = data.draw(
        st.one_of(
            st.binary(max_size=8).map(lambda inserted: content[:place] + inserted + content[end:]),
            st.just(content[:place]),
            st.sampled_from(others),
            st.sampled_from(NASTY),
            st.binary(max_size=100),
        )
    )
    try:
        path.write_bytes(damaged)
        is_read_or_refused(path)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", READERS)
def test_nasty_bytes_are_refused(whole: Path, tmp_path: Path, name: str) -> None:
    path = shutil.copytree(whole, tmp_path / "damaged") / name
    read = []
    for damaged in NASTY:
        path.write_bytes(damaged)
        read += [damaged] if is_read_or_refused(path) else []
    assert read == []


@pytest.mark.parametrize("name", READERS)
def test_the_file_of_another_kind_is_refused(whole: Path, tmp_path: Path, name: str) -> None:
    for other in READERS:
        if Path(other).suffix != Path(name).suffix:
            folder = shutil.copytree(whole, tmp_path / other)
            shutil.copy(whole / other, folder / name)
            assert not is_read_or_refused(folder / name)


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_told_of_with_what_makes_it(whole: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(whole, tmp_path / "damaged")
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"{name} is not there: `dvc repro \w+` makes it$"):
        READERS[name](folder / name)
