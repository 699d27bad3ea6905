"""What a user can cause, and how it is told: one line on stderr, exit status 1, no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something that the user can mend; the message says what is wrong, where, and what to do."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with `error: …` on stderr and exit status 1 where the block raises `UserError`."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
