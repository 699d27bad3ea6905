"""Files of known content, copied from a folder or a web server that is not trusted."""

import gzip
import hashlib
import re
import shutil
import time
import zlib
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
from pydantic import Field
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from pipeline.data.idx import GZIP_MAGIC
from pipeline.support.bounds import STRICT, Name, PositiveCount
from pipeline.support.errors import UserError, public

TIMEOUT_S = 8.0  # for a server to answer, and between two packets
MIN_BYTES_PER_S = 20_000  # a server that is slower on average, after TIMEOUT_S, is given up
PIECE_BYTES = 256  # the rate is checked after each, so a server that sends single bytes is given up soon
LARGE_PIECE_BYTES = 1 << 20  # of a file whose size is not known
GZIP_MARGIN_BYTES = 100_000  # by which a file that cannot be compressed may grow


@dataclass(frozen=True, config=STRICT)
class File:
    """One file of a dataset as it lies in data/raw; `hash` is `algorithm:hexadecimal digits`, `size` bytes.

    A source may have it gzipped, as `name` with .gz at its end.
    """

    name: Name
    hash: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")]
    size: Annotated[PositiveCount, Field(le=2**40)]


class NoAnswerError(OSError):
    """This source does not answer."""


class TooSlowError(OSError):
    """A server sends, but would hold the stage up for too long."""


def copy_file(file: File, source: str, target: Path) -> None:
    """Copy `file` from `source`, where it may be gzipped, to the path `target`.

    Raises:
        NoAnswerError: if there is no such source, or it does not answer.
        ValueError: if the source has another file under this name.
        OSError: if the source does not have the file, or fails while it sends it.
    """
    failure: Exception | None = None
    for name in [file.name] if file.name.endswith(".gz") else [f"{file.name}.gz", file.name]:
        try:
            _copy_as(source, name, target, file)
            return
        except (OSError, ValueError) as error:
            has_answered = isinstance(error, ValueError | requests.HTTPError | FileNotFoundError)
            if not has_answered:
                raise
            if failure is None or _is_missing(failure):
                failure = error
    assert failure
    raise failure


def _copy_as(source: str, name: str, target: Path, file: File) -> None:
    """Copy what `source` has by that `name` to `target`, unpack it if it is gzipped, and check its hash."""
    _bring(source, name, target, file)
    with target.open("rb") as received:
        if received.read(len(GZIP_MAGIC)) == GZIP_MAGIC and not file.name.endswith(".gz"):
            _gunzip(target, file.size)
    if (there := hash_like(target, file.hash)) != file.hash:
        raise ValueError(f"its hash should be {file.hash}, but is {there}")


def _bring(source: str, name: str, target: Path, file: File) -> None:
    """Copy what `source` has by that `name`: the `file` itself, or the same gzipped."""
    mirror, most = _as_folder(source), file.size
    if name != file.name:
        most += GZIP_MARGIN_BYTES
    if mirror is None:
        _receive(f"{source.rstrip('/')}/{name}", target, most)
        return
    if not mirror.is_dir():
        raise NoAnswerError("no such folder")
    size = (mirror / name).stat().st_size  # 0 of a device, whose end may never come
    if not 0 < size <= most or (size != file.size and name == file.name):
        raise ValueError(f"it has {size} bytes, not {file.size}, its size in dataset.files")
    shutil.copyfile(mirror / name, target)


def _is_missing(error: Exception) -> bool:
    """Return whether `error` says that a source that answers does not have a file."""
    response = getattr(error, "response", None)
    return isinstance(error, FileNotFoundError) or (
        response is not None and response.status_code in {403, 404}
    )


def _gunzip(path: Path, size: int) -> None:
    """Replace the gzipped file at `path` by what is in it.

    Raises:
        ValueError: if that is more than `size` bytes, or damaged.
    """
    plain = path.with_name(f"{path.name}.plain")
    try:
        with gzip.open(path) as packed, plain.open("wb") as file:
            while piece := packed.read(1 << 20):
                file.write(piece)
                if file.tell() > size:
                    raise ValueError(f"it goes on after {size} bytes, its size in dataset.files")
        plain.replace(path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"it is damaged: {error}") from None
    finally:
        plain.unlink(missing_ok=True)


def _receive(url: str, target: Path, size: int) -> None:
    """Write what the server sends for `url` to the path `target`.

    Raises:
        NoAnswerError: if there is no answer.
        ValueError: if more than `size` bytes come.
        OSError: if the answer is an error, breaks off, or comes too slowly (`TooSlowError`).
    """
    start = time.monotonic()
    response = _ask(url)
    bar = tqdm(desc=target.name, total=size, unit="B", unit_scale=True, leave=False, disable=None)
    with response, target.open("wb") as output, bar:
        response.raise_for_status()
        # Some servers call the gzip of the file an encoding, which requests would undo.
        response.raw.headers.pop("Content-Encoding", None)
        for piece in response.iter_content(PIECE_BYTES):
            received = output.tell() + len(piece)
            if received > size:
                raise ValueError(f"it goes on after {size} bytes, its size in dataset.files")
            if time.monotonic() - start > TIMEOUT_S + received / MIN_BYTES_PER_S:
                raise TooSlowError(f"it sends less than {MIN_BYTES_PER_S / 1000:g} kB a second")
            output.write(piece)
            bar.update(len(piece))


def fetch(url: str, target: Path) -> None:
    """Write what the server sends for `url`, whatever its size is, to the path `target`.

    Raises:
        OSError: if there is no answer (`NoAnswerError`), if it is an error, or if it breaks off.
    """
    response = _ask(url)
    with response, target.open("wb") as output:
        response.raise_for_status()
        if urlsplit(url).path.endswith(".gz"):
            response.raw.headers.pop("Content-Encoding", None)  # as in `_receive`
        size = int(response.headers.get("Content-Length", 0)) or None
        bar = tqdm(desc=target.name, total=size, unit="B", unit_scale=True, leave=False, disable=None)
        with bar:
            for piece in response.iter_content(LARGE_PIECE_BYTES):
                output.write(piece)
                bar.update(len(piece))


def _ask(url: str) -> requests.Response:
    try:
        return requests.get(url, stream=True, timeout=TIMEOUT_S)
    except (requests.RequestException, ValueError) as error:  # ValueError: requests lets some odd hosts pass
        raise NoAnswerError(reason_of(error)) from None


def _as_folder(source: str) -> Path | None:
    """Return the folder that `source` names, or None if it is the base URL of a server."""
    if "://" not in source:
        return Path(source)
    try:
        url = urlsplit(source)
    except ValueError as error:
        raise UserError(f"{public(source)} is not a mirror ({error}): give a folder or a URL") from None
    if url.scheme == "file":
        return Path(url2pathname(url.path))
    if url.scheme in {"http", "https"}:
        return None
    raise UserError(
        f"{public(source)} is not a mirror: give a folder or a URL with file://, http:// or https://"
    )


def reason_of(error: Exception) -> str:
    """Say in one line what went wrong, without the errors of requests and urllib3 around it."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT_S:.0f} seconds"
    parts: list[object] = [error]
    while inner := [part for part in parts if isinstance(part, Exception)]:
        error = inner[0]
        parts = [getattr(error, "reason", None), *error.args]
    text = " ".join(str(error).split()).rstrip(".")
    return public(re.sub(r"^\w+\(host=[^)]*\): ", "", text))


def hash_like(path: Path, like: str) -> str:
    """Return the hash of the file at `path`, by the same algorithm and written as `like` is."""
    algorithm, _ = like.split(":")
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
