from pathlib import Path

from pipeline.files import replacing


def test_what_is_being_written_is_hidden_beside_what_it_will_replace(tmp_path: Path) -> None:
    """From another disk it could not take that place at once."""
    path = tmp_path / "models/model.npz"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert not list(path.parent.glob("[!.]*"))
        temporary.write_text("whole")
    assert [found.read_text() for found in path.parent.iterdir()] == ["whole"]
