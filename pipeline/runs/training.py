"""A training from beginning to end: build the objects, fit the network, write the run's files."""

import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pipeline.config.schema import Config, ingredients
from pipeline.data.dataset import PROCESSED, Dataset
from pipeline.nn.training import Diverged
from pipeline.runs.build import build_training
from pipeline.runs.callbacks import History, ProgressBar
from pipeline.runs.checkpoints import Checkpoints, remove_checkpoint
from pipeline.runs.fingerprint import digest_data, fingerprint
from pipeline.runs.history import Row, kept_row, write_history
from pipeline.runs.journal import Journal
from pipeline.runs.models import save_model
from pipeline.runs.run import Run
from pipeline.runs.snapshots import save_snapshots
from pipeline.runs.training_data import data_for, warn_of_data
from pipeline.support.cores import product_threads
from pipeline.support.errors import UserError, in_need_of_room, warn

ROUNDING = 1e-6  # of the accuracies in the history


def train_run(
    config: Config, run: Run, job: Mapping[str, str] | None = None, until: int | None = None
) -> None:
    """Train as `config` says, and write model, snapshots, history and journal to the run's folder.

    Up to an epoch before the last, write history and journal, and a checkpoint from which training goes on.
    The caller calls `remove_checkpoint` once the run is recorded. Until then, a training that is killed can
    resume.

    Args:
        config: what to train.
        run: where to write.
        job: `key`, `sweep` and `name` of a sweep's job, for the journal; None for a single training. A sweep
            shows the progress itself.
        until: the epoch to train up to; None for all.

    Raises:
        UserError: if the data do not fit the configuration, or training diverges.
        KeyboardInterrupt: at Ctrl-C; it says how to go on.
    """
    with product_threads(config.training.threads):
        dataset = data_for(config)
        if not job:
            warn_of_data(config, dataset)
        data = digest_data(config)
        training = build_training(config, dataset)
        checkpoints = Checkpoints(fingerprint(config), config.training.checkpoint, training, until)
        with (
            Journal(run, journal_header(config, job)) as journal,
            in_need_of_room("a file of the run"),
            explaining(config, checkpoints),
        ):
            history = History(journal)
            bars = [] if job else [ProgressBar(f"train on {dataset.title}")]  # a sweep has one for all jobs
            training.fit(history, *bars, checkpoints, until=until)
            if digest_data(config) != data:
                remove_checkpoint(checkpoints.fingerprint)
                raise UserError(f"{PROCESSED} changed while it was trained on: run the same command again")
            write_history(history.rows, run.history)
            if training.trainer.finished:
                save_model(training.mlp, run.model, ingredients(asdict(config), data))
                save_snapshots(training.snapshots, run.snapshots)
            else:
                journal.stop(training.trainer.epoch)
    if not job:
        kept = kept_row(history.rows, config.training.patience)
        if training.trainer.stopped:
            print(
                f"training stopped after epoch {training.trainer.epoch}: the model is that of epoch"
                f" {kept['epoch']}"
            )
        warn_of_failure(kept, dataset)


def journal_header(config: Config, job: Mapping[str, str] | None) -> dict[str, object]:
    """Return the first line of the journal of a training that is about to begin."""
    return {
        "token": uuid.uuid4().hex,
        "source": Path(sys.argv[0]).name,
        **(job or {}),
        "config": asdict(config),
    }


@contextmanager
def explaining(config: Config, checkpoints: Checkpoints) -> Iterator[None]:
    """Have the message say what to do, where training diverges or is interrupted in the block."""
    try:
        yield
    except Diverged as diverged:
        remove_checkpoint(checkpoints.fingerprint)
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


def advice(config: Config) -> str:
    """Say what to do about a training that diverged."""
    decay = config.optimizer.weight_decay
    return (
        f"try a smaller optimizer.learning_rate (it is {config.optimizer.learning_rate:g}),"
        + (f" a smaller optimizer.weight_decay (it is {decay:g})," if decay else "")
        + " or smaller initial weights (model.initialiser)"
    )


def warn_of_failure(kept: Row, dataset: Dataset) -> None:
    """Warn where a network has learned nothing.

    Args:
        kept: the row of its history for the epoch whose parameters it keeps.
        dataset: what it was trained on.
    """
    dead = [
        layer.removeprefix("dead_") for layer, share in kept.items() if layer[:5] == "dead_" and share == 1
    ]
    if dead:
        warn(
            f"warning: every unit of hidden layer {' and '.join(dead)} is dead, so the output is the same for"
            " every input: try a smaller optimizer.learning_rate, or model.activation=leaky_relu"
        )
    if dataset.task == "regression":
        if kept["train_r2"] < ROUNDING:
            warn(
                f"warning: R² is {kept['train_r2']:.4f} on the training part: the network predicts no better"
                " than the mean would: try another optimizer.learning_rate"
            )
        return
    shares = dataset.train.targets.mean(axis=0)
    commonest = max(shares) if len(shares) > 1 else max(shares[0], 1 - shares[0])
    if kept["train_accuracy"] < commonest + ROUNDING:
        warn(
            f"warning: the network is right about {kept['train_accuracy']:.2%} of the training examples, no"
            f" more than the {commonest:.2%} of the commonest class: try another optimizer.learning_rate"
        )
