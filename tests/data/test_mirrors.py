"""A mirror may have a file gzipped or plain, and may send anything."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config.schema import Files, IdxDataset
from pipeline.data.mirrors import File
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
