"""A mirror may have a file gzipped or plain, and may send anything."""

import gzip
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config.schema import Files, IdxDataset
from pipeline.data.mirrors import File, copy_file
from pipeline.download import download
from tests.mirrors import PLAIN, ROLES, Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


PINNED_PLAIN = {
    "missing": "404",
    "page": "its hash should be sha256:",
    "wrong": "Incorrect length|CRC check failed",
    "truncated": "IncompleteRead",
    "endless": "it goes on after",
    "bomb": "it goes on after 3000 bytes",
}


@pytest.mark.parametrize("kind", ["good", "plain", *PINNED_PLAIN])
def test_a_file_that_is_pinned_plain_is_unpacked_or_its_mirror_is_named(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Most mirrors have the files gzipped, some plain; a small file can unpack to a very large one."""
    pins = [
        File(role, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))
        for role, content in PLAIN.items()
    ]
    sources = [server.url(kind), server.url("good")]
    download(IdxDataset("idx", "dots", "Dots", sources, Files(*pins), ["few", "many"], None), tmp_path, None)
    assert {role: (tmp_path / role).read_bytes() for role in ROLES} == PLAIN
    told = capsys.readouterr().err
    if kind in PINNED_PLAIN:
        assert re.search(rf"^warning: .*/{kind}/: .*{PINNED_PLAIN[kind]}", told)
    else:
        assert told == ""


def test_a_gzipped_file_is_unpacked_and_where_it_is_damaged_the_plain_one_is_taken(tmp_path: Path) -> None:
    content = b"a plain file"
    file = File(name="plain", hash=f"sha256:{hashlib.sha256(content).hexdigest()}", size=len(content))
    packed = gzip.compress(content)
    (tmp_path / "plain.gz").write_bytes(packed)
    copy_file(file, str(tmp_path), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    for damaged in (packed[:-9], packed[:-8] + bytes(8)):  # cut short, and another checksum
        (tmp_path / "plain").unlink(missing_ok=True)
        (tmp_path / "plain.gz").write_bytes(damaged)
        with pytest.raises(ValueError, match="it is damaged"):
            copy_file(file, str(tmp_path), tmp_path / "copy")
        (tmp_path / "plain").write_bytes(content)
        copy_file(file, str(tmp_path), tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == content
