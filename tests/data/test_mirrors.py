"""What a single source gives."""

import gzip
import hashlib
from pathlib import Path

import pytest

from pipeline.config.schema import File
from pipeline.data import mirrors


def test_where_the_gzipped_file_is_damaged_the_plain_one_is_taken(tmp_path: Path) -> None:
    content = b"a plain file"
    file = File(name="plain", hash=f"sha256:{hashlib.sha256(content).hexdigest()}", size=len(content))
    (tmp_path / "plain.gz").write_bytes(gzip.compress(content)[:-9])
    with pytest.raises(ValueError, match="it is damaged"):
        mirrors.copy_file(file, str(tmp_path), tmp_path / "copy")
    (tmp_path / "plain").write_bytes(content)
    mirrors.copy_file(file, str(tmp_path), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
