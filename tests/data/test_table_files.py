"""What a table's file says of columns that nobody reads."""

from pathlib import Path

import pytest

from tests.own import prepare, table

NOTES = 'a,note,y\n1,"never closed,no\n2,,yes\n3,,no\n4,"closed",yes\n' + "5,,no\n6,,yes\n" * 9


def test_rows_that_an_open_quotation_mark_takes_away_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path, table(tmp_path, NOTES, drop=["note"]))
    [warning] = capsys.readouterr().err.splitlines()
    assert "row 2, column note: 'never closed,no 2,,yes 3,,no 4,closed\"' has several lines" in warning
    assert "the rows up to the next one are lost" in warning


def test_nothing_is_said_of_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(tmp_path, table(tmp_path, NOTES.replace('"', ""), drop=["note"]))
    assert capsys.readouterr().err == ""
