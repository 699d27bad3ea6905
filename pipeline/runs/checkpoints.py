"""Checkpoints: a training that was killed goes on, and ends with the bits it would have had.

A checkpoint has a folder of its own in `models/checkpoints/`, named after all that the model is made from:
configuration, data and code. So it serves the same training wherever that is started again: by DVC, by hand,
or as the job of a sweep; and no other training. It carries a digest of its content, and is not used where
that is wrong. It is removed once the training's results are written and its run is recorded.
"""

import hashlib
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
from pipeline.nn.training import Progress
from pipeline.nn.types import Array
from pipeline.support.files import replacing
from pipeline.tracking.store import find_root

CHECKPOINTS = Path("models/checkpoints")


class Checkpoints:
    """The checkpoints of one training, each in place of the one before.

    Args:
        key: the training's: equal keys mean equal configuration, data and code.
        minutes: from one checkpoint to the next; they fall on the ends of epochs.
        streams: the random streams that training draws from.
    """

    def __init__(self, key: str, minutes: float, streams: list[np.random.Generator]) -> None:
        self.key = key
        self.root = find_root(Path.cwd()) / CHECKPOINTS
        self.seconds = 60 * minutes
        self.streams = streams
        self._latest = time.monotonic()

    @property
    def path(self) -> Path:
        """Where the checkpoint is."""
        return self.root / self.key[:32] / "checkpoint.npz"

    def due(self) -> bool:
        """Return whether it is time for a checkpoint."""
        return time.monotonic() - self._latest >= self.seconds

    def save(self, progress: Progress) -> None:
        """Write a checkpoint."""
        notes = {
            "key": self.key,
            "epoch": progress.epoch,
            "measurements": [asdict(measurement) for measurement in progress.measurements],
            "streams": [stream.bit_generator.state for stream in self.streams],
        }
        arrays = dict(progress.arrays())
        if progress.snapshots:
            notes["snapshots"] = progress.snapshots.epochs
            taken = zip(progress.snapshots.epochs, progress.snapshots.vectors, strict=True)
            arrays |= {f"snapshot {epoch}": vector for epoch, vector in taken}
        # Where the same training runs twice at once, the one that ends first removes the folder.
        with suppress(FileNotFoundError), replacing(self.path) as temporary:
            content = {"notes": np.array(json.dumps(notes)), **arrays}
            np.savez(temporary, digest=digest_arrays(content), **content)  # type: ignore[arg-type]
        self._latest = time.monotonic()

    def at_end(self, epochs: int) -> bool:
        """Return whether the checkpoint is of the end of a training of `epochs`, all of which it has made."""
        try:
            notes, _ = self._read()
        except Exception:  # there is none, or a damaged one, of which `restore` tells
            return False
        return bool(notes["epoch"] == epochs)

    def restore(self, progress: Progress) -> None:
        """Go on from the checkpoint if there is one that can be used; say so, and say why if not."""
        if not self.root.exists():
            return
        where = CHECKPOINTS / self.path.parent.name
        try:
            notes, arrays = self._read()
            measurements = [Measurement(**measurement) for measurement in notes["measurements"]]
            progress.restore(notes["epoch"], measurements, arrays)
        except FileNotFoundError:
            if any(self.root.glob("*/checkpoint.npz")):
                tell_above_bar(
                    f"the checkpoints in {CHECKPOINTS} are of other configurations, data or code: not used,"
                    " training begins at its first epoch. Remove that folder if no other training is to go on"
                )
            return
        except Exception as error:  # NumPy and zipfile raise nearly anything of damaged bytes
            why = " ".join(str(error).splitlines())
            tell_above_bar(
                f"{where} holds no checkpoint to go on from ({why}): training begins at its first epoch"
            )
            return
        if progress.snapshots:
            progress.snapshots.epochs[:] = notes["snapshots"]
            progress.snapshots.vectors[:] = [arrays[f"snapshot {epoch}"] for epoch in notes["snapshots"]]
        for stream, state in zip(self.streams, notes["streams"], strict=True):
            stream.bit_generator.state = state
        tell_above_bar(f"training goes on after epoch {progress.epoch}, from the checkpoint in {where}")

    def _read(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the notes and the arrays of the checkpoint, exactly as `save` wrote them.

        Raises:
            FileNotFoundError: if there is no checkpoint.
            ValueError: if it was changed since, or is of another training.
            Exception: nearly any, of bytes that NumPy and zipfile cannot read.
        """
        with np.load(self.path, allow_pickle=False) as file:
            arrays = dict(file)
        if str(arrays.pop("digest")) != digest_arrays(arrays):
            raise ValueError("its content has been changed")
        notes: dict[str, Any] = json.loads(str(arrays.pop("notes")))
        if notes["key"] != self.key:
            raise ValueError("it is of another training")
        return notes, arrays

    def remove(self) -> None:
        """Leave nothing behind: the training has ended."""
        if self.root.exists():
            shutil.rmtree(self.path.parent, ignore_errors=True)
            with suppress(OSError):  # there are others
                self.root.rmdir()


def digest_arrays(arrays: dict[str, Array]) -> str:
    """Return a SHA-256 of names, data types, shapes and values, whatever the order of the `arrays`."""
    sha = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def tell_above_bar(message: str) -> None:
    """Say `message` in a line of its own, above the progress bar."""
    tqdm.write(message, file=sys.stderr)
