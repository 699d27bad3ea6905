"""Files of tables: rows that a quotation mark would take away, gzip, and Parquet's own types."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.splitting import Split
from pipeline.support.errors import UserError
from tests.own import HALVES, prepare, table

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


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_an_open_quotation_mark_is_found_whatever_ends_a_line(tmp_path: Path, end: str) -> None:
    content = NOTES.replace("\n", end)
    with pytest.raises(UserError, match=r"row 2, column note: .* has several lines: is a quotation mark"):
        prepare(tmp_path, table(tmp_path, content.encode()))


@pytest.mark.parametrize("header", ['y,"a,b', 'a,"y', '"a,y'])
def test_an_open_quotation_mark_in_the_header_takes_no_rows_away(tmp_path: Path, header: str) -> None:
    content = f'{header}\n1,2\n3,4\n1,x"\n' + "1,2\n3,4\n" * 9
    with pytest.raises(UserError, match=r"row 1: the name .* has several lines: is a quotation mark not"):
        prepare(tmp_path, table(tmp_path, content))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.CSV.GZ", "a.tsv.gz"])
@pytest.mark.parametrize("packed", [True, False])
def test_whether_a_file_is_gzipped_is_seen_by_its_bytes(tmp_path: Path, name: str, packed: bool) -> None:
    rows = "a,y\n" + "1,no\n2,yes\n" * 5
    content = (rows.replace(",", "\t") if "tsv" in name else rows).encode()
    dataset = prepare(tmp_path, table(tmp_path, gzip.compress(content) if packed else content, name))
    assert len(dataset.train.inputs) == 5


def test_gzip_that_is_damaged_is_told_in_one_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = "a,y\n" + "".join(f"{number},{number > 0.5}\n" for number in rng.random(2000))
    whole = gzip.compress(rows.encode(), mtime=0)
    for at in range(10, len(whole), len(whole) // 20):
        damaged = bytearray(whole)
        damaged[at : at + 3] = b"\xff\xff\xff"
        with pytest.raises(UserError, match=r"table\.csv\.gz: "):
            prepare(tmp_path, table(tmp_path, bytes(damaged), "table.csv.gz"))


def parquet(folder: Path, **columns: Any) -> dict[str, Any]:
    pq.write_table(pa.table(columns), folder / "t.parquet")
    return {"kind": "table", "path": str(folder / "t.parquet"), "target": "y"}


@pytest.mark.parametrize(
    ("values", "split"),
    [
        ({"target": "y", "text": ["a"]}, HALVES),
        ({"target": "a"}, HALVES),
        ({"target": "y"}, Split(train=0.5, test=0.5, groups="a")),
    ],
    ids=["text", "target", "groups"],
)
def test_nan_in_parquet_is_no_value_whatever_the_column_is_for(
    tmp_path: Path, values: dict[str, Any], split: Split
) -> None:
    column = pa.array([1.0, 2.0, float("nan")] + [1.0, 2.0] * 9)  # NaN, not null, as polars writes it
    made = parquet(tmp_path, a=column, b=np.arange(21.0), y=["no", "yes", "no"] * 7)
    with pytest.raises(UserError, match="row 3, column a: no value"):
        prepare(tmp_path, made | values, split)


def test_rows_of_one_day_stay_together_though_parquet_has_a_type_for_days(tmp_path: Path) -> None:
    days = pa.array(np.repeat(np.arange(10), 3).astype("datetime64[D]"))
    values = parquet(tmp_path, day=days, a=np.repeat(np.arange(10.0), 3), y=["no", "yes", "no"] * 10)
    dataset = prepare(tmp_path, values, Split(train=0.5, test=0.5, groups="day"))
    parts = [set(part.inputs[:, 0].tolist()) for part in (dataset.train, dataset.test)]
    assert [len(part) for part in parts] == [5, 5] and not parts[0] & parts[1]
