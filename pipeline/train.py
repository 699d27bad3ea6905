"""Stage 3: train the network on `data/processed`; a Hydra application of its own as well.

Under DVC it runs on `params.yaml`. From the command line, `python -m pipeline.train key=value …`, it composes
its configuration from `conf/`, and with `-m` it sweeps. Either way it writes `models/model.npz`,
`models/snapshots.npz` and `reports/history.csv` below Hydra's output folder, which under DVC is the
repository's root. A generated problem (`dataset=xor`) needs no `data/processed`.
"""

from pipeline.support.program import program

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import numpy as np
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from tqdm import tqdm

from pipeline.config.messages import composing
from pipeline.config.reading import check_aliases, read_composed, write_params
from pipeline.config.schema import Config, GeneratedDataset, ingredients
from pipeline.data.augmentation import augmentation
from pipeline.data.dataset import PROCESSED, Dataset, digest
from pipeline.nn.dropout import Dropout
from pipeline.nn.initialisers import initialise
from pipeline.nn.losses import LOSSES
from pipeline.nn.measurement import Measurement
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.schedules import schedule
from pipeline.nn.training import Diverged, Snapshots, train
from pipeline.runs.checkpoints import Checkpoints
from pipeline.runs.fingerprint import fingerprint
from pipeline.runs.history import HISTORY, Row, read_history, write_history
from pipeline.runs.models import MODEL, SNAPSHOTS, save_model, save_snapshots
from pipeline.runs.training_data import data_for, warn_of_data
from pipeline.support.cores import product_threads
from pipeline.support.errors import UserError, one_line_errors, shorten, tell
from pipeline.support.files import PARAMS
from pipeline.sweeps.job import run_job
from pipeline.tracking import Job, Tracker

CONF = Path(__file__).parents[1] / "conf"
MUCH = 1e9  # bytes of snapshots
ROUNDING = 1e-6  # of the accuracies in the history
LOST = {
    "BrokenProcessPool",  # joblib's
    "UncompletedJobError",  # submitit's
    "WorkerCrashedError",  # Ray's, as the next two
    "NodeDiedError",
    "LocalRayletDiedError",
}
"""What launchers raise when the process of a job is gone, by name, since most of them may be missing."""


def train_and_record(config: Config, folder: Path, job: Job | None = None) -> None:
    """Train as `config` says, write the model and its history below `folder`, and track the run.

    `config` goes there as well, as `params.yaml`, unless it is from there: under DVC `folder` is the root.

    Args:
        config: what to train.
        folder: where to write.
        job: the job of a sweep that this is; the sweep itself shows the progress.

    Raises:
        UserError: if the data do not fit the configuration, or training diverges.
    """
    if folder != Path():
        write_params(config, folder / PARAMS)
    with Tracker(config, folder, job) as tracker:
        checkpoints = train_and_write(config, folder, tracker)
    checkpoints.remove()  # not before the run is recorded: who is killed until then goes on from there
    if not job:
        warn_of_failure(read_history(folder / HISTORY)[-1], data_for(config))


def train_and_write(config: Config, folder: Path, tracker: Tracker) -> Checkpoints:
    """Do what `train_and_record` says, with `tracker` open for this `config` and `folder`.

    Returns:
        The training's checkpoints, for the caller to remove.
    """
    with product_threads(config.training.threads):
        dataset = data_for(config)
        if not tracker.job:  # of a sweep's data the sweep itself tells
            warn_of_data(config, dataset)
        snapshots = Snapshots(config.training.snapshots) if config.training.snapshots else None
        data = None if isinstance(config.dataset, GeneratedDataset) else digest()
        streams = random_streams(config.seed)
        key = tracker.job.key if tracker.job else fingerprint(config)
        checkpoints = Checkpoints(key, config.training.checkpoint, streams)
        # The recorder outlives a stage that is killed: it may have recorded all of a training that had ended.
        ended_before = not tracker.job and checkpoints.at_end(config.training.epochs)
        if not ended_before:
            tracker.start()
        mlp, measurements = start_training(config, dataset, snapshots, streams, checkpoints)
        if snapshots:
            warn_of_memory(snapshots, config.training.epochs, mlp)
        history: list[Row] = []
        try:
            title, epochs = f"train on {dataset.title}", config.training.epochs
            with tqdm(desc=title, total=epochs, unit="epoch", disable=tracker.job is not None) as bar:
                for measurement in measurements:
                    history.append(as_row(measurement))
                    if not ended_before:
                        tracker.epoch(history[-1], measurement.seconds)
                    bar.set_postfix_str(summary(measurement), refresh=False)
                    bar.update(measurement.epoch - bar.n)
        except Diverged as diverged:
            checkpoints.remove()
            raise UserError(f"{diverged}: {advice(config)}") from None
        except KeyboardInterrupt as interruption:
            if interruption.args:  # the sweep says how to go on
                raise
            if checkpoints.path.exists():
                raise KeyboardInterrupt("the same command again goes on from the last checkpoint") from None
            raise KeyboardInterrupt(
                "the same command again begins anew, since there is no checkpoint yet"
                f" (training.checkpoint = {config.training.checkpoint:g} minutes)"
            ) from None
        if data and digest() != data:
            checkpoints.remove()
            raise UserError(f"{PROCESSED} changed while it was trained on: run the same command again")
        save_model(mlp, folder / MODEL, ingredients(asdict(config), data))
        save_snapshots(snapshots, folder / SNAPSHOTS)
        write_history(history, folder / HISTORY)
        if ended_before:
            tracker.record()
        else:
            tracker.finish()
    return checkpoints


def start_training(
    config: Config,
    dataset: Dataset,
    snapshots: Snapshots | None = None,
    streams: list[np.random.Generator] | None = None,
    checkpoints: Checkpoints | None = None,
) -> tuple[MLP, Iterator[Measurement]]:
    """Return the network that `config` describes and its training on `dataset`, an epoch a measurement.

    Args:
        config: what to train.
        dataset: what to train on.
        snapshots: what training fills with the parameters' snapshots, if anything.
        streams: what `random_streams` returns; made where it is not given.
        checkpoints: where to go on from, and what keeps checkpoints of all this; None for neither.
    """
    initialisation, shuffling, dropping, augmenting = streams or random_streams(config.seed)
    distortion = augmentation(image_shape=dataset.image_shape, **asdict(config.augmentation))
    mlp = build_mlp(config, dataset, initialisation)
    measurements = train(
        mlp,
        LOSSES[config.loss.name](mlp.functions[-1]),
        build_optimizer(config, mlp),
        dataset.train,
        dataset.test,
        epochs=config.training.epochs,
        batch_size=config.training.batch_size,
        rng=shuffling,
        schedule=schedule(config.optimizer.learning_rate, config.training.epochs, **asdict(config.schedule)),
        label_smoothing=config.loss.label_smoothing,
        dropout=Dropout(config.model.dropout, dropping) if config.model.dropout else None,
        ema=config.training.ema,
        augment=partial(distortion, rng=augmenting) if distortion else None,
        measure_every=config.training.measure_every,
        snapshots=snapshots,
        validation_part=dataset.validation,
        keeper=checkpoints,
    )
    return mlp, measurements


def random_streams(seed: int) -> list[np.random.Generator]:
    """Return a random stream each for initialisation, shuffling, dropout and augmentation.

    So turning one of them off does not move the others.
    """
    return [np.random.Generator(np.random.PCG64(child)) for child in np.random.SeedSequence(seed).spawn(4)]


def build_mlp(config: Config, dataset: Dataset, rng: np.random.Generator) -> MLP:
    """Return the network that `config.model` describes, as wide as the data at both ends, initialised."""
    model = config.model
    mlp = MLP(
        (dataset.train.images.shape[1], *model.hidden, dataset.train.labels.shape[1]),
        activation=model.activation,
        output=model.output,
        bias=model.bias,
        arithmetic=config.training.arithmetic,
    )
    initialise(mlp, rng, **asdict(model.initialiser))
    return mlp


def build_optimizer(config: Config, mlp: MLP) -> Any:
    """Return the optimizer that `config.optimizer` describes, for the parameters of `mlp`."""
    hyperparameters = asdict(config.optimizer)
    return OPTIMIZERS[hyperparameters.pop("name")](mlp, **hyperparameters)


def as_row(measurement: Measurement) -> Row:
    """Return the row of `reports/history.csv`: nothing in it depends on the clock."""
    row = {
        "epoch": measurement.epoch,
        "loss": measurement.loss,
        "train_accuracy": measurement.train_accuracy,
    }
    if measurement.validation_accuracy is not None:
        row["validation_accuracy"] = measurement.validation_accuracy
    if measurement.test_accuracy is not None:
        row["test_accuracy"] = measurement.test_accuracy
    row |= {f"dead_{layer}": share for layer, share in enumerate(measurement.dead, start=1)}
    return {column: round(value, 6) for column, value in row.items()}


def summary(measurement: Measurement) -> str:
    """Return what the progress bar says of an epoch."""
    parts = [f"loss {measurement.loss:.4f}", f"train {measurement.train_accuracy:.2%}"]
    if measurement.validation_accuracy is not None:
        parts.append(f"validation {measurement.validation_accuracy:.2%}")
    if measurement.test_accuracy is not None:
        parts.append(f"test {measurement.test_accuracy:.2%}")
    if measurement.dead:
        parts.append("dead " + " ".join(f"{share:.0%}" for share in measurement.dead))
    return ", ".join([*parts, f"{measurement.seconds:.2f} s"])


def warn_of_memory(snapshots: Snapshots, epochs: int, mlp: MLP) -> None:
    """Tell the user if so many `snapshots` of `mlp` will take a lot of memory."""
    count = 1 + math.ceil(epochs / snapshots.every)  # before training, and always after the last epoch
    size = count * (mlp.parameters.vector.nbytes + 2 * mlp.parameters.vector.size)  # and as float16, to save
    if size > MUCH:
        tell(
            f"training.snapshots = {snapshots.every}: {count:,} snapshots of {mlp.parameters.vector.size:,}"
            f" parameters will take {size / 1e9:.1f} GB of memory; a larger number takes less, null none"
        )


def warn_of_failure(last: Row, dataset: Dataset) -> None:
    """Warn where a network has learned nothing.

    Args:
        last: the last row of its history.
        dataset: what it was trained on.
    """
    dead = [
        layer.removeprefix("dead_") for layer, share in last.items() if layer[:5] == "dead_" and share == 1
    ]
    if dead:
        tell(
            f"warning: every unit of hidden layer {' and '.join(dead)} is dead, so the output is the same for"
            " every input: try a smaller optimizer.learning_rate, or model.activation=leaky_relu"
        )
    shares = dataset.train.labels.mean(axis=0)
    commonest = max(shares) if len(shares) > 1 else max(shares[0], 1 - shares[0])
    if last["train_accuracy"] < commonest + ROUNDING:
        tell(
            f"warning: the network is right about {last['train_accuracy']:.2%} of the training examples, no"
            f" more than the {commonest:.2%} of the commonest class: try another optimizer.learning_rate"
        )


def advice(config: Config) -> str:
    """Say what to do about a training run that diverged."""
    decay = config.optimizer.weight_decay
    return (
        f"try a smaller optimizer.learning_rate (it is {config.optimizer.learning_rate:g}),"
        + (f" a smaller optimizer.weight_decay (it is {decay:g})," if decay else "")
        + " or smaller initial weights (model.initialiser)"
    )


@contextmanager
def lost_processes_told() -> Iterator[None]:
    """Raise `UserError` where the block ends since a launcher has lost the process of a job."""
    try:
        yield
    except Exception as error:
        if LOST.isdisjoint(kind.__name__ for kind in type(error).__mro__):
            raise
        raise UserError(
            "the process of a job was killed; the same command again finishes the sweep"
        ) from None


def check_chosen_config() -> None:
    """Raise `UserError` if the file that `--config-name` chooses would take Hydra hours for its aliases."""
    chosen, _ = get_args_parser().parse_known_args()
    if not chosen.config_name:
        return
    name = chosen.config_name.removesuffix(".yaml").removesuffix(".yml")  # as Hydra does
    for folder in filter(None, (chosen.config_dir, chosen.config_path, CONF)):
        path = Path(folder, f"{name}.yaml")
        if path.is_file():
            check_aliases(path.read_text(encoding="utf-8"), os.path.relpath(path))


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(values: DictConfig) -> float | None:
    """Train on the configuration that Hydra composed and return, of a sweep's job, what is minimised."""
    with suppress(FileNotFoundError):  # on another machine, which `run_job` tells of
        os.chdir(HydraConfig.get().runtime.cwd)  # all is found from there, whatever hydra.job.chdir says
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return run_job(values, train_and_record)
    with one_line_errors():
        config = read_composed(values)
        folder = HydraConfig.get().runtime.output_dir
        output = Path(os.path.relpath(folder))
        train_and_record(config, output)
        print(f"model and history: {output / MODEL}, {output / HISTORY}", flush=True)
        return None


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"  # have Hydra raise its errors, not print them
    stage = "train" if "hydra.run.dir=." in sys.argv else None  # DVC's: see dvc.yaml
    with program(stage=stage), composing(shorten(" ".join(sys.argv[1:]), 200)), lost_processes_told():
        check_chosen_config()
        main()
