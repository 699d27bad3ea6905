"""Stage 1: bring the dataset's four IDX files to `data/raw`, whatever the source.

Every file's hash is pinned, so a source is good if it has the right bytes. The sources are the environment
variable DATA_MIRROR, then `dataset.mirrors`, each tried in turn for whatever is still missing. Where none of
them can be reached, the embedded strokes dataset stands in. A source that answers at all is reached, be it
with 404, 500 or the wrong bytes: then a missing file is an error, since the network is not what is wrong.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pooch
import requests

from pipeline.config import File, GeneratedDataset, IdxDataset, StrokesDataset, read_params
from pipeline.data.dataset import RAW, write_description
from pipeline.data.idx import write_idx
from pipeline.data.strokes import SIDE, choose_digits, draw
from pipeline.errors import UserError, in_need_of_room, one_line_errors, public
from pipeline.files import replacing, sha256

PATIENCE = 8.0  # seconds that a source may take to answer, and then from one packet to the next
RETRIES = 1  # how often a server is asked again for a file that came damaged or not at all

STROKES_FILES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "official_images": "t10k-images-idx3-ubyte.gz",
    "official_labels": "t10k-labels-idx1-ubyte.gz",
}


class UnreachableError(UserError):
    """No source answers."""


def main() -> None:
    """Run the stage."""
    pooch.get_logger().setLevel("WARNING")  # it names its temporary files
    dataset = read_params().dataset
    if isinstance(dataset, GeneratedDataset):
        raise UserError(
            f"dataset = {dataset.name}: it is generated, not downloaded; `python -m pipeline.train"
            f" dataset={dataset.name}` trains on it"
        )
    download(dataset, RAW, os.environ.get("DATA_MIRROR"))


def download(dataset: IdxDataset | StrokesDataset, raw: Path, mirror: str | None) -> None:
    """Leave exactly the dataset's four files and their description, `dataset.json`, in the folder `raw`.

    Files that are there already are not fetched again, and the folder changes only once all four are had.

    Args:
        dataset: what to bring.
        raw: the folder.
        mirror: a folder or base URL to be tried before the dataset's own mirrors.

    Raises:
        UserError: if a file cannot be had although a source answers, or none does and there is no fallback;
            if `raw` is a symbolic link, perhaps to a folder that others share.
    """
    if raw.is_symlink():
        raise UserError(
            f"{raw} is a symbolic link, and this stage would remove whatever else is in {raw.resolve()}:"
            " remove the link, and set DATA_MIRROR to that folder to have its files copied"
        )
    raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=raw) as folder:
        incoming = Path(folder)
        if isinstance(dataset, IdxDataset):
            dataset = _fetch_or_fall_back(dataset, raw, incoming, mirror)
        if isinstance(dataset, StrokesDataset):
            names = STROKES_FILES
            _draw(dataset, incoming)
        else:
            names = {role: file["name"] for role, file in asdict(dataset.files).items()}
        for path in incoming.iterdir():
            with replacing(raw / path.name) as temporary:
                path.replace(temporary)

    for path in raw.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in names.values():
            path.unlink()
    files = {role: {"name": name, "sha256": sha256(raw / name)} for role, name in names.items()}
    write_description(
        raw, {"name": dataset.name, "title": dataset.title, "classes": dataset.classes, "files": files}
    )


def _draw(dataset: StrokesDataset, folder: Path) -> None:
    counts: dict[Literal["train", "official"], int] = {"train": dataset.train, "official": dataset.official}
    for part, count in counts.items():
        digits = choose_digits(count, part)
        write_idx(folder / STROKES_FILES[f"{part}_labels"], (count,), [digits])
        write_idx(folder / STROKES_FILES[f"{part}_images"], (count, SIDE, SIDE), draw(digits, part))


def _fetch_or_fall_back(
    dataset: IdxDataset, raw: Path, incoming: Path, mirror: str | None
) -> IdxDataset | StrokesDataset:
    """Fetch what `raw` lacks to `incoming` and return `dataset`, or what stands in for it."""
    files = [File(**file) for file in asdict(dataset.files).values()]
    missing = [file for file in files if not _is_there(raw / file.name, file.hash)]
    if not missing:
        return dataset
    sources = [mirror, *dataset.mirrors] if mirror else dataset.mirrors
    try:
        _fetch(missing, sources, incoming)
    except UnreachableError as error:
        if dataset.fallback is None:
            raise UserError(
                f"{dataset.title}: {error}. Check the network, set DATA_MIRROR to a folder or URL that has"
                " the files, or choose dataset=strokes"
            ) from None
        print(
            f"warning: no source of {dataset.title} can be reached, so the strokes dataset, drawn by this"
            f" project, stands in: from here on NOTHING IS ABOUT {dataset.title}. Once online, run"
            " `dvc repro -f download`, then `dvc repro`",
            file=sys.stderr,
        )
        return StrokesDataset()
    return dataset


def _is_there(path: Path, known_hash: str) -> bool:
    algorithm, digits = known_hash.split(":")
    return path.is_file() and pooch.file_hash(path, alg=algorithm) == digits


def _fetch(files: Sequence[File], sources: Sequence[str], folder: Path) -> None:
    """Bring `files` to `folder`, each from the first of `sources` that has it.

    Raises:
        UserError: if a file cannot be had from any source; `UnreachableError` where none of them answers.
    """
    missing = list(files)
    problems: list[tuple[File | None, str]] = []  # with the file, where the problem is not the whole source's

    def note(file: File | None, problem: str) -> None:
        problems.append((file, public(problem)))
        print(f"warning: {public(problem)}", file=sys.stderr)

    reached = False
    for source, silence in _reach(sources, probe=files[0]):
        if silence is not None:
            note(None, f"{source}: {_reason(silence)}")
            continue
        reached = True
        for file in list(missing):
            try:
                with in_need_of_room(file.name):
                    _bring(file, source, folder)
            except (ValueError, FileNotFoundError, requests.HTTPError) as error:
                note(file, f"{file.name} from {source}: {_reason(error)}")
            except OSError as error:  # it broke off or fell silent: nothing more from there
                note(None, f"{file.name} from {source}: {_reason(error)}")
                break
            else:
                missing.remove(file)
        if not missing:
            return
    if not reached:
        raise UnreachableError(f"no source can be reached ({_join(problems)})")
    first = missing[0]
    reasons = _join((file, problem) for file, problem in problems if file in (None, first))
    raise UserError(
        f"{first.name} is not to be had: {reasons}. Try again later, set DATA_MIRROR to a folder or URL"
        " that has it, or choose dataset=strokes"
    )


def _reach(sources: Sequence[str], probe: File) -> Iterator[tuple[str, OSError | None]]:
    """Yield each source with None where it answers, and with what is wrong where it does not.

    All servers are asked at once, as soon as one of them is needed: without a network this takes `PATIENCE`
    seconds in all, even where names are not resolved and packets vanish.
    """
    folders = {source: _as_folder(source) for source in sources}
    answers: dict[str, Future[bool]] = {}
    deadline = 0.0
    for source, folder in folders.items():
        if folder is None and not answers:
            deadline = time.monotonic() + PATIENCE
            answers = {server: _ask(server, probe) for server in sources if folders[server] is None}
        try:
            if folder is None:
                answers[source].result(max(0, deadline - time.monotonic()))
            elif not folder.is_dir():
                raise NotADirectoryError("no such folder")
        except OSError as error:
            yield source, error
        else:
            yield source, None


def _ask(server: str, probe: File) -> Future[bool]:
    """Ask `server` whether it has `probe`; the answer, whatever it is, arrives in the future."""
    answer: Future[bool] = Future()

    def ask() -> None:
        try:
            head = pooch.HTTPDownloader(timeout=PATIENCE)
            answer.set_result(head(f"{server.rstrip('/')}/{probe.name}", None, None, check_only=True))
        except OSError as error:
            answer.set_exception(error)
        except ValueError as error:  # of an odd host, which requests lets pass
            answer.set_exception(OSError(str(error)))

    Thread(target=ask, daemon=True).start()  # looking up a name cannot be broken off: the program's end may
    return answer


def _bring(file: File, source: str, folder: Path) -> None:
    """Copy `file` from `source` to `folder`, where it appears only with the right hash.

    Raises:
        ValueError: if it comes with another hash.
        OSError: if it does not come; `requests.HTTPError` where the server refuses it.
    """
    path = _as_folder(source)
    base, retries = (source, RETRIES) if path is None else (str(path), 0)
    registry = pooch.create(folder, base, registry={file.name: file.hash}, retry_if_failed=retries)
    server = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(), chunk_size=1 << 16, timeout=PATIENCE, hooks={"response": _as_it_lies}
    )
    print(f"{file.name} from {public(source)}", flush=True)
    registry.fetch(file.name, downloader=server if path is None else _copy)


def _as_it_lies(response: requests.Response, **_: object) -> None:
    """Have a gzipped file left so by `requests`, where the server calls it the encoding of another one."""
    response.raw.headers.pop("Content-Encoding", None)


def _copy(source: str, target: str, _: pooch.Pooch) -> None:
    shutil.copyfile(source, target)


def _as_folder(source: str) -> Path | None:
    """Return the folder that `source` names, or None where it is a server's base URL."""
    if "://" not in source:
        return Path(source)
    try:
        url = urlsplit(source)
    except ValueError as error:
        raise UserError(f"{public(source)} is no mirror ({error}): give a folder or a URL") from None
    if url.scheme == "file":
        return Path(url2pathname(url.path))
    if url.scheme in {"http", "https"}:
        return None
    raise UserError(
        f"{public(source)} is no mirror: give a folder or a URL with file://, http:// or https://"
    )


def _reason(error: Exception) -> str:
    """Say in one line what went wrong, without the layers that it passed through."""
    if isinstance(error, TimeoutError | requests.Timeout):
        return f"no answer within {PATIENCE:.0f} seconds"
    inner = getattr(error.args[0], "reason", None) if error.args else None
    text = " ".join(str(inner or error).split())
    return re.sub(r"^\w+\(host=[^)]*\): ", "", text)


def _join(problems: Iterable[tuple[File | None, str]]) -> str:
    return "; ".join(problem for _, problem in problems)


if __name__ == "__main__":
    with one_line_errors():
        main()
