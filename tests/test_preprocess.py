import gzip
import itertools
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.schema import Split
from pipeline.data.dataset import load_dataset, write_description
from pipeline.data.idx import write_idx
from pipeline.preprocess import preprocess
from pipeline.support.errors import UserError
from pipeline.support.files import sha256
from tests.commands import files, little_room

CLASSES = ["few", "some", "many"]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Twelve training images and five official ones, of 4×3 pixels, as the download stage leaves them."""
    folder = tmp_path / "raw"
    rng = np.random.default_rng(0)
    for part, count in {"train": 12, "official": 5}.items():
        write(folder, f"{part}_images", rng.integers(0, 256, (count, 4, 3), np.uint8))
        write(folder, f"{part}_labels", rng.integers(0, 3, count, np.uint8))
    return folder


def write(folder: Path, role: str, array: np.ndarray) -> np.ndarray:
    write_idx(folder / f"{role}.gz", array.shape, [array])
    describe(folder)
    return array


def describe(folder: Path) -> None:
    files = {path.stem: {"name": path.name, "sha256": sha256(path)} for path in folder.glob("*.gz")}
    write_description(folder, {"name": "dots", "title": "Dots", "classes": CLASSES, "files": files})


def test_images_are_flattened_scaled_and_split_in_file_order(raw: Path, tmp_path: Path) -> None:
    images = write(raw, "train_images", np.arange(12 * 12).astype(np.uint8).reshape(12, 4, 3))
    labels = write(raw, "train_labels", np.array([0, 1, 2] * 4, np.uint8))
    official = write(raw, "official_images", np.full((5, 4, 3), 255, np.uint8))

    preprocess(raw, tmp_path, Split(train=7, test=4))

    dataset = load_dataset(tmp_path)
    expected = images.reshape(12, 12).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(dataset.train.inputs, expected[:7])
    np.testing.assert_array_equal(dataset.test.inputs, expected[7:11])
    np.testing.assert_array_equal(dataset.official.inputs, np.ones(official.shape).reshape(5, 12))
    np.testing.assert_array_equal(dataset.train.targets.argmax(axis=1), labels[:7])
    np.testing.assert_array_equal(dataset.test.targets.argmax(axis=1), labels[7:11])
    np.testing.assert_array_equal(dataset.train.targets.sum(axis=1), 1)
    assert (dataset.train.inputs.dtype, dataset.train.targets.dtype) == (np.float32, np.uint8)
    assert (dataset.name, dataset.title, dataset.classes) == ("dots", "Dots", CLASSES)
    assert dataset.image_shape == (4, 3)


def test_the_test_part_may_be_empty(raw: Path, tmp_path: Path) -> None:
    preprocess(raw, tmp_path, Split(train=12, test=0))
    dataset = load_dataset(tmp_path)
    assert dataset.train.inputs.shape == (12, 12)
    assert dataset.test.inputs.shape == (0, 12)
    assert dataset.test.targets.shape == (0, 3)


def test_many_blocks_give_the_same_as_one(raw: Path, tmp_path: Path) -> None:
    images = write(raw, "train_images", np.random.default_rng(1).integers(0, 256, (2500, 4, 3), np.uint8))
    write(raw, "train_labels", np.zeros(2500, np.uint8))
    preprocess(raw, tmp_path, Split(train=2400, test=100))
    dataset = load_dataset(tmp_path)
    both = np.concatenate([dataset.train.inputs, dataset.test.inputs])
    np.testing.assert_array_equal(both, images.reshape(2500, 12) / np.float32(255))


def test_the_float_images_are_never_held_in_memory_at_once(raw: Path, tmp_path: Path) -> None:
    write(raw, "train_images", np.zeros((5000, 28, 28), np.uint8))
    write(raw, "train_labels", np.zeros(5000, np.uint8))
    write(raw, "official_images", np.zeros((5, 28, 28), np.uint8))
    tracemalloc.start()
    preprocess(raw, tmp_path, Split(train=5000, test=0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5000 * 784 * 4


def test_running_twice_gives_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    for name in ["one", "two"]:
        preprocess(raw, tmp_path / name, Split(train=7, test=4))
    files = sorted((tmp_path / "one").iterdir())
    assert len(files) == 7
    for path in files:
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_split_larger_than_the_data_names_its_keys(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"split\.train = 9 and split\.test = 4 ask for 13, .* 12 training"):
        preprocess(raw, tmp_path / "processed", Split(train=9, test=4))
    assert not (tmp_path / "processed").exists()


@pytest.mark.parametrize("link", ["data", "data/processed"])
def test_a_link_on_the_way_to_the_folder_is_refused_before_anything_is_touched(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    project, shared = tmp_path / "project", tmp_path / "shared"
    (project / link).parent.mkdir(parents=True)
    for folder in (shared, shared / "processed"):
        preprocess(raw, folder, Split(train=7, test=4))
    before = files(shared)
    (project / link).symlink_to(shared)
    monkeypatch.chdir(project)
    with pytest.raises(UserError, match=rf"^data/processed is reached through a link.*{shared}.*: remove"):
        preprocess(raw, Path("data/processed"), Split(train=5, test=2))
    assert files(shared) == before


def test_what_a_killed_stage_left_behind_goes_and_nothing_else(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    processed = tmp_path / "processed"
    processed.mkdir()
    (processed / ".partial-0123abcd.npy").write_bytes(b"half")
    (processed / "notes.txt").write_text("mine")
    preprocess(raw, processed, Split(train=7, test=4))
    assert (processed / "notes.txt").read_text() == "mine"
    assert not list(processed.glob(".*"))
    assert "processed holds notes.txt, which this stage did not write" in capsys.readouterr().err


def test_a_class_that_is_not_trained_on_is_warned_of(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(raw, "train_labels", np.array([0] * 4 + [1] * 4 + [2] * 4, np.uint8))
    preprocess(raw, tmp_path / "all", Split(train=11, test=0))
    assert capsys.readouterr().err == ""
    preprocess(raw, tmp_path / "some", Split(train=4, test=8))
    told = "warning: none of the 4 training images of Dots is of the class some, many: "
    assert capsys.readouterr().err.startswith(told)
    preprocess(raw, tmp_path / "sorted", Split(train=9, test=3))
    told = "warning: none of the 3 test images of Dots is of the class few, some: what is measured there"
    assert capsys.readouterr().err.startswith(told)


def test_what_fetching_again_cannot_mend_is_not_told_to_be_fetched_again(raw: Path, tmp_path: Path) -> None:
    """The file is the one that the dataset's configuration names, and holds something else than it should."""
    (raw / "train_labels.gz").write_bytes(gzip.compress(struct.pack(">BBBBI", 0, 0, 0x0A, 1, 1) + bytes(4)))
    describe(raw)
    with pytest.raises(
        UserError, match=r"train_labels\.gz: .* so it is no IDX file.*dataset\.files"
    ) as raised:
        preprocess(raw, tmp_path / "processed", Split(train=7, test=4))
    assert "dvc repro" not in str(raised.value)


@pytest.mark.parametrize("part", ["train", "official"])
def test_images_without_labels_are_an_error(raw: Path, tmp_path: Path, part: str) -> None:
    write(raw, f"{part}_labels", np.zeros(4, np.uint8))
    with pytest.raises(UserError, match=rf"{part}_images\.gz but 4 labels in .*{part}_labels\.gz") as raised:
        preprocess(raw, tmp_path / "processed", Split(train=7, test=4))
    assert "dvc repro" not in str(raised.value)


@pytest.mark.parametrize("part", ["train", "official"])
def test_a_label_outside_the_classes_is_named_with_its_place(raw: Path, tmp_path: Path, part: str) -> None:
    labels = np.zeros({"train": 12, "official": 5}[part], np.uint8)
    labels[3:] = 3
    write(raw, f"{part}_labels", labels)
    with pytest.raises(UserError, match=rf"{part}_labels\.gz: label 3 at position 3, .* 0 to 2"):
        preprocess(raw, tmp_path / "processed", Split(train=7, test=4))


def test_a_file_that_is_not_the_one_downloaded_is_named(raw: Path, tmp_path: Path) -> None:
    write_idx(raw / "train_labels.gz", (12,), [np.zeros(12, np.uint8)])
    with pytest.raises(UserError, match=r"train_labels\.gz is not the file that `dvc repro download` left"):
        preprocess(raw, tmp_path / "processed", Split(train=7, test=4))


def test_a_dataset_is_replaced_as_a_whole_or_not_at_all(raw: Path, tmp_path: Path) -> None:
    processed = tmp_path / "processed"
    preprocess(raw, processed, Split(train=7, test=4))
    before = files(processed)
    write(raw, "official_images", np.zeros((100, 4, 3), np.uint8))  # the last that there is no room for
    write(raw, "official_labels", np.zeros(100, np.uint8))
    with little_room(4000), pytest.raises(UserError, match=r"official_images\.npy cannot be written"):
        preprocess(raw, processed, Split(train=7, test=4))
    assert files(processed) == before


def test_a_dataset_that_was_replaced_in_part_is_none(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who interrupts the stage is not left with old images under new labels."""
    preprocess(raw, tmp_path, Split(train=7, test=4))
    replace, replacements = Path.replace, itertools.count(1)

    def interrupt_the_second(path: Path, target: Path) -> Path:
        if next(replacements) == 2:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupt_the_second)
    with pytest.raises(KeyboardInterrupt):
        preprocess(raw, tmp_path, Split(train=6, test=5))
    with pytest.raises(UserError, match=r"dataset\.json is not there: `dvc repro preprocess`"):
        load_dataset(tmp_path)


def test_images_of_two_sizes_are_an_error(raw: Path, tmp_path: Path) -> None:
    write(raw, "official_images", np.zeros((5, 3, 4), np.uint8))
    told = r"4×3 in .*train_images\.gz but of 3×4 in .*official_images\.gz"
    with pytest.raises(UserError, match=told) as raised:
        preprocess(raw, tmp_path / "processed", Split(train=7, test=4))
    assert "dvc repro" not in str(raised.value)


@pytest.mark.parametrize("name", ["dataset.json", "train_images.gz", "official_labels.gz"])
def test_a_file_that_is_not_downloaded_yet_says_what_to_do(raw: Path, tmp_path: Path, name: str) -> None:
    (raw / name).unlink()
    with pytest.raises(UserError, match=f"{name} is not there: `dvc repro .*download`"):
        preprocess(raw, tmp_path / "processed", Split(train=7, test=4))


def test_a_damaged_description_says_what_to_do(raw: Path, tmp_path: Path) -> None:
    path = raw / "dataset.json"
    path.write_text(path.read_text().replace("official_labels", "official_label"))
    with pytest.raises(UserError, match=r"dataset\.json is not what .*: `dvc repro -f download`"):
        preprocess(raw, tmp_path / "processed", Split(train=7, test=4))
