import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.dataset import digest, digest_part, load_dataset
from pipeline.nn.types import Part
from pipeline.support.errors import UserError

COUNTS = {"train": 6, "test": 0, "official": 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A processed dataset of 2×3 images and two classes, its test part empty."""
    rng = np.random.default_rng(0)
    for part, count in COUNTS.items():
        np.save(tmp_path / f"{part}_images.npy", rng.random((count, 6), dtype=np.float32))
        np.save(tmp_path / f"{part}_labels.npy", np.eye(2, dtype=np.uint8)[rng.integers(0, 2, count)])
    description = {"name": "dots", "title": "Dots", "classes": ["few", "many"], "image_shape": [2, 3]}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    return tmp_path


def test_every_part_comes_with_its_shape_even_an_empty_one(folder: Path) -> None:
    dataset = load_dataset(folder)
    assert (dataset.name, dataset.title, dataset.classes) == ("dots", "Dots", ["few", "many"])
    assert dataset.image_shape == (2, 3)
    for part, count in COUNTS.items():
        loaded = getattr(dataset, part)
        assert (loaded.inputs.shape, loaded.inputs.dtype) == ((count, 6), np.float32)
        assert (loaded.targets.shape, loaded.targets.dtype) == ((count, 2), np.uint8)
    np.testing.assert_array_equal(dataset.train.inputs, np.load(folder / "train_images.npy"))


def test_arrays_are_mapped_and_cannot_be_changed(folder: Path) -> None:
    images = load_dataset(folder).train.inputs
    assert isinstance(images.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize("name", ["dataset.json", "train_images.npy", "official_labels.npy"])
def test_a_missing_file_is_named_with_what_makes_it(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name}.*dvc repro preprocess"):
        load_dataset(folder)


@pytest.mark.parametrize("name", ["dataset.json", "train_images.npy", "official_labels.npy"])
@pytest.mark.parametrize("keep", [0, 5, -1])
def test_a_truncated_file_is_named(folder: Path, name: str, keep: int) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=name):
        load_dataset(folder)


def test_an_array_whose_header_has_changed_is_refused_or_fits_all_the_same(folder: Path) -> None:
    path = folder / "train_labels.npy"
    whole = path.read_bytes()
    fits = 0
    for place in range(128):  # the header
        for change in (1, 2, 4, 32):
            damaged = bytearray(whole)
            damaged[place] ^= change
            path.write_bytes(damaged)
            with suppress(UserError):
                labels = load_dataset(folder).train.targets
                assert (labels.shape, labels.dtype) == ((COUNTS["train"], 2), np.uint8)
                fits += 1
    assert fits > 0


@pytest.mark.parametrize("key", ["name", "title", "classes", "image_shape"])
def test_a_description_that_lacks_something_is_damaged(folder: Path, key: str) -> None:
    path = folder / "dataset.json"
    description = json.loads(path.read_text())
    del description[key]
    path.write_text(json.dumps(description))
    with pytest.raises(UserError, match=r"dataset\.json is not what .*: `dvc repro -f preprocess`"):
        load_dataset(folder)


@pytest.mark.parametrize(
    "array",
    [np.zeros((6, 5), np.float32), np.zeros((6, 6)), np.zeros((6, 2, 3), np.float32), np.float32(0)],
    ids=["width", "dtype", "dimensions", "scalar"],
)
def test_an_array_that_does_not_fit_is_named(folder: Path, array: np.ndarray) -> None:
    np.save(folder / "train_images.npy", array)
    with pytest.raises(UserError, match=r"train_images\.npy"):
        load_dataset(folder)


def test_images_without_labels_are_an_error(folder: Path) -> None:
    np.save(folder / "train_labels.npy", np.zeros((5, 2), np.uint8))
    with pytest.raises(UserError, match="6 train images but 5 labels"):
        load_dataset(folder)


def test_some_images_are_left_to_learn_from(folder: Path) -> None:
    with pytest.raises(UserError, match=r"^split\.validation = 6: should be less than the 6 train images"):
        load_dataset(folder).hold_out(6)


@pytest.mark.parametrize(("folds", "left"), [(None, 9), (3, 6)])
def test_the_rows_of_a_fold_are_never_learned_from(folder: Path, folds: int | None, left: int) -> None:
    """A validation part that was only asked for goes back to the train part."""
    dataset = load_dataset(folder)
    prepared = {"split.validation": 0.3, "split.folds": folds}
    there = replace(dataset, validation=dataset.official, prepared=prepared).hold_out(0)
    assert len(there.train.inputs) == left and (there.validation is None) == (folds is None)


def test_what_somebody_put_beside_the_dataset_does_not_count(folder: Path) -> None:
    before = digest(folder)
    (folder / "thesis").mkdir()
    (folder / "notes.txt").write_text("mine")
    assert digest(folder) == before
    labels = folder / "test_labels.npy"
    labels.write_bytes(labels.read_bytes() + b"more")
    assert digest(folder) != before


def test_a_digest_tells_images_labels_and_their_order_apart_and_nothing_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.random((4, 6), np.float32), np.eye(3, dtype=np.uint8)[[0, 1, 2, 0]]
    np.save(tmp_path / "images.npy", images)
    whole = digest_part(Part(images, labels))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for same in (images.copy(order="F"), mapped, np.vstack([images, images])[:4]):
        assert digest_part(Part(same, labels.copy())) == whole
    others = [
        Part(np.nextafter(images, np.float32(2)), labels),
        Part(images, labels[:, ::-1]),
        Part(images[::-1], labels[::-1]),
        Part(images[1:], labels[1:]),
        Part(images.reshape(8, 3), labels),
    ]
    assert len({whole, *(digest_part(other) for other in others)}) == 1 + len(others)
