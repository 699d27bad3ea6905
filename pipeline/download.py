"""Stage 1: bring the dataset's four IDX files to `data/raw`, whatever the source.

Every file's hash is pinned, so a source is good if it has the right bytes. The sources are the environment
variable DATA_MIRROR, then `dataset.mirrors`, each tried in turn for whatever is still missing. Where none of
them can be reached, the embedded strokes dataset stands in, and DVC runs the stage again each time until the
files are there. A source that answers at all is reached, be it with 404, 500 or the wrong bytes: then a
missing file is an error, since the network is not what is wrong.
"""

from pipeline.support.program import program

import os
import re
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Thread
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pooch
import requests
from tqdm import tqdm

from pipeline.config.reading import read_params
from pipeline.config.schema import File, GeneratedDataset, IdxDataset, StrokesDataset
from pipeline.data.dataset import RAW, RawDescription, read_description, write_description
from pipeline.data.idx import write_idx
from pipeline.data.strokes import SIDE, choose_digits, draw
from pipeline.support.errors import UserError, in_need_of_room, public
from pipeline.support.files import (
    PARTIAL,
    is_special,
    refuse_links,
    remove_leftovers,
    replacing,
    sha256,
    warn_of_others,
    write_text,
)

PATIENCE = 8.0  # seconds that a source may take to answer, and then from one packet to the next
MIN_BYTES_PER_S = 20_000  # what a server has to send once it has used up that patience
PIECE_BYTES = 1 << 14
RETRIES = 1  # how often a server is asked again for a file that came damaged or not at all

STAND_INS = Path("stand_ins.yaml")  # not in `.dvc`, which `dvc init --force` makes anew
STAND_INS_TEXT = """\
# The download stage writes this file, and DVC compares it with dvc.lock. Where stand-ins were drawn, it is
# .nan, which equals nothing, not even itself: so DVC runs the stage again until the real files are there.
stand_ins: {}
"""

STROKES_FILES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "official_images": "t10k-images-idx3-ubyte.gz",
    "official_labels": "t10k-labels-idx1-ubyte.gz",
}


class UnreachableError(UserError):
    """No source answers."""


class TooSlowError(OSError):
    """A server sends, but would hold the stage up for too long."""


def main() -> None:
    """Run the stage."""
    pooch.get_logger().setLevel("WARNING")  # it names its temporary files
    dataset = read_params().dataset
    if isinstance(dataset, GeneratedDataset):
        raise UserError(
            f"dataset = {dataset.name}: it is generated, not downloaded; `python -m pipeline.train"
            f" dataset={dataset.name}` trains on it"
        )
    there = download(dataset, RAW, os.environ.get("DATA_MIRROR"))
    note_stand_ins(there.name != dataset.name)


def download(
    dataset: IdxDataset | StrokesDataset, raw: Path, mirror: str | None
) -> IdxDataset | StrokesDataset:
    """Put the dataset's four files and their description, `dataset.json`, into the folder `raw`.

    Files that are there already are not fetched again, and the folder changes only once all four are had.
    Those of an earlier dataset go; what this stage did not write stays.

    Args:
        dataset: what to bring.
        raw: the folder.
        mirror: a folder or base URL to be tried before the dataset's own mirrors.

    Returns:
        The dataset that is there now: `dataset`, or what stands in for it.

    Raises:
        UserError: if a file cannot be had although a source answers, or none does and there is no fallback;
            if `raw` is reached through a symbolic link, perhaps to a folder that others share.
    """
    refuse_links(raw, "remove the link; to have files copied from that folder, set DATA_MIRROR to it")
    raw.mkdir(parents=True, exist_ok=True)
    remove_leftovers(raw)
    earlier = _files_of_earlier_run(raw)
    if isinstance(dataset, IdxDataset):
        pinned = asdict(dataset.files).values()
        earlier |= {file["name"] for file in pinned if _is_there(raw / file["name"], file["hash"])}
    with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=raw) as folder:
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

    for name in earlier - set(names.values()):
        (raw / name).unlink(missing_ok=True)
    files = {role: {"name": name, "sha256": sha256(raw / name)} for role, name in names.items()}
    write_description(
        raw, {"name": dataset.name, "title": dataset.title, "classes": dataset.classes, "files": files}
    )
    warn_of_others(raw, [*names.values(), "dataset.json"])
    return dataset


def note_stand_ins(drawn: bool) -> None:
    """Note for DVC whether the files in `data/raw` are stand-ins, which it should not be content with."""
    text = STAND_INS_TEXT.format(".nan" if drawn else "false")
    if not STAND_INS.exists():  # it is not DVC that runs the stage
        return
    if STAND_INS.read_text(encoding="utf-8") != text:
        write_text(STAND_INS, text)


def _files_of_earlier_run(raw: Path) -> set[str]:
    """Return the names of the files in `raw` that are as an earlier run of this stage described them."""
    try:
        described = read_description(raw, RawDescription, "download").files
    except UserError:  # there is no description, or it is damaged
        return set()
    files = {file["name"]: file["sha256"] for file in asdict(described).values()}
    return {path.name for path in raw.iterdir() if path.is_file() and files.get(path.name) == sha256(path)}


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
            f" project, stands in: from here on NOTHING IS ABOUT {dataset.title}. `dvc repro` fetches the"
            " files as soon as a source can be reached",
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

    def receive(url: str, target: str, _: pooch.Pooch) -> None:
        pieces = _from_server(url) if path is None else _from_file(path / file.name)
        _write(pieces, Path(target), file.size)

    print(f"{file.name} from {public(source)}", flush=True)
    registry.fetch(file.name, downloader=receive)


def _write(pieces: Generator[bytes], target: Path, size: int) -> None:
    """Write `pieces` to `target`; stop with `ValueError` at the first byte beyond `size`."""
    bar = tqdm(total=size, unit="B", unit_scale=True, leave=False, disable=not sys.stderr.isatty())
    with target.open("wb") as output, closing(pieces), bar:
        for piece in pieces:
            if output.tell() + len(piece) > size:
                raise ValueError(f"it goes on after {size} bytes, its size in dataset.files")
            output.write(piece)
            bar.update(len(piece))


def _from_file(path: Path) -> Generator[bytes]:
    """Yield what is in the file at `path`; raise `ValueError` where that is a pipe, a socket or a device."""
    if is_special(path):  # whose end may never come
        raise ValueError("it is a pipe, a socket or a device, not a file")
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _from_server(url: str) -> Generator[bytes]:
    """Yield what the server sends; raise `TooSlowError` where that comes too slowly.

    `PATIENCE` is for the whole time, and each piece adds what it may take at `MIN_BYTES_PER_S`. A thread of
    its own receives, because a server that sends a byte now and then keeps `requests` waiting without end.
    """
    arrived: Queue[bytes | Exception] = Queue(maxsize=64)

    def receive() -> None:
        try:
            with requests.get(
                url, stream=True, timeout=PATIENCE, hooks={"response": _as_it_lies}
            ) as response:
                response.raise_for_status()
                for piece in response.iter_content(PIECE_BYTES):
                    arrived.put(piece, timeout=PATIENCE)
            arrived.put(b"", timeout=PATIENCE)
        except Exception as error:
            with suppress(Full):  # nobody waits for it any more
                arrived.put(error, timeout=PATIENCE)

    Thread(target=receive, daemon=True).start()
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            piece = arrived.get(timeout=max(0, deadline - time.monotonic()))
        except Empty:
            raise TooSlowError(f"it sends less than {MIN_BYTES_PER_S / 1000:g} kB a second") from None
        if isinstance(piece, Exception):
            raise piece
        if not piece:
            return
        yield piece
        deadline += len(piece) / MIN_BYTES_PER_S


def _as_it_lies(response: requests.Response, **_: object) -> None:
    """Have a gzipped file left so by `requests`, where the server calls it the encoding of another one."""
    response.raw.headers.pop("Content-Encoding", None)


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
    with program(__doc__, stage="download"):
        main()
