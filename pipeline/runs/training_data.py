"""The data that a configuration asks for, and whether the two fit."""

import math
import os
from dataclasses import asdict
from itertools import pairwise

import numpy as np

from pipeline.config.schema import Config, GeneratedDataset
from pipeline.data.dataset import PROCESSED, Dataset, load_dataset, warn_of_unseen_classes
from pipeline.data.generated import generate
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.support.errors import UserError, shorten, tell

ROW_BYTES = 1000  # of what is kept of an epoch that was measured


def data_for(config: Config) -> Dataset:
    """Return the data that `config` asks for: generated, or opened in `data/processed`.

    Raises:
        UserError: if they are not there, or the configuration asks of them what they cannot give.
    """
    if isinstance(config.dataset, GeneratedDataset):
        dataset = generate(**asdict(config.dataset))
    else:
        dataset = load_dataset()
        check_fit(config, dataset)
        dataset = dataset.hold_out(config.split.validation)
    images, outputs = len(dataset.train.images), dataset.train.labels.shape[1]
    if (config.training.batch_size or 1) > images:
        raise UserError(
            f"training.batch_size = {config.training.batch_size}: should be at most the number of training"
            f" images, {images}, or null for all of them at once"
        )
    if config.model.output == "softmax" and outputs == 1:
        raise UserError(
            f"model.output = softmax: of a single output, as {dataset.name} has it, it always makes 1;"
            " sigmoid is what tells two classes apart"
        )
    check_memory(config, dataset)
    return dataset


def warn_of_data(config: Config, dataset: Dataset) -> None:
    """Tell the user what there is about `dataset`, which `config` is trained on, that spoils the result."""
    if dataset.name != config.dataset.name:
        tell(
            f"warning: {PROCESSED} holds {dataset.title}, which stands in for {config.dataset.title}:"
            f" NOTHING IS ABOUT {config.dataset.title}. `dvc repro` fetches it once a source can be reached"
        )
    warn_of_unseen_classes(dataset)


def check_memory(config: Config, dataset: Dataset) -> None:
    """Raise `UserError` if training on `dataset` needs more memory than the machine has, at the least."""
    images, inputs = dataset.train.images.shape
    widths = [inputs, *config.model.hidden, dataset.train.labels.shape[1]]
    size = np.dtype(ARITHMETICS[config.training.arithmetic].dtype).itemsize
    parameters = sum((before + config.model.bias) * after for before, after in pairwise(widths))
    needed = {
        f"model.hidden = {config.model.hidden}": parameters * size * 2,  # and a gradient for each
        f"training.batch_size = {config.training.batch_size}": (
            (config.training.batch_size or images) * sum(widths[1:]) * size
        ),
        f"training.measure_every = {config.training.measure_every}": (
            config.training.epochs // config.training.measure_every * ROW_BYTES
        ),
    }
    if config.training.snapshots:  # each is kept twice in the end, then as float16
        count = 1 + math.ceil(config.training.epochs / config.training.snapshots)
        needed[f"training.snapshots = {config.training.snapshots}"] = count * parameters * (size + 2)
    total, most = sum(needed.values()), memory()
    if total > most:
        largest = max(needed, key=lambda key: needed[key])
        cause = next((key for key in needed if needed[key] > most), largest)
        raise UserError(
            f"{shorten(cause, 200)}: training would take at least {total / 1e9:,.0f} GB of memory, and this"
            f" machine has {most / 1e9:,.0f} GB"
        )


def memory() -> float:
    """Return how many bytes of memory the machine has; infinity where Python cannot tell, as on Windows."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


def check_fit(config: Config, dataset: Dataset) -> None:
    """Raise `UserError` unless `dataset` is what `config` asks for."""
    wanted = {config.dataset.name, getattr(config.dataset, "fallback", None)}
    if dataset.name not in wanted:
        raise UserError(
            f"dataset = {config.dataset.name}, but data/processed holds {dataset.name}:"
            f" `dvc exp run -S dataset={config.dataset.name}` prepares the other and trains on it"
        )
    classes = getattr(config.dataset, "classes", None)
    if dataset.name == config.dataset.name and dataset.classes != classes:
        raise UserError(
            f"dataset.classes = {classes}, but data/processed has {dataset.classes}:"
            " `dvc repro` prepares the data anew with those in params.yaml"
        )
    for part in ("train", "test"):
        count, expected = len(getattr(dataset, part).images), getattr(config.split, part)
        if count != expected:
            raise UserError(
                f"split.{part} = {expected}, but data/processed holds {count} images in that part:"
                f" `dvc exp run -S split.{part}={expected}` splits them anew and trains on them"
            )
