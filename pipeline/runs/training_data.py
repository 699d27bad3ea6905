"""The data that a configuration asks for, and whether the two fit."""

from dataclasses import asdict

from pipeline.config.schema import Config, GeneratedDataset
from pipeline.data.dataset import PROCESSED, Dataset, folder_for, load_dataset, warn_of_unseen_classes
from pipeline.data.generated import generate
from pipeline.data.own import OwnDataset, prepared_by
from pipeline.data.splitting import Split
from pipeline.runs.build import check_training
from pipeline.support.errors import UserError, warn

SPLIT_BY_DEFAULT = asdict(Split(train=1, test=0))


def data_for(config: Config) -> Dataset:
    """Return the data that `config` asks for: generated, or opened in `data/processed`.

    Raises:
        UserError: if they are not there, or the configuration asks of them what they cannot give.
    """
    if isinstance(config.dataset, GeneratedDataset):
        dataset = generate(**asdict(config.dataset))
    else:
        dataset = load_dataset(folder_for(config.split.folds, config.split.fold))
        check_fit(config, dataset)
        dataset = dataset.hold_out(config.split.validation)
    check_training(config, dataset)
    return dataset


def warn_of_data(config: Config, dataset: Dataset) -> None:
    """Tell the user what there is about `dataset`, which `config` is trained on, that spoils the result."""
    if dataset.name != config.dataset.name:
        warn(
            f"warning: {PROCESSED} holds {dataset.title}, which stands in for {config.dataset.title}:"
            f" NOTHING IS ABOUT {config.dataset.title}. `dvc repro` fetches it once a source can be reached"
        )
    warn_of_unseen_classes(dataset)


def check_fit(config: Config, dataset: Dataset) -> None:
    """Raise `UserError` unless `dataset` is what `config` asks for."""
    wanted = {config.dataset.name, getattr(config.dataset, "fallback", None)}
    if dataset.name not in wanted:
        raise UserError(
            f"dataset = {config.dataset.name}, but data/processed holds {dataset.name}:"
            f" `dvc exp run -S dataset={config.dataset.name}` prepares the other and trains on it"
        )
    _check_preparation(config, dataset)
    if isinstance(config.dataset, OwnDataset):
        return
    classes = getattr(config.dataset, "classes", None)
    if dataset.name == config.dataset.name and dataset.classes != classes:
        raise UserError(
            f"dataset.classes = {classes}, but data/processed has {dataset.classes}:"
            " `dvc repro` prepares the data anew with those in params.yaml"
        )
    for part in ("train", "test") if not prepared_by(config.dataset, config.split) else ():
        count, expected = len(getattr(dataset, part).inputs), getattr(config.split, part)
        if count != expected:
            raise UserError(
                f"split.{part} = {expected}, but data/processed holds {count} images in that part:"
                f" `dvc exp run -S split.{part}={expected}` splits them anew and trains on them"
            )


def _check_preparation(config: Config, dataset: Dataset) -> None:
    """Raise `UserError` unless `dataset` was prepared by the values that `config` asks for."""
    counts = {part: len(getattr(dataset, part).inputs) for part in ("train", "test")}
    there = {f"split.{key}": value for key, value in (SPLIT_BY_DEFAULT | counts).items()} | dataset.prepared
    wanted = prepared_by(config.dataset, config.split)
    asked = {f"split.{key}": value for key, value in asdict(config.split).items()} | wanted
    if asked["split.validation"] == 0:  # then its rows are learned from
        there["split.validation"] = 0
    for key in wanted | dataset.prepared:
        if asked.get(key) != there.get(key):
            raise UserError(
                f"{key} = {asked.get(key)}, but data/processed was prepared with {there.get(key)}: `dvc exp"
                " run` with the same options prepares the data anew and trains on them"
            )
