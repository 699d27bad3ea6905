"""What a user can cause, and how it is told: one line on stderr, exit status 1, no traceback."""

import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # on the disk, in the quota, under the limit for a file
OF_THE_SYSTEM = {
    errno.ENOENT,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EIO,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ESTALE,
}
"""What keeps a file from being read whatever bytes are in it."""

READER_IS_GONE = {errno.EPIPE, errno.EINVAL} if sys.platform == "win32" else {errno.EPIPE}  # from a pipe


REPORT = "This is a fault of the project, not yours: please report it to its authors, with these lines."


class UserError(Exception):
    """Something that the user can mend; the message says what is wrong, where, and what to do."""


@contextmanager
def in_need_of_room(what: str) -> Iterator[None]:
    """Raise `UserError` where the block fails to write `what`, on a full disk, or takes too much memory."""
    try:
        yield
    except MemoryError as error:
        raise UserError(f"not enough memory: {error}".rstrip(": ")) from None
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UserError(
            f"{what} cannot be written ({error.strerror}): make room, then run the same command again"
        ) from None


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with one line on stderr where something that the user can mend ends the block.

    The line is `error: …` with exit status 1, of a `UserError`, a full disk, a missing file, a file where a
    folder should be, the reverse, what may not be read or written, too many open files, or too little memory;
    or `interrupted` with exit status 130, of Ctrl-C, and what the `KeyboardInterrupt` says, if anything.
    Every other error keeps its traceback, which then ends with a note on where to report it.
    """
    outlive_readers()
    try:
        with in_need_of_room("a file"):
            yield
    except UserError as error:
        tell(f"error: {error}")
        raise SystemExit(1) from None
    except (FileExistsError, NotADirectoryError) as error:
        tell(f"error: {error.filename}: a file is where a folder is needed")
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno not in OF_THE_SYSTEM or not error.filename:
            add_report_note(error)
            raise
        tell(f"error: {error.filename}: {error.strerror}")
        raise SystemExit(1) from None
    except KeyboardInterrupt as interruption:
        tell(": ".join(["interrupted", *map(str, interruption.args)]))
        raise SystemExit(130) from None
    except Exception as error:
        add_report_note(error)
        raise


def add_report_note(error: Exception) -> None:
    """Have the traceback of `error`, which is no user's, end with where to report it."""
    if REPORT not in getattr(error, "__notes__", ()):
        error.add_note(REPORT)


class Pipe(io.FileIO):
    """Writes to a file descriptor until whoever reads from there is gone; what comes after that is lost."""

    def write(self, data: Any) -> int:
        """Return how many bytes of `data` were written, or need not be."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in READER_IS_GONE:
                raise
            return len(data)


def outlive_readers() -> None:
    """Have the program's output never end it: not at `| head`, nor when it is closed or takes only ASCII."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__") and not (sys.platform == "win32" and stream.isatty()):
            # A Windows console is left out: it takes characters, not bytes, and is closed with the program.
            pipe = io.BufferedWriter(Pipe(descriptor, "w", closefd=False))
            told = io.TextIOWrapper(pipe, stream.encoding, "backslashreplace", line_buffering=True)
            setattr(sys, name, told)


def public(text: str) -> str:
    """Return `text` without the user names and passwords that addresses in it may hold.

    A password may hold @ and / as well, but what follows a port is a path.
    """
    return re.sub(r"//([^/\s]*|[^/:\s]+:(?!\d+/)\S*)@", "//", text)


def shorten(text: str, longest: int = 600) -> str:
    """Return `text` in one line of hardly more than `longest` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[:longest]} …"


def tell(message: str) -> None:
    """Say `message` on stderr, in place of the progress bar that may stand there."""
    print("\r\033[K" if sys.stderr.isatty() else "", message, sep="", file=sys.stderr)
