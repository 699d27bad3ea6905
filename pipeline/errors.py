"""What a user can cause, and how it is told: one line on stderr, exit status 1, no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something that the user can mend; the message says what is wrong, where, and what to do."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with one line on stderr where the block raises `UserError` or the user presses Ctrl-C.

    The line is `error: …` with exit status 1, or `interrupted` with exit status 130.
    """
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
