"""The processed dataset, written block by block: inputs and targets of each part, and what they are."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from pipeline.data.columns import unknown_categories
from pipeline.data.dataset import write_description
from pipeline.data.encoding import Bytes, Columns, Encoding
from pipeline.data.moments import Moments
from pipeline.data.rows import Rows, Source
from pipeline.data.splitting import NOWHERE, PART_NAMES, TRAIN, VALIDATION
from pipeline.support.errors import UserError, warn
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
        paths = {
            (part, kind): together.enter_context(replacing(folder / f"{PART_NAMES[part]}_{kind}.npy"))
            for part in written
            for kind in ("images", "labels")
        }
        width = _write_inputs({part: paths[part, "images"] for part in written}, source, encoding, parts)
        targets = _standardise(source, rows, parts)
        for part in written:
            _write_targets(paths[part, "labels"], rows, parts == part, targets)
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


def _write_inputs(paths: dict[int, Path], source: Source, encoding: Encoding, parts: np.ndarray) -> int:
    """Write the inputs of each part as an array (n, d) of float32, block by block, and return d."""
    unknown: dict[str, Counter[str]] = {}
    width = 0
    with ExitStack() as opened, tqdm(total=len(parts), unit=" rows", leave=False, disable=None) as bar:
        files: dict[int, IO[bytes]] = {}
        start = 0
        for block in source.blocks():
            of_block = parts[start : start + len(block)]
            try:
                inputs = encoding.encode(block, source.first_row + start)
            except ValueError as error:
                raise UserError(f"{source.place()}: {error}") from None
            if not files:
                width = inputs.shape[1]
                for part, path in paths.items():
                    files[part] = opened.enter_context(path.open("wb"))
                    _write_header(files[part], "<f4", (int((parts == part).sum()), width))
            for part, file in files.items():
                chosen = of_block == part
                if chosen.any():
                    file.write((inputs if chosen.all() else inputs[chosen]).data)
            if isinstance(encoding, Columns) and (of_block != TRAIN).any():
                others = block.filter(pa.array((of_block != TRAIN) & (of_block != NOWHERE)))
                for column, texts in unknown_categories(encoding.columns, others).items():
                    counter = unknown.setdefault(column, Counter())
                    counter.update(texts)
            start += len(block)
            bar.update(len(block))
    for column, texts in unknown.items():
        text, _ = max(texts.items(), key=lambda item: (item[1], item[0]))
        warn(
            f"warning: column {column}: {sum(texts.values()):,} rows hold texts that no training row has,"
            f" such as {text!r}: all inputs of the column are 0 there"
        )
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


def _write_targets(path: Path, rows: Rows, chosen: np.ndarray, targets: list[dict[str, Any]]) -> None:
    """Write the targets of the `chosen` rows: one-hot uint8, or standardised float32."""
    found = rows.targets[chosen]
    width = len(rows.classes) or len(targets)
    with path.open("wb") as file:
        _write_header(file, "|u1" if rows.classes else "<f4", (len(found), width))
        for start in range(0, len(found), BLOCK_ROWS):
            block = found[start : start + BLOCK_ROWS]
            if rows.classes:
                file.write(np.eye(width, dtype=np.uint8)[block].data)
                continue
            mean = np.array([target["mean"] for target in targets])
            deviation = np.array([target["deviation"] for target in targets])
            file.write(((block - mean) / deviation).astype("<f4").data)


def _write_header(file: IO[bytes], dtype: str, shape: tuple[int, ...]) -> None:
    """Begin an array in the format of `np.save`, which itself needs the whole array in memory."""
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
