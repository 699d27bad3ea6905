"""The stage `preprocess`: from the raw data to arrays that a network can read.

Split the rows into parts, find out on the training part how they become inputs, and write inputs and targets
of each part. Statistics, categories and medians come from the training part alone.
"""

from pipeline.support.program import program

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.reading import read_params
from pipeline.data.arrays import Arrays
from pipeline.data.dataset import (
    FILES,
    FOLDS,
    PROCESSED,
    RAW,
    UNSEEN,
    RawDescription,
    fold_folders,
    folder_for,
    warn_of_classes,
)
from pipeline.data.idx_pairs import IdxPairs, size
from pipeline.data.images import Images
from pipeline.data.own import OwnRawDescription, prepared_by, read_raw
from pipeline.data.rows import Rows, Source
from pipeline.data.splitting import OFFICIAL, PART_NAMES, TEST, TRAIN, VALIDATION, Split, assign
from pipeline.data.table import Table
from pipeline.data.writing import write_dataset
from pipeline.support.errors import UserError
from pipeline.support.files import reading, refuse_links, remove_leftovers, sha256, warn_of_others

BLOCK_ROWS = 1 << 20  # that are counted at once
KINDS: dict[str, Any] = {"table": Table, "images": Images, "arrays": Arrays}


def main() -> None:
    """Run the stage."""
    preprocess(RAW, PROCESSED, read_params().split)


def preprocess(raw: Path, processed: Path, split: Split) -> None:
    """Write the arrays that `load_dataset` opens.

    Args:
        raw: the folder that the download stage wrote.
        processed: the folder to write to.
        split: which rows go into which part.

    Raises:
        UserError: if a file is bad, two of them do not belong together, or the split asks for too much; if
            `processed` is reached through a symbolic link, perhaps to a folder that others share.
    """
    refuse_links(processed, "remove the link, and the stage makes the folder")
    remove_leftovers(processed)
    for folder in fold_folders(processed):
        remove_leftovers(folder)
    description = read_raw(raw)
    source, about = open_source(raw, description, split)
    rows = source.scan()
    splittable = len(rows.targets) - rows.official
    unit = "images" if source.image_shape() is not None else "rows"
    what = f"{splittable:,} {'training ' if rows.official else ''}{unit} of {about['title']}"
    classes = rows.targets[:splittable] if rows.classes else None
    if "split.validation" not in about["prepared"]:  # then training holds it out of the train part
        split = replace(split, validation=0)
    assigned = assign(split, splittable, what, classes, rows.groups)
    for fold, parts in enumerate(assigned):
        parts = np.concatenate([parts, np.full(rows.official, OFFICIAL, np.uint8)])
        folder = folder_for(split.folds, fold, processed)
        _check_targets(source, rows, parts, f"{unit} of {about['title']}")
        inputs = write_dataset(folder, source, rows, parts, about)
        where = f" (fold {fold} of {split.folds})" if split.folds else ""
        print(f"{about['title']}: {_in_words(parts, source, unit, inputs)}{where}")
    _remove_others(processed, len(assigned) if split.folds else 0)
    warn_of_others(processed, [*FILES, FOLDS] if split.folds else FILES)


def open_source(
    raw: Path, description: RawDescription | OwnRawDescription, split: Split
) -> tuple[Source, dict[str, Any]]:
    """Return the raw data, and what `dataset.json` says about them."""
    if isinstance(description, RawDescription):
        files = {file.name: file.sha256 for file in vars(description.files).values()}
        _refuse_changed(raw, files)
        about = {"name": description.name, "title": description.title, "prepared": prepared_by(None, split)}
        return IdxPairs(raw, description), about
    _refuse_changed(raw, description.files)
    dataset = description.dataset
    source = KINDS[dataset.kind](raw, list(description.files), dataset, split.groups)
    return source, {"name": dataset.name, "title": dataset.title, "prepared": prepared_by(dataset, split)}


def _refuse_changed(raw: Path, files: dict[str, str]) -> None:
    """Raise `UserError` if a file is not as the download stage left it."""
    for name, known_sha256 in files.items():
        with reading(raw / name, "download"):
            intact = sha256(raw / name) == known_sha256
        if not intact:
            raise UserError(
                f"{raw / name} is not the file that `dvc repro download` left there:"
                " `dvc repro -f download` brings it again"
            )


def _check_targets(source: Source, rows: Rows, parts: np.ndarray, what: str) -> None:
    """Warn of classes that a part lacks; raise `UserError` if there is nothing to tell apart."""
    if not rows.classes:
        return
    counts = {part: _count(rows, parts == part) for part in range(4)}
    if len(rows.classes) < 2:
        raise UserError(
            f"{source.place()}: the target is {rows.classes[0]} in every row: there is nothing to tell apart"
        )
    in_train = counts[TRAIN] > 0
    for part, of_part in counts.items():
        if part != OFFICIAL and of_part.any():
            lacking = in_train & (of_part == 0) if part != TRAIN else ~in_train
            unit, consequence = PART_NAMES[part], "what is measured there says nothing about them"
            if part == TRAIN:
                unit, consequence = "training", UNSEEN
            names = [name for name, lacks in zip(rows.classes, lacking, strict=True) if lacks]
            warn_of_classes(names, f"{int(of_part.sum()):,} {unit} {what}", consequence)


def _count(rows: Rows, chosen: np.ndarray) -> np.ndarray:
    """Return how many of the `chosen` rows there are of each class."""
    counts = np.zeros(len(rows.classes), int)
    # In blocks, since `bincount` converts its input to 64-bit integers.
    for start in range(0, len(chosen), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        counts += np.bincount(rows.targets[block][chosen[block]], minlength=len(counts))
    return counts


def _in_words(parts: np.ndarray, source: Source, unit: str, inputs: int) -> str:
    """Return how many rows went where: 40,000 train and 10,000 official images of 28×28."""
    counts = {part: int((parts == part).sum()) for part in (TRAIN, TEST, VALIDATION, OFFICIAL)}
    shown = [part for part in counts if counts[part] or part in (TRAIN, TEST)]
    words = [f"{counts[part]:,} {PART_NAMES[part]}" for part in shown]
    shape = source.image_shape()
    what = f"of {size(shape)}" if shape else f"of {inputs:,} inputs"
    return f"{', '.join(words[:-1])} and {words[-1]} {unit} {what}"


def _remove_others(processed: Path, folds: int) -> None:
    """Remove what an earlier run left for other folds, or beside the folds."""
    for folder in fold_folders(processed)[folds:]:
        shutil.rmtree(folder)
    if folds:
        for name in FILES:
            (processed / name).unlink(missing_ok=True)
    elif (processed / FOLDS).is_dir() and not any((processed / FOLDS).iterdir()):
        (processed / FOLDS).rmdir()


if __name__ == "__main__":
    with program(__doc__, stage="preprocess"):
        main()
