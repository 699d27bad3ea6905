"""Files that are whole or absent."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import in_need_of_room


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; move it onto `path` once the block has ended well.

    The folder is made where it is missing. If the block raises, the temporary file is removed and what
    stood at `path` before is untouched. The temporary name ends like `path`'s, since `numpy.save` and
    matplotlib look at the suffix.

    Raises:
        UserError: if there is no room for the file.
    """
    with in_need_of_room(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("r+b") as file:  # Windows flushes only what is open for writing
                os.fsync(file.fileno())  # or the name could be on disk before the bytes when power fails
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to the file at `path` as `replacing` does, with the same bytes on every system."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file at `path` as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
