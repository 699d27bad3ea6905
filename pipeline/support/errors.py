"""Errors that a user can mend: one line on stderr and exit status 1, without a traceback."""

import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the disk, the quota or the limit for a file is full

REPORT = "This is a fault of the project, not yours: please report it to its authors, with these lines."


class UserError(Exception):
    """Something that the user can mend; the message says what is wrong, where, and what to do."""


@contextmanager
def in_need_of_room(what: str) -> Iterator[None]:
    """Raise `UserError` if the disk is full when the block writes `what`, or if memory does not suffice."""
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
    """End the program with one line on stderr if the user can mend what ends the block.

    The line is `error: …` with exit status 1 for a `UserError`, a full disk, too little memory, and for a
    file that the system does not let the program read or write. It is `interrupted` with exit status 130 for
    Ctrl-C, followed by what the `KeyboardInterrupt` says, if anything. Every other error keeps its traceback,
    which then ends with a note on where to report it.

    Characters that the output cannot show, as in an ASCII terminal, are written as escapes.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    try:
        with in_need_of_room("a file"):
            yield
    except UserError as error:
        warn(f"error: {error}")
        raise SystemExit(1) from None
    except BrokenPipeError:  # as after `| head`
        # Python flushes stdout once more at its end, which would fail again: see "SIGPIPE" in its docs.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        warn("error: nobody reads the output any more (broken pipe)")
        raise SystemExit(1) from None
    except OSError as error:
        if not error.filename:
            add_report_note(error)
            raise
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        reason = "a file is where a folder is needed" if in_the_way else error.strerror
        warn(f"error: {error.filename}: {reason}")
        raise SystemExit(1) from None
    except KeyboardInterrupt as interruption:
        warn(": ".join(["interrupted", *map(str, interruption.args)]))
        raise SystemExit(130) from None
    except Exception as error:
        add_report_note(error)
        raise


def add_report_note(error: Exception) -> None:
    """Let the traceback of `error`, a fault of the project, end with a note on where to report it."""
    if REPORT not in getattr(error, "__notes__", ()):
        error.add_note(REPORT)


def public(text: str) -> str:
    """Return `text` without the user names and passwords of addresses in it.

    A password may contain @ and /. What follows a port is a path.
    """
    return re.sub(r"//([^/\s]*|[^/:\s]+:(?!\d+/)\S*)@", "//", text)


def shorten(text: str, longest: int = 600) -> str:
    """Return `text` in one line, cut after `longest` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[:longest]} …"


def warn(message: str) -> None:
    """Print `message` to stderr, over a progress bar that may stand there."""
    print("\r\033[K" if sys.stderr.isatty() else "", message, sep="", file=sys.stderr)
