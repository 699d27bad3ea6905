"""A run that has been trained: its network, and what that was trained by and on."""

from pipeline.support.program import command

import argparse
import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pipeline.config.reading import read_params
from pipeline.config.schema import SWITCHED_OFF, Config, parse
from pipeline.data.dataset import PROCESSED, Dataset, digest, folder_for, load_dataset
from pipeline.data.generated import generate
from pipeline.nn.types import Array
from pipeline.runs.copies import Copies, log_probabilities
from pipeline.runs.evaluation import parts_with_rows
from pipeline.runs.history import Row, kept_row, read_history
from pipeline.runs.journal import STOPPED, read_end
from pipeline.runs.models import TrainedModel, load_model, misfit, read_made_from
from pipeline.runs.run import Run
from pipeline.runs.snapshots import load_snapshots
from pipeline.runs.training_data import check_fit
from pipeline.support.errors import UserError, warn
from pipeline.support.files import FileError, reading


def chosen_run(description: str | None) -> Run:
    """Return the run whose folder the command line names, DVC's without one.

    Args:
        description: of the command, for `--help`: its first paragraph is shown.
    """
    return Run(_chosen_folder(description, "?") or Path())


def chosen_runs(description: str | None) -> list[Run]:
    """Return the runs whose folders the command line names, DVC's without any; `description` as there."""
    return [Run(folder) for folder in _chosen_folder(description, "*") or [Path()]]


def _chosen_folder(description: str | None, number: Literal["?", "*"]) -> Any:
    """Return the folder on the command line, if any, or a list of them."""
    summary, *_ = (description or "").split("\n\n")
    parser = argparse.ArgumentParser(prog=command(), description=summary)
    parser.add_argument(
        "folder",
        nargs=number,
        type=Path,
        help="of a run: outputs/…, multirun/…/3, models/problems/xor; without it, the run of `dvc repro`",
    )
    return parser.parse_args().folder


@contextmanager
def files_of(run: Run) -> Iterator[None]:
    """Say what to do about a missing or damaged file of `run`, which `dvc repro` makes only in DVC's run.

    Raises:
        UserError: where the block raises a `FileError` about another run.
    """
    try:
        yield
    except FileError as error:
        evaluate = f"`python -m pipeline.evaluate {shlex.quote(str(run.folder))}` writes it"
        remedies = {"evaluate": evaluate, "train": "train that run again"}
        if run.is_dvcs() or error.stage not in remedies:
            raise
        raise UserError(f"{error.what}: {remedies[error.stage]}") from None


@dataclass(frozen=True)
class TrainedRun:
    """A run with its network, which fits the data.

    Attributes:
        run: where all of it is.
        config: what the network was trained by; where that is not known, as of a model in DVC's run that
            comes from elsewhere, what is in `params.yaml`, with tracking switched off.
        dataset: what it was trained on.
        model: the network.
    """

    run: Run
    config: Config
    dataset: Dataset
    model: TrainedModel

    @classmethod
    def open(cls, run: Run) -> Self:
        """Open the results of the training in `run`, or in the run that has the network of a skipped job.

        Raises:
            UserError: if there is no network, if a file is damaged, or if the data are not what the network
                was trained on.
        """
        run = _trained_elsewhere(run)
        if not run.model.exists() and (end := read_end(run)).get("status") == STOPPED:
            raise UserError(
                f"{run.model} is not there: a search stopped the training in {run.folder} after epoch"
                f" {end['epoch']}, and only what is trained to the end has a model"
            )
        if not run.is_dvcs() and not run.model.exists():
            raise UserError(
                f"{run.model} is not there: {run.folder} should be the folder of a training, such as"
                " outputs/…, multirun/…/3 or models/problems/xor"
            )
        params_path = run.params if run.params.exists() else Run().params
        params, made_from = read_params(params_path), read_made_from(run.model)
        copies, augmentation = params.evaluation.copies, (made_from or {}).get("augmentation")
        if copies > 1 and augmentation == {"name": "none"}:
            raise UserError(
                f"{params_path}: evaluation.copies = {copies}: should be 1, since {run.model} was trained"
                " with augmentation = none"
            )
        if made_from and isinstance(made_from.get("dataset"), dict):
            config = _config(run, made_from, params, {})
            dataset = generate(**asdict(config.dataset))
        else:
            dataset = load_dataset(_folder(made_from, params))
            config = _config_for(dataset, run, made_from, params)
            dataset = dataset.hold_out(config.split.validation)
        model = load_model(run.model)
        if reason := misfit(model, dataset):
            what = f"{run.model} {reason} in {PROCESSED}"
            raise FileError(what, "train", "`dvc repro train` trains a network that fits")
        return cls(run, config, dataset, model)

    @property
    def copies(self) -> Copies:
        """Over which copies of an image its prediction is averaged."""
        return Copies.of(asdict(self.config))

    @cached_property
    def log_probabilities(self) -> dict[str, Array]:
        """What the network says, averaged over `copies`, of each part but the training part: (n, k)."""
        return {
            name: log_probabilities(self.model, part.inputs, self.copies, self.dataset.image_shape)
            for name, part in parts_with_rows(self.dataset).items()
            if name != "train"
        }

    def history(self) -> list[Row]:
        """Read what training measured.

        Raises:
            UserError: if the file is missing or damaged.
        """
        return read_history(self.run.history)

    @property
    def epochs(self) -> int:
        """After how many epochs the network was as it is: with `training.patience`, the best ones.

        Raises:
            UserError: if the history is missing or damaged.
        """
        return int(kept_row(self.history(), self.config.training.patience)["epoch"])

    def snapshots(self) -> list[tuple[int, Array]]:
        """Read epoch and parameters of each snapshot; none where training took none.

        Raises:
            UserError: if the file is missing, damaged, or of another network.
        """
        snapshots = load_snapshots(self.run.snapshots)
        if any(vector.size != self.model.parameters.vector.size for _, vector in snapshots):
            what = f"{self.run.snapshots} is of another network than {self.run.model}"
            raise FileError(what, "train", "`dvc repro -f train` makes both")
        return snapshots


def _trained_elsewhere(run: Run) -> Run:
    """Return the run that has the network of `run`, if that is a job that its sweep skipped; else `run`."""
    job = run.folder.parent / f"jobs/{run.folder.name}.json"
    if run.model.exists() or not job.is_file():
        return run
    with reading(job, "train", remedy="the same sweep again writes it anew"):
        return Run(Path(json.loads(job.read_text(encoding="utf-8"))["folder"]))


def _folder(made_from: dict[str, Any] | None, params: Config) -> Path:
    """Return where the data are that a model was made from, or those of `params` where that is not known."""
    split = made_from.get("split") if made_from else None
    if not isinstance(split, dict):
        split = asdict(params.split)
    return folder_for(split.get("folds"), split.get("fold", 0))


def _config(run: Run, made_from: dict[str, Any], params: Config, prepared: dict[str, Any]) -> Config:
    """Return the configuration that `made_from`, as it stands in the model of `run`, is a part of.

    What the model does not depend on, such as tracking, is taken from `params`. How the data were split is
    taken from `prepared`, as in `Dataset`.

    Raises:
        UserError: if `made_from` does not fit the schema.
    """
    values = asdict(params)
    dataset = made_from["dataset"] if isinstance(made_from["dataset"], dict) else values["dataset"]
    others = {key: values[key] for key in ("evaluation", "tracking", "sweep")}
    whole = {**made_from, **others, "dataset": dataset}
    if isinstance(split := made_from.get("split"), dict):
        of_split = {key: value for key, value in prepared.items() if key.startswith("split.")}
        whole["split"] = {key.removeprefix("split."): value for key, value in of_split.items()} | split
    if isinstance(training := made_from.get("training"), dict):
        whole["training"] = {**values["training"], **SWITCHED_OFF, **training}
    return parse(whole, str(run.model))


def _config_for(dataset: Dataset, run: Run, made_from: dict[str, Any] | None, params: Config) -> Config:
    """Return the configuration that the model of `run` was trained by, if that was on `dataset`.

    The root's `params.yaml` may have been changed since DVC's run was trained. If the model of that run does
    not say what it was trained by, or was trained on other data, this warns, and returns `params` with
    tracking switched off, since it would be recorded under values that are not its own.

    Raises:
        UserError: if another run than DVC's has such a model.
    """
    try:
        if made_from is None:
            raise UserError(f"{run.model} does not say what it was trained by")
        if made_from.get("dataset") != digest():
            what = f"{run.model} was trained on other data than {PROCESSED} holds"
            if run.is_dvcs():
                raise UserError(what)
            check_fit(params, dataset)  # which may say in what they differ
            raise UserError(f"{what}: prepare the data that it was trained on")
        config = _config(run, made_from, params, dataset.prepared)
        check_fit(config, dataset)
    except UserError as reason:
        if not run.is_dvcs():
            raise
        if params.tracking.enabled:
            warn(f"warning: not recorded in MLflow: {reason}. `dvc repro train` trains what can be recorded")
        return replace(params, tracking=replace(params.tracking, enabled=False))
    return config
