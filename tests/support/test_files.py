import os
from pathlib import Path

import pytest

from pipeline.support.files import replacing


def test_what_is_being_written_is_hidden_beside_what_it_will_replace(tmp_path: Path) -> None:
    """From another disk it could not take that place at once."""
    path = tmp_path / "models/model.npz"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert not list(path.parent.glob("[!.]*"))
        temporary.write_text("whole")
    assert [found.read_text() for found in path.parent.iterdir()] == ["whole"]


def test_what_is_flushed_to_disk_is_open_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to flush a file that is open for reading; so does writing to it, here."""
    flushed = []

    def fsync(descriptor: int) -> None:
        os.write(descriptor, b"")
        flushed.append(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with replacing(tmp_path / "model.npz") as temporary:
        temporary.write_text("whole")
    assert flushed
    assert (tmp_path / "model.npz").read_text() == "whole"
