"""Files that are whole or absent, hashes of files, and errors about damaged files."""

import errno
import hashlib
import os
import shutil
import uuid
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Self

from pipeline.support.errors import UserError, in_need_of_room, warn

ROOT = Path(__file__).parents[2]  # the folder that holds the package, conf/ and dvc.yaml
PARAMS = Path("params.yaml")  # the configuration of a run, in the run's folder; DVC's is at the root
EXPERIMENTS = Path(".dvc/tmp/exps")  # where DVC makes copies of the repository, for `dvc exp run --temp`
PARTIAL = ".partial-"  # the beginning of the name of an unfinished file or folder
MAX_REASON = 300  # characters of a library's message about a damaged file


def find_root(folder: Path) -> Path:
    """Return the repository's root for a stage that works in `folder`.

    `dvc exp run --queue` and `--temp` work in a copy of the tree under the root's `.dvc/tmp/exps`.
    """
    for parent in folder.parents:
        if parent.parts[-3:] == EXPERIMENTS.parts:
            return parent.parents[2]
    return folder


def relative(path: str | Path, to: str | Path = ".") -> Path:
    """Return `path` relative to the folder `to`; as it is if it is on another drive of Windows."""
    try:
        return Path(os.path.relpath(path, to))
    except ValueError:
        return Path(path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, and move the file from there to `path` after the block.

    The folder is made if it is missing. If the block raises, the temporary file is removed, and a file that
    was at `path` before stays as it was. The temporary name ends like `path`'s, since `numpy.save` and
    matplotlib look at the suffix.

    Raises:
        UserError: if there is no room for the file.
    """
    with in_need_of_room(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}{path.suffix}")
        try:
            yield temporary
            with temporary.open("r+b") as file:  # Windows flushes only a file that is open for writing
                os.fsync(file.fileno())  # or the name could be on disk before the bytes when power fails
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to the file at `path` as `replacing` does, with the same bytes on every system."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file at `path` as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_once(path: Path) -> str:
    """Return the SHA-256 of the file at `path`, read again only when its size or time has changed."""
    stat = path.stat()
    return _sha256_once(path.absolute(), stat.st_size, stat.st_mtime_ns)


@cache
def _sha256_once(path: Path, size: int, changed_ns: int) -> str:
    return sha256(path)


def hash_files(path: Path) -> str:
    """Return a hash of the file, or of all files in the folder, at `path`; of nothing if nothing is there.

    Hidden files and compiled Python are left out.
    """
    files = path.rglob("*") if path.is_dir() else [path]
    seen = [file for file in sorted(files) if file.is_file() and file.parent.name != "__pycache__"]
    named = [(file.relative_to(path).as_posix(), file) for file in seen if file.name[0] != "."]
    hashes = [f"{name} {sha256_once(file)}" for name, file in named]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


class FileError(UserError):
    """A file that is missing or damaged.

    Args:
        what: which file, and what is wrong with it.
        stage: the DVC stage that writes it.
        remedy: what to do about it.
    """

    def __init__(self, what: str, stage: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.stage = stage
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        """Say how it is made again in another process, as of a sweep: not of the message alone."""
        return type(self), (self.what, self.stage, self.remedy)


@contextmanager
def reading(path: Path, stage: str, remedy: str = "") -> Iterator[None]:
    """Turn every error of the block, which reads the file at `path`, into an error of one line.

    NumPy, zipfile, json and csv raise nearly any exception for damaged bytes, so each counts. The block
    should do nothing but read and check what it has read.

    Args:
        path: the file.
        stage: the DVC stage that writes it.
        remedy: what to do about a damaged file; by default, to let DVC run the stage again.

    Raises:
        FileError: if the file is missing or damaged: if the block raises anything but a `UserError`.
        UserError: if the system does not let the file be read, or the file is damaged and `remedy` is given.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's about a damaged header, which would be more lines
            yield
    except UserError:
        raise
    except FileNotFoundError:
        raise FileError(f"{path} is not there", stage, f"`dvc repro {stage}` makes it") from None
    except Exception as error:
        # NumPy and zipfile may seek to an impossible place in a damaged file: EINVAL.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise UserError(f"{path}: {error.strerror}") from None
        message = (
            f"there is no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        )
        reason = " ".join(message.encode(errors="backslashreplace").decode().split())[:MAX_REASON]
        if remedy:
            raise UserError(f"{path}: {reason}: {remedy}") from None
        what = f"{path} is not what this pipeline wrote ({reason})"
        raise FileError(what, stage, f"`dvc repro -f {stage}` makes it anew") from None


def refuse_links(folder: Path, advice: str) -> None:
    """Raise `UserError` if `folder`, or a folder above it in the project, is a link.

    A link may lead to a folder that others share, where a stage should not write.

    Args:
        folder: relative to the project's root, which is the working directory.
        advice: what to do about it.
    """
    if (there := folder.resolve()) != Path.cwd().resolve() / folder:
        raise UserError(f"{folder} is reached through a link, and is really {there}: {advice}")


def warn_of_others(folder: Path, own: Collection[str]) -> None:
    """Warn the user if `folder`, an output of a stage, holds other files than the stage's `own`."""
    others = sorted({path.name for path in folder.glob("[!.]*")} - set(own))
    if others:
        warn(
            f"warning: {folder} holds {', '.join(others)}, which this stage did not write. What it did not"
            " write stays, but DVC takes it for a part of the output: better keep it elsewhere"
        )


def remove_leftovers(folder: Path) -> None:
    """Remove from `folder` the unfinished files and folders of stages that were killed."""
    for path in folder.glob(f"{PARTIAL}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
