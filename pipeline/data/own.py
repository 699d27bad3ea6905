"""What the configurations of all data of your own have in common."""

import json
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass

from pipeline.data.dataset import RawDescription, Side, Task, read_description
from pipeline.data.splitting import Split
from pipeline.support.bounds import STRICT, Flag, Name, Real
from pipeline.support.files import reading

FROM_SCIKIT_LEARN = "sklearn:"


def _check_range(limits: list[float]) -> list[float]:
    if limits[0] >= limits[1]:
        raise ValueError("the first number should be less than the second")
    return limits


Limits = Annotated[list[Real], Field(min_length=2, max_length=2), AfterValidator(_check_range)]
"""The numbers that become 0 and 1."""


@dataclass(frozen=True, config=STRICT, kw_only=True)
class OwnDataset:
    """Data of your own.

    Attributes:
        name: of its file in conf/dataset.
        title: in figures; by default the name of the file.
        task: what is learned.
        path: a file or folder, relative to the repository or absolute, a URL, or `sklearn:` and the name of a
            dataset that comes with scikit-learn.
        hash: of the file, `sha256:` and hexadecimal digits; None to take whatever is there.
    """

    name: Name
    title: Annotated[str, BeforeValidator(lambda title: title or "")] = ""
    task: Task = "classification"
    path: str | None = None
    hash: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", stem(self.path) if self.path else self.name)


Delimiter = Annotated[
    Annotated[str, Field(min_length=1, max_length=1)],
    BeforeValidator(lambda given: "\t" if given == r"\t" else given),
]
"""Between two values; a tab may be given as a backslash and a t, since shells do not take it otherwise."""


@dataclass(frozen=True, config=STRICT, kw_only=True)
class TableDataset(OwnDataset):
    """A table.

    Attributes:
        target: the column, or for a regression the columns, to be predicted.
        features: the columns to predict it from; None for all others.
        drop: columns that are left out of these.
        text: columns that are taken as text, though there may be numbers in them, such as postcodes.
        missing: what stands in for a value that is not there: nothing (`error`), the `median` of the
            column, or that and an input which says so (`indicator`).
        delimiter: between values in a CSV file; None for a comma, and a tab in a .tsv file.
        decimal: what stands before the fraction of a number in a CSV file.
        encoding: of a CSV file.
    """

    kind: Literal["table"]
    target: str | list[str] | None = None
    features: list[str] | None = None
    drop: list[str] = Field(default_factory=list)
    text: list[str] = Field(default_factory=list)
    missing: Literal["error", "median", "indicator"] = "error"
    delimiter: Delimiter | None = None
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.target, list) and self.task == "classification" and len(self.target) > 1:
            raise ValueError(
                f"dataset.target = {self.target}: should be one column, which holds the classes, or"
                " dataset.task=regression"
            )
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(
                f"dataset.encoding = {self.encoding}: should be utf-8, latin-1, cp1252, …"
            ) from None


@dataclass(frozen=True, config=STRICT, kw_only=True)
class ImagesDataset(OwnDataset):
    """A folder of images.

    Attributes:
        size: rows and columns to which each is scaled; None if all have one size.
        colour: whether they keep their colours.
    """

    kind: Literal["images"]
    size: Annotated[list[Annotated[Side, Field(strict=True)]], Field(min_length=2, max_length=2)] | None = (
        None
    )
    colour: Flag = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task != "classification":
            raise ValueError(
                "dataset.task = regression: should be classification for images, whose subfolders are the"
                " classes; dataset=arrays takes images with a number for each"
            )


@dataclass(frozen=True, config=STRICT, kw_only=True)
class ArraysDataset(OwnDataset):
    """Arrays.

    Attributes:
        range: of images that are not of 8 bits, the values that become 0 and 1; None for the lowest and the
            highest of the training part.
    """

    kind: Literal["arrays"]
    range: Limits | None = None


def stem(path: str) -> str:
    """Return the name of the file or folder at `path`, or of the file at a URL, without its ending."""
    name = PurePath(urlsplit(path).path if is_url(path) else path.removeprefix(FROM_SCIKIT_LEARN)).name
    return name.split(".")[0] or path


def is_url(path: str) -> bool:
    """Return whether `path` is the address of a file on a web server."""
    return path.startswith(("http://", "https://"))


AnyOwnDataset = TableDataset | ImagesDataset | ArraysDataset
WHERE_FROM = ("path", "hash")


@dataclass(frozen=True)
class OwnRawDescription:
    """What the download stage says about data of your own, in `data/raw/dataset.json`.

    Attributes:
        dataset: what it is and how it is read, but not where it is from.
        files: the SHA-256 of each file in `data/raw`, by its name there.
    """

    dataset: Annotated[AnyOwnDataset, Field(discriminator="kind")]
    files: dict[str, str]


def read_raw(folder: Path) -> RawDescription | OwnRawDescription:
    """Return what the download stage wrote to the `dataset.json` of `folder`.

    Raises:
        UserError: if it is missing or damaged, or lacks something.
    """
    with reading(folder / "dataset.json", "download"):
        is_own = "dataset" in json.loads((folder / "dataset.json").read_bytes())
    if is_own:
        return read_description(folder, OwnRawDescription, "download")
    return read_description(folder, RawDescription, "download")


def options(dataset: OwnDataset) -> dict[str, Any]:
    """Return what `dataset` is and how it is read, but not where it is from."""
    return {key: value for key, value in asdict(dataset).items() if key not in WHERE_FROM}


def prepared_by(dataset: Any, split: Split) -> dict[str, Any]:
    """Return the values by which the preprocess stage prepares `dataset`, by their dotted names.

    They include `split.validation` if the stage makes a validation part. It always does for your own data,
    whose statistics are those of the training part alone. There are no values for other data that are split
    by counts in file order: the sizes of the parts say it all, and training itself holds the validation part
    out of the train part.
    """
    own = options(dataset) if isinstance(dataset, OwnDataset) else {}
    of_split = asdict(split)
    del of_split["fold"]
    by_counts = not (split.by_share or split.groups or split.folds)
    if not own and by_counts and split.order == "file":
        of_split = {}
    return {f"dataset.{key}": value for key, value in own.items()} | {
        f"split.{key}": value for key, value in of_split.items()
    }
