"""The schema of every configuration: what a value can be.

`pipeline.runs.training_data` checks whether it fits the data.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, Field, GetPydanticSchema, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.config.messages import describe
from pipeline.data.augmentation import AUGMENTATIONS, Augmentation
from pipeline.data.mirrors import File
from pipeline.data.own import AnyOwnDataset, Limits
from pipeline.data.package import Package
from pipeline.data.splitting import Split
from pipeline.nn.activations import ACTIVATIONS, CANONICAL, HIDDEN
from pipeline.nn.initialisers import INITIALISERS, Initialiser
from pipeline.nn.losses import LOSSES, Loss
from pipeline.nn.optimizers import OPTIMIZERS, Optimizer
from pipeline.nn.schedules import SCHEDULES, Schedule
from pipeline.support.bounds import (
    STRICT,
    Count,
    Epochs,
    Flag,
    Fraction,
    Name,
    NonNegative,
    Positive,
    PositiveCount,
)
from pipeline.support.errors import UserError

Units = Annotated[PositiveCount, Field(lt=2**31)]  # BLAS counts in 32 bits
Drawn = Annotated[PositiveCount, Field(le=1_000_000)]  # images
Seed = Annotated[Count, Field(lt=2**128)]  # as many bits as NumPy takes from the system for a seed
Layers = Annotated[list[Units], Field(max_length=1000)]


def _one_of(names: Collection[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"should be one of {', '.join(names)}")
        return name

    return AfterValidator(check)


Activation = Annotated[str, _one_of(HIDDEN)]
Output = Annotated[str, _one_of(ACTIVATIONS)]


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("no name should be there twice")
    return names


def chosen_from(classes: Mapping[str, type]) -> GetPydanticSchema:
    """Return what makes pydantic take one of `classes`, the one that the key `name` says."""
    union: Any = Union[tuple(classes.values())]  # noqa: UP007 (of a tuple there is no other way to write it)
    return GetPydanticSchema(lambda _, handler: handler(Annotated[union, Field(discriminator="name")]))


Classes = Annotated[
    list[Annotated[str, Field(max_length=100)]], Field(min_length=2), AfterValidator(_distinct)
]


@dataclass(frozen=True, config=STRICT)
class Files:
    """The four IDX files of a dataset in MNIST's format."""

    train_images: File
    train_labels: File
    official_images: File
    official_labels: File


@dataclass(frozen=True, config=STRICT)
class IdxDataset:
    """A dataset that is downloaded as four IDX files."""

    kind: Literal["idx"]
    name: Name
    title: str
    mirrors: list[str]
    files: Files
    classes: Classes
    fallback: Literal["strokes"] | None
    package: Package | None = None
    range: Limits | None = None


@dataclass(frozen=True, config=STRICT)
class StrokesDataset:
    """Digit-like images that the project draws itself; `train` and `official` count them."""

    kind: Literal["strokes"] = "strokes"
    name: Literal["strokes"] = "strokes"
    title: str = "Strokes"
    train: Drawn = 60_000
    official: Drawn = 10_000
    classes: Annotated[Classes, Field(min_length=10, max_length=10)] = Field(
        default_factory=lambda: list("0123456789")
    )


@dataclass(frozen=True, config=STRICT)
class AlternatingDataset:
    """The 2ⁿ points 0, 2⁻ⁿ, …, 1 − 2⁻ⁿ with labels 0, 1, 0, 1, …; nothing is downloaded."""

    kind: Literal["alternating"]
    name: Name
    title: str
    n: Annotated[int, Field(strict=True, ge=1, le=20)]


@dataclass(frozen=True, config=STRICT)
class XorDataset:
    """The corners of the unit square, labelled with the exclusive or of their coordinates."""

    kind: Literal["xor"]
    name: Name
    title: str


GeneratedDataset = AlternatingDataset | XorDataset


@dataclass(frozen=True, config=STRICT)
class Model:
    """A multilayer perceptron; its input and output widths come from the data.

    An `output` of None is the task's own: see `pipeline.runs.build.output_activation`.
    """

    hidden: Layers
    activation: Activation
    output: Output | None
    bias: Flag
    initialiser: Annotated[Initialiser, chosen_from(INITIALISERS)]
    dropout: Fraction


@dataclass(frozen=True, config=STRICT)
class Training:
    """The training loop; conf/training/default.yaml explains each key."""

    epochs: Epochs
    patience: PositiveCount | None
    batch_size: PositiveCount | None
    ema: Fraction
    batch_norm: Flag
    virtual_adversarial: NonNegative
    checkpoint: NonNegative
    measure_every: PositiveCount
    snapshots: PositiveCount | None
    arithmetic: Literal["exact", "float32", "float64"]
    threads: Annotated[PositiveCount, Field(le=1024)]


@dataclass(frozen=True, config=STRICT)
class Evaluation:
    """Over how many distorted copies of an image its prediction is averaged.

    Attributes:
        copies: 1 for the image as it is.
        strength: of the distortion, as a share of the distances and angles of `augmentation`.
    """

    copies: Annotated[PositiveCount, Field(le=10_000)]
    strength: Annotated[Positive, Field(le=1)]


@dataclass(frozen=True, config=STRICT)
class Tracking:
    """Whether runs are recorded in MLflow, and how long (seconds) a stage waits for the server."""

    enabled: Flag
    patience: Annotated[Positive, Field(le=86_400)]


@dataclass(frozen=True, config=STRICT)
class Sweep:
    """Whether a sweep skips the jobs that are finished already."""

    resume: Flag


@dataclass(frozen=True, config=STRICT)
class Config:
    """Everything that a run depends on besides code and data."""

    dataset: Annotated[
        IdxDataset | StrokesDataset | AnyOwnDataset | GeneratedDataset, Field(discriminator="kind")
    ]
    split: Split
    model: Model
    loss: Annotated[Loss, chosen_from(LOSSES)]
    optimizer: Annotated[Optimizer, chosen_from(OPTIMIZERS)]
    schedule: Annotated[Schedule, chosen_from(SCHEDULES)]
    augmentation: Annotated[Augmentation, chosen_from(AUGMENTATIONS)]
    training: Training
    evaluation: Evaluation
    tracking: Tracking
    sweep: Sweep
    seed: Seed

    def __post_init__(self) -> None:
        if self.schedule.warmup >= self.training.epochs:
            raise ValueError(
                f"schedule.warmup = {self.schedule.warmup:g}: should be less than training.epochs ="
                f" {self.training.epochs}, or the schedule never begins"
            )
        if self.loss.name == "canonical" and self.model.output not in {*CANONICAL, None}:
            raise ValueError(
                f"loss = canonical: should be squared_error for model.output = {self.model.output}; outputs"
                f" with a loss of their own are {', '.join(CANONICAL)}"
            )
        if self.evaluation.copies > 1 and self.augmentation.name == "none":
            raise ValueError(
                f"evaluation.copies = {self.evaluation.copies}: should be 1 for augmentation = none,"
                " with which all copies would be the same"
            )
        if self.training.batch_norm and not self.model.bias:
            raise ValueError(
                "training.batch_norm = true: should be false for model.bias = false: what it takes away from"
                " the units is given back by biases"
            )
        if self.training.batch_norm and self.training.batch_size == 1:
            raise ValueError(
                "training.batch_norm = true: should be false for training.batch_size = 1: over a single row"
                " every unit is its own mean"
            )
        if self.training.virtual_adversarial and self.model.output not in {*CANONICAL, None}:
            raise ValueError(
                f"training.virtual_adversarial = {self.training.virtual_adversarial:g}: should be 0 for"
                f" model.output = {self.model.output}; outputs with a loss of their own, which it needs, are"
                f" {', '.join(CANONICAL)}"
            )
        if self.augmentation.name != "none" and isinstance(self.dataset, GeneratedDataset):
            raise ValueError(
                f"augmentation = {self.augmentation.name}: should be none for {self.dataset.name},"
                " which has no images"
            )


_CONFIG: TypeAdapter[Config] = TypeAdapter(Config)

SWITCHED_OFF: dict[str, Any] = {"patience": None, "batch_norm": False, "virtual_adversarial": 0.0}
"""Keys of `training` that were added later, each with the value that switches it off. A model's file leaves
out a key that has this value, so models of older trainings keep their bytes."""


def parse(values: Mapping[str, Any], where: str) -> Config:
    """Check `values` against the schema.

    Args:
        values: the composed configuration, as nested plain containers.
        where: where the values come from, for the message.

    Raises:
        UserError: on the first unknown key, missing key, wrong type or impossible value.
    """
    try:
        config = _CONFIG.validate_python(values)
    except ValidationError as error:
        raise UserError(f"{where}: {describe(error, values)}") from None
    # Defaults are for callers in Python. A configuration has to state every value.
    missing = flat(config).keys() - flatten(values).keys()
    if missing := {key for key in missing if not key.startswith(("dataset.", "split."))}:
        raise UserError(f"{where}: the key {min(missing)} is missing")
    return config


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested `values` by their dotted names, as in `optimizer.learning_rate`."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def flat(config: Config) -> dict[str, Any]:
    """Return every value of `config` by its dotted name."""
    return flatten(asdict(config))


def ingredients(values: Mapping[str, Any], data: str | None = None) -> dict[str, Any]:
    """Return the part of a whole configuration, nested, that a model depends on.

    These are left out: evaluation, tracking, sweep, how often checkpoints are written, and in exact
    arithmetic the number of threads. Order, seed and groups of the split are left out too: they show in the
    data.

    Args:
        values: the configuration.
        data: the digest of its dataset, which stands in for where that is from; None for one that is
            generated from its configuration.
    """
    made_from = {**values, "training": {**values["training"]}, "dataset": data or values["dataset"]}
    split = values["split"]
    used = ("train", "test", "validation", *(("folds", "fold") if split.get("folds") else ()))
    made_from["split"] = {key: split[key] for key in used if key in split}
    for unrelated in ("evaluation", "tracking", "sweep"):
        del made_from[unrelated]
    del made_from["training"]["checkpoint"]
    for key, off in SWITCHED_OFF.items():
        if made_from["training"][key] == off:
            del made_from["training"][key]
    if made_from["training"]["arithmetic"] == "exact":
        del made_from["training"]["threads"]
    return made_from


def run_name(config: Mapping[str, Any]) -> str:
    """Return what tells a run by `config`, nested, apart at a glance: `relu 100, sgd 0.1, seed 0`."""
    model, optimizer = config["model"], config["optimizer"]
    network = [model["activation"], "-".join(map(str, model["hidden"]))] if model["hidden"] else ["linear"]
    return f"{' '.join(network)}, {optimizer['name']} {optimizer['learning_rate']:g}, seed {config['seed']}"
