"""What a user can cause, and how it is told: one line on stderr, exit status 1, no traceback."""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # on the disk, in the quota, under the limit for a file


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

    The line is `error: …` with exit status 1, of a `UserError`, a full disk, a file where a folder should be,
    the reverse, what the user may not read or write, or too little memory; or `interrupted` with exit status
    130, of Ctrl-C.
    """
    try:
        with in_need_of_room("a file"):
            yield
    except UserError as error:
        tell(f"error: {error}")
        raise SystemExit(1) from None
    except (FileExistsError, NotADirectoryError) as error:
        tell(f"error: {error.filename}: a file is where a folder is needed")
        raise SystemExit(1) from None
    except (PermissionError, IsADirectoryError) as error:
        tell(f"error: {error.filename}: {error.strerror}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        tell("interrupted")
        raise SystemExit(130) from None


def public(text: str) -> str:
    """Return `text` without the user names and passwords that addresses in it may hold.

    A password may hold @ and / as well, but what follows a port is a path.
    """
    return re.sub(r"//([^/\s]*|[^/:\s]+:(?!\d+/)\S*)@", "//", text)


def tell(message: str) -> None:
    """Say `message` on stderr, in place of the progress bar that may stand there."""
    print("\r\033[K" if sys.stderr.isatty() else "", message, sep="", file=sys.stderr)
