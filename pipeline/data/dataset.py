"""The dataset as the stages pass it on: parts of inputs with their targets, mapped from disk."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from pipeline.nn.types import Part
from pipeline.support.errors import UserError, warn
from pipeline.support.files import reading, sha256_once, write_text

RAW = Path("data/raw")
PROCESSED = Path("data/processed")
FOLDS = "folds"  # the folder in `data/processed` with a dataset for each fold
PARTS = ("train", "test", "official")
VALIDATION = "validation"  # a part of its own where the preprocess stage chooses it
FILES = (
    "dataset.json",
    *(f"{part}_{kind}.npy" for part in (*PARTS, VALIDATION) for kind in ("images", "labels")),
)
MAX_NAMED = 10  # classes in a warning
UNSEEN = "the network cannot learn to tell what it never sees"

Side = Annotated[int, Field(ge=1, le=2**20)]  # pixels
Task: TypeAlias = Literal["classification", "regression"]


@checked_dataclass(frozen=True)
class RawFile:
    """One of a dataset's own files, as the download stage left it."""

    name: str
    sha256: str


@checked_dataclass(frozen=True)
class RawFiles:
    """A dataset's own files by what is in them."""

    train_images: RawFile
    train_labels: RawFile
    official_images: RawFile
    official_labels: RawFile


@checked_dataclass(frozen=True)
class RawDescription:
    """What the download stage says about its files, in `data/raw/dataset.json`."""

    name: str
    title: str
    classes: list[str]
    files: RawFiles
    range: list[float] | None = None


@checked_dataclass(frozen=True)
class Target:
    """A number that a regression predicts; the network's own output is (number − mean) / deviation.

    Attributes:
        name: the target's.
        mean, deviation: of the training part, in the target's own unit.
    """

    name: str
    mean: float
    deviation: Annotated[float, Field(gt=0)]


@checked_dataclass(frozen=True)
class Description:
    """What the preprocess stage says about its arrays, in `data/processed/dataset.json`.

    Attributes:
        name, title, classes, image_shape, task, targets, prepared: as in `Dataset`.
        encoding: how a raw row becomes inputs (`pipeline.data.encoding`); None for images of 8 bits.
    """

    name: str
    title: str
    classes: list[str]
    image_shape: tuple[Side, Side] | tuple[Side, Side, Literal[3]] | None
    task: Task = "classification"
    targets: list[Target] = Field(default_factory=list)
    encoding: dict[str, Any] | None = None
    prepared: dict[str, Any] = Field(default_factory=dict)


AnyDescription = TypeVar("AnyDescription")


@dataclass(frozen=True)
class Dataset:
    """A dataset after preprocessing.

    Attributes:
        name: what it really is, as in conf/dataset: after a fallback not what was asked for.
        title: its name in figures.
        classes: name of each class, in the order of the targets' columns; none for a regression.
        image_shape: rows and columns of an image, and 3 for the channels of a colour image; their product
            is d. None where the inputs are no images.
        train: what the network learns from.
        test: what is only measured; may have no rows.
        official: the dataset's own test part; may have no rows.
        validation: what is held out of `train` to choose by, if anything is.
        task: what is learned.
        targets: of a regression, in the order of the targets' columns; none for a classification.
        prepared: the values of the configuration by which the preprocess stage made it, by their dotted
            names, where the parts themselves do not show them.
    """

    name: str
    title: str
    classes: list[str]
    image_shape: tuple[int, ...] | None
    train: Part
    test: Part
    official: Part
    validation: Part | None = None
    task: Task = "classification"
    targets: list[Target] = field(default_factory=list)
    prepared: dict[str, Any] = field(default_factory=dict)

    def hold_out(self, count: float) -> "Dataset":
        """Return the dataset with the last `count` rows of `train` as its `validation` part.

        If the preprocess stage has made a validation part, the dataset stays as it is. But if that stage was
        asked for one and `count` is 0, the rows of the part go back to `train`. Those of a fold stay, since
        the fold is what the training is for.

        Raises:
            UserError: if that leaves none to learn from.
        """
        asked_for = self.prepared.get("split.validation") and not self.prepared.get("split.folds")
        if self.validation and not count and asked_for:
            pairs = [(part.inputs, part.targets) for part in (self.train, self.validation)]
            inputs, targets = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
            return replace(self, train=Part(inputs, targets), validation=None)
        if self.validation or not count:
            return self
        count = int(count)
        if count >= len(self.train.inputs):
            raise UserError(
                f"split.validation = {count}: should be less than the {len(self.train.inputs)} train images"
                f" in {PROCESSED}; `dvc repro preprocess` splits them anew"
            )
        return replace(
            self,
            train=Part(self.train.inputs[:-count], self.train.targets[:-count]),
            validation=Part(self.train.inputs[-count:], self.train.targets[-count:]),
        )

    @property
    def example(self) -> str:
        """What a row is, in a word."""
        return "image" if self.image_shape else "row"

    def with_one_column(self) -> "Dataset":
        """Return the dataset, of two classes, with a single column of targets: 1 for the second class."""

        def of(part: Part) -> Part:
            return Part(part.inputs, part.targets[:, -1:])

        return replace(
            self,
            train=of(self.train),
            test=of(self.test),
            official=of(self.official),
            validation=of(self.validation) if self.validation else None,
        )


def load_dataset(folder: Path = PROCESSED) -> Dataset:
    """Open what the preprocess stage wrote to `folder`; the arrays stay on disk until they are read.

    Raises:
        UserError: if a file is missing, cannot be read, or does not fit the others.
    """
    description = read_description(folder, Description, "preprocess")
    train, test, official = (_open_part(folder, part, description) for part in PARTS)
    chosen = (folder / f"{VALIDATION}_images.npy").exists()
    validation = _open_part(folder, VALIDATION, description) if chosen else None
    if len({part.inputs.shape[1] for part in (train, test, official, validation) if part}) > 1:
        raise UserError(
            f"{folder}: the parts have different numbers of inputs:"
            " `dvc repro -f preprocess` writes them anew"
        )
    return Dataset(
        description.name,
        description.title,
        description.classes,
        description.image_shape,
        train,
        test,
        official,
        validation,
        description.task,
        description.targets,
        description.prepared,
    )


def in_own_units(numbers: np.ndarray, targets: Sequence[Target]) -> np.ndarray:
    """Return standardised `numbers` of a regression's `targets`, (n, k), in the targets' own units."""
    means, deviations = np.array([(target.mean, target.deviation) for target in targets]).T
    return np.asarray(numbers * deviations + means)


def warn_of_unseen_classes(dataset: Dataset) -> None:
    """Warn the user of classes that no training example belongs to."""
    seen = dataset.train.targets.max(axis=0)
    if len(seen) == len(dataset.classes):  # and not the single output that tells two classes apart
        unseen = [name for name, there in zip(dataset.classes, seen, strict=True) if not there]
        examples = f"{len(dataset.train.inputs):,} training {dataset.example}s of {dataset.title}"
        warn_of_classes(unseen, examples, UNSEEN)


def warn_of_classes(lacking: Sequence[str], examples: str, consequence: str) -> None:
    """Warn the user that none of the `examples`, such as `9 training images`, is of the `lacking` classes."""
    if lacking:
        more = f" and {len(lacking) - MAX_NAMED} more" if len(lacking) > MAX_NAMED else ""
        warn(
            f"warning: none of the {examples} is of the class {', '.join(lacking[:MAX_NAMED])}{more}:"
            f" {consequence}. split.order=stratified gives each part its share of every class"
        )


def digest_part(part: Part) -> str:
    """Return a SHA-256 of all images and labels of `part`, in their order."""
    hashed = hashlib.sha256()
    for array in (part.inputs, part.targets):
        hashed.update(f"{array.dtype.str} {array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()


def digest(folder: Path = PROCESSED) -> str:
    """Return a SHA-256 of the dataset in `folder`, if there is one.

    The files are not kept in memory, and are read again only if their size or time has changed. What somebody
    else put into the folder does not count.
    """
    folders = [".", *(f"{FOLDS}/{path.name}" for path in fold_folders(folder))]
    names = [str(PurePosixPath(of, name)) for of in folders for name in sorted(FILES)]
    hashes = [f"{name} {sha256_once(folder / name)}" for name in names if (folder / name).exists()]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def folder_for(folds: int | None, fold: int, processed: Path = PROCESSED) -> Path:
    """Return the folder of the dataset in `processed`, or of its `fold` where it is divided into `folds`."""
    return processed / FOLDS / str(fold) if folds else processed


def fold_folders(folder: Path = PROCESSED) -> list[Path]:
    """Return the folders of the folds in `folder`, if it is divided into folds, in their order."""
    paths = (folder / FOLDS).glob("*")
    return sorted((path for path in paths if path.name.isdecimal()), key=lambda path: int(path.name))


def read_description(folder: Path, kind: type[AnyDescription], stage: str) -> AnyDescription:
    """Return what `stage` wrote to the `dataset.json` of `folder`.

    Raises:
        UserError: if it is missing or damaged, or lacks something.
    """
    path = folder / "dataset.json"
    with reading(path, stage):
        try:
            return TypeAdapter(kind).validate_json(path.read_bytes())
        except ValidationError as error:
            finding: Any = error.errors(include_url=False)[0]
            raise ValueError(": ".join([*map(str, finding["loc"]), finding["msg"]])) from None


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write `description` to the `dataset.json` of `folder`."""
    write_text(folder / "dataset.json", json.dumps(description, indent=2, ensure_ascii=False) + "\n")


def _open_part(folder: Path, part: str, description: Description) -> Part:
    width = math.prod(description.image_shape) if description.image_shape else None
    inputs = _open_array(folder / f"{part}_images.npy", np.float32, width)
    if description.task == "classification":
        targets = _open_array(folder / f"{part}_labels.npy", np.uint8, len(description.classes))
    else:
        targets = _open_array(folder / f"{part}_labels.npy", np.float32, len(description.targets))
    if len(inputs) != len(targets):
        raise UserError(
            f"{folder}: {len(inputs)} {part} images but {len(targets)} labels:"
            " `dvc repro -f preprocess` writes both anew"
        )
    return Part(inputs, targets)


def _open_array(path: Path, dtype: type, width: int | None) -> np.ndarray:
    """Map the array in the file at `path`, (n, width) of `dtype`; without a width, of any."""
    with reading(path, "preprocess"):
        array = np.lib.format.open_memmap(path, mode="r")
        fits = array.ndim == 2 and width in (None, array.shape[1])
        if array.dtype != dtype or not fits:
            raise ValueError(
                f"it holds {array.dtype} of shape {array.shape}, not {np.dtype(dtype)} of shape"
                f" (n, {width or 'd'})"
            )
    return np.asarray(array)  # a plain array on the same memory, since slices of a memmap are slow
