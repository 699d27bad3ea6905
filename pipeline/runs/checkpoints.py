"""Checkpoints: a training that was killed goes on, and ends with the bits it would have had.

A checkpoint has a folder of its own in `models/checkpoints/`, named after the training's fingerprint: a hash
of configuration, data and code. So it serves the same training wherever that is started again: by DVC, by
hand, or as the job of a sweep; and no other training. It is not used if it is damaged, which the checksums of
the npz file tell. It is removed once the training's results are written and its run is recorded.
"""

import json
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline.nn.measurement import Measurement
from pipeline.nn.training import Callback, Trainer
from pipeline.nn.types import Array
from pipeline.runs.build import BuiltTraining
from pipeline.support.files import find_root, replacing

CHECKPOINTS = Path("models/checkpoints")


class Checkpoints(Callback):
    """The checkpoints of one training, each in place of the one before.

    It has to be the last of the trainer's callbacks, since a checkpoint holds what the others have done.

    Args:
        fingerprint: the training's: equal ones mean equal configuration, data and code.
        minutes: from one checkpoint to the next; they fall on the ends of epochs.
        training: what to keep checkpoints of, besides the trainer: its random streams and snapshots.
        until: the epoch after which a search compares its jobs. A checkpoint is written there. In a search
            every job resumes from one, so no message says so.
    """

    def __init__(
        self, fingerprint: str, minutes: float, training: BuiltTraining, until: int | None = None
    ) -> None:
        self.fingerprint = fingerprint
        self.path = checkpoint_path(fingerprint)
        self._until = until
        self._seconds = 60 * minutes
        self._streams = training.streams
        self._snapshots = training.snapshots
        self._measuring = training.measuring
        self._patience = training.patience
        self._measurements: list[Measurement] = []
        self._latest = time.monotonic()

    def on_start(self, trainer: Trainer) -> None:
        """Go on from the checkpoint if there is one that can be used; say so, and say why if not."""
        root = self.path.parents[1]
        if not root.exists():
            return
        where = CHECKPOINTS / self.path.parent.name
        try:
            notes, arrays = self._read()
            measurements = [Measurement(**measurement) for measurement in notes["measurements"]]
            trainer.restore(notes["epoch"], arrays)
        except FileNotFoundError:
            if any(root.glob("*/checkpoint.npz")) and not self._until:
                say_above_bar(
                    f"the checkpoints in {CHECKPOINTS} are of other configurations, data or code: not used,"
                    " training begins at its first epoch. Remove that folder if no other training is to go on"
                )
            return
        except Exception as error:  # NumPy and zipfile raise nearly anything of damaged bytes
            why = " ".join(str(error).splitlines())
            say_above_bar(
                f"{where} holds no checkpoint to go on from ({why}): training begins at its first epoch"
            )
            return
        self._snapshots.restore(
            notes["snapshots"], [arrays[f"snapshot {epoch}"] for epoch in notes["snapshots"]]
        )
        for stream, state in zip(self._streams.all, notes["streams"], strict=True):
            stream.bit_generator.state = state
        for measurement in measurements:
            trainer.report(measurement)
        if self._patience:
            self._patience.restore(trainer, arrays["best"])
        if not self._until:
            say_above_bar(f"training goes on after epoch {trainer.epoch}, from the checkpoint in {where}")

    def on_measured(self, measurement: Measurement) -> None:
        self._measurements.append(measurement)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write a checkpoint if it is time for one."""
        due = trainer.epoch == self._until != trainer.epochs
        if due or time.monotonic() - self._latest >= self._seconds:
            self._measuring.collect(trainer)
            self._write(trainer)
            self._latest = time.monotonic()

    def _write(self, trainer: Trainer) -> None:
        notes = {
            "fingerprint": self.fingerprint,
            "epoch": trainer.epoch,
            "measurements": [asdict(measurement) for measurement in self._measurements],
            "streams": [stream.bit_generator.state for stream in self._streams.all],
            "snapshots": self._snapshots.epochs,
        }
        taken = zip(self._snapshots.epochs, self._snapshots.vectors, strict=True)
        arrays = {**trainer.arrays(), **{f"snapshot {epoch}": vector for epoch, vector in taken}}
        if self._patience:
            arrays["best"] = self._patience.vector
        # Where the same training runs twice at once, the one that ends first removes the folder.
        with suppress(FileNotFoundError), replacing(self.path) as temporary:
            np.savez(temporary, notes=np.array(json.dumps(notes)), **arrays)  # type: ignore[arg-type]

    def _read(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the notes and the arrays of the checkpoint.

        Raises:
            FileNotFoundError: if there is no checkpoint.
            ValueError: if it is of another training.
            Exception: nearly any, of bytes that NumPy and zipfile cannot read.
        """
        with np.load(self.path, allow_pickle=False) as file:
            arrays = dict(file)
        notes: dict[str, Any] = json.loads(str(arrays.pop("notes")))
        if notes["fingerprint"] != self.fingerprint:
            raise ValueError("it is of another training")
        return notes, arrays


def checkpoint_path(fingerprint: str) -> Path:
    """Return where the checkpoint of the training with this `fingerprint` is."""
    return find_root(Path.cwd()) / CHECKPOINTS / fingerprint[:32] / "checkpoint.npz"


def remove_checkpoint(fingerprint: str) -> None:
    """Remove the checkpoint of the training with this `fingerprint`, if there is one."""
    folder = checkpoint_path(fingerprint).parent
    if folder.parent.exists():
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # there are others
            folder.parent.rmdir()


def say_above_bar(message: str) -> None:
    """Say `message` in a line of its own, above the progress bar."""
    tqdm.write(message, file=sys.stderr)
