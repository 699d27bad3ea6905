"""The processed dataset, written block by block: inputs and targets of each part, and what they are."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from pipeline.data.columns import unknown_categories, warn_of_unknown
from pipeline.data.dataset import write_description
from pipeline.data.encoding import Bytes, Columns, Encoding
from pipeline.data.moments import Moments
from pipeline.data.rows import Rows, Source
from pipeline.data.splitting import NOWHERE, PART_NAMES, TRAIN, VALIDATION
from pipeline.support.errors import UserError, in_need_of_room
from pipeline.support.files import replacing

BLOCK_ROWS = 1 << 16  # of targets that are written at once


def write_dataset(folder: Path, source: Source, rows: Rows, parts: np.ndarray, about: dict[str, Any]) -> int:
    """Write inputs, targets and description of each part to `folder`, and return the number of inputs.

    All arrays are replaced, or none. If the stage is killed while it replaces them, there is no
    `dataset.json`, and `load_dataset` refuses the rest.
    """
    encoding = source.fit(parts == TRAIN)
    described = {key: about[key] for key in ("name", "title")} | {"classes": rows.classes}
    described["image_shape"] = source.image_shape()
    written = [part for part in range(4) if part != VALIDATION or (parts == VALIDATION).any()]
    with ExitStack() as together:
        files = {
            (part, kind): together.enter_context(Unfinished(folder / f"{PART_NAMES[part]}_{kind}.npy"))
            for part in written
            for kind in ("images", "labels")
        }
        width = _write_inputs({part: files[part, "images"] for part in written}, source, encoding, parts)
        targets = _standardise(source, rows, parts)
        for part in written:
            _write_targets(files[part, "labels"], rows, parts == part, targets)
        (folder / "dataset.json").unlink(missing_ok=True)
        if VALIDATION not in written:
            for kind in ("images", "labels"):
                (folder / f"{PART_NAMES[VALIDATION]}_{kind}.npy").unlink(missing_ok=True)
    if targets:
        described |= {"task": "regression", "targets": targets}
    if not isinstance(encoding, Bytes):
        described["encoding"] = asdict(encoding)  # type: ignore[call-overload]
    if about["prepared"]:
        described["prepared"] = about["prepared"]
    write_description(folder, described)
    return width


class Unfinished:
    """An array that is written block by block, in the format of `np.save`, which needs it in memory.

    Args:
        path: where it is once all of it is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        temporary = self._stack.enter_context(replacing(self.path))
        self._file = self._stack.enter_context(temporary.open("wb"))
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)

    def begin(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Write the header."""
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def write(self, rows: np.ndarray) -> None:
        """Write the next `rows`."""
        with in_need_of_room(str(self.path)):
            self._file.write(rows.data)
            self._file.flush()


def _write_inputs(files: dict[int, Unfinished], source: Source, encoding: Encoding, parts: np.ndarray) -> int:
    """Write the inputs of each part as an array (n, d) of float32, block by block, and return d."""
    unknown: dict[str, Counter[str]] = {}
    start = width = 0
    with tqdm(total=len(parts), unit=" rows", leave=False, disable=None) as bar:
        for block in source.blocks():
            of_block = parts[start : start + len(block)]
            try:
                inputs = encoding.encode(block, source.first_row + start)
            except ValueError as error:
                raise UserError(f"{source.place()}: {error}") from None
            if not start:
                width = inputs.shape[1]
                for part, file in files.items():
                    file.begin("<f4", (int((parts == part).sum()), width))
            for part, file in files.items():
                chosen = of_block == part
                if chosen.any():
                    file.write(inputs if chosen.all() else inputs[chosen])
            if isinstance(encoding, Columns) and (of_block != TRAIN).any():
                others = block.filter(pa.array((of_block != TRAIN) & (of_block != NOWHERE)))
                for column, texts in unknown_categories(encoding.columns, others).items():
                    counter = unknown.setdefault(column, Counter())
                    counter.update(texts)
            start += len(block)
            bar.update(len(block))
    warn_of_unknown(unknown)
    return width


def _standardise(source: Source, rows: Rows, parts: np.ndarray) -> list[dict[str, Any]]:
    """Return name, mean and deviation of each target of a regression, by the training part."""
    if rows.classes:
        return []
    moments = Moments()
    moments.add(rows.targets[parts == TRAIN])
    described = []
    for name, mean, deviation in zip(
        rows.target_names, moments.mean().tolist(), moments.deviation().tolist(), strict=True
    ):
        if not np.isfinite([mean, deviation]).all():
            raise UserError(f"{source.place()}: the target {name} is too large to be added up")
        if not deviation:
            raise UserError(
                f"{source.place()}: the target {name} is {mean:g} in every row of the training part: there is"
                " nothing to learn"
            )
        described.append({"name": name, "mean": mean, "deviation": deviation})
    return described


def _write_targets(file: Unfinished, rows: Rows, chosen: np.ndarray, targets: list[dict[str, Any]]) -> None:
    """Write the targets of the `chosen` rows: one-hot uint8, or standardised float32."""
    found = rows.targets[chosen]
    width = len(rows.classes) or len(targets)
    file.begin("|u1" if rows.classes else "<f4", (len(found), width))
    mean = np.array([target["mean"] for target in targets])
    deviation = np.array([target["deviation"] for target in targets])
    for start in range(0, len(found), BLOCK_ROWS):
        block = found[start : start + BLOCK_ROWS]
        if rows.classes:
            file.write(np.eye(width, dtype=np.uint8)[block])
        else:
            file.write(((block - mean) / deviation).astype("<f4"))
