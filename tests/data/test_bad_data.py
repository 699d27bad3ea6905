"""Whatever is wrong with data of your own, one line says what, and where: file, row and column."""

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipeline.data.splitting import Split
from pipeline.support.errors import UserError
from tests.own import HALVES, Maker, arrays, images, picture, prepare, table

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
ROWS = "a,b,y\n" + "1,red,no\n2,blue,yes\n" * 10  # rows 2 to 21
NUMBERS = "a,b,y\n" + "".join(f"{i},{i * i},{i * 3}\n" for i in range(20))
REGRESSION = {"task": "regression"}


def of_table(content: str | bytes, name: str = "table.csv", **values: Any) -> Maker:
    return lambda folder: table(folder, content, name, **values)


def of_images(files: dict[str, bytes], **values: Any) -> Maker:
    return lambda folder: images(folder, files, **values)


def of_arrays(x: Any, y: Any, **values: Any) -> Maker:
    return lambda folder: arrays(folder, np.asarray(x), np.asarray(y), **values)


def changed(row: int, column: int, value: str, of: str = ROWS) -> str:
    """Return the table with another value in the `row` of the file and the `column`, from 0."""
    rows = [line.split(",") for line in of.splitlines()]
    rows[row - 1][column] = value
    return "\n".join(map(",".join, rows)) + "\n"


def parquet(values: dict[str, Any], keep: int | None = None) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table(values), content)
    return content.getvalue()[:keep]


def wide(columns: int) -> str:
    return ",".join([*(f"c{i}" for i in range(columns)), "y"]) + "\n" + ",".join(["1"] * (columns + 1))


def linked(folder: Path) -> dict[str, Any]:
    values = images(folder, {"cat/1.png": picture(GREY), "dog/1.png": picture(GREY)})
    (folder / "photos/dog/2.png").symlink_to(folder / "gone.png")
    return values


def pickled(folder: Path) -> dict[str, Any]:
    np.savez(folder / "arrays.npz", x=np.array([{"a": 1}, None], object), y=np.arange(2))
    return {"kind": "arrays", "path": str(folder / "arrays.npz")}


def without_y(folder: Path) -> dict[str, Any]:
    np.savez(folder / "arrays.npz", x=np.zeros((2, 2)), labels=np.arange(2))
    return {"kind": "arrays", "path": str(folder / "arrays.npz")}


def shorter(folder: Path) -> dict[str, Any]:
    (folder / "both").mkdir()
    np.save(folder / "both/x.npy", np.zeros((9, 3)))
    np.save(folder / "both/y.npy", np.arange(9) % 2)
    whole = (folder / "both/x.npy").read_bytes()
    (folder / "both/x.npy").write_bytes(whole[:-8])
    return {"kind": "arrays", "path": str(folder / "both")}


def claiming(folder: Path) -> dict[str, Any]:
    """An array whose header claims more memory than there is."""
    values = shorter(folder)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 10**6)}
    )
    (folder / "both/y.npy").write_bytes(header.getvalue())
    return values


def no_zip(folder: Path) -> dict[str, Any]:
    (folder / "arrays.npz").write_bytes(b"PK\x03\x04 cut short")
    return {"kind": "arrays", "path": str(folder / "arrays.npz")}


CASES: dict[str, tuple[Maker, str]] = {
    # tables: the file
    "ragged": (of_table(ROWS + "3,red\n"), "table.csv: row 22 has 2 values, but the header has 3 names"),
    "one value more": (of_table(ROWS + "3,red,no,5\n"), "table.csv: row 22 has 4 values, but the header"),
    "quotation": (of_table(ROWS + '3,"red,no\n'), "row 22 has 2 .*; is a quotation mark not closed"),
    "two headers": (
        of_table(changed(3, 0, "a")),
        "table.csv: row 3, column a: 'a' is the column's name: the header is there twice",
    ),
    "second header first": (of_table(changed(2, 0, "a")), "row 2, column a: 'a' is the column's name"),
    "units": (of_table(changed(2, 0, "kg")), "row 2, column a: 'kg' is no number"),
    "semicolons": (
        of_table(ROWS.replace(",", ";")),
        """a single column, 'a;b;y': should the delimiter be ';'\\? -S "dataset.delimiter=';'" says""",
    ),
    "tabs": (
        of_table(ROWS.replace(",", "\t")),
        r"""should the delimiter be '\\t'\? -S "dataset.delimiter='\\t'" says""",
    ),
    "no header": (of_table("1,2,3\n4,5,6\n"), "row 1 holds numbers: it should hold the names of the columns"),
    "same name": (of_table("a,a,y\n1,2,no\n"), "table.csv: two columns are called 'a'"),
    "no names": (of_table(" , ,y\n1,2,no\n"), "two columns have no name in row 1"),
    "no name": (of_table(",a,y\n0,1,no\n1,2,yes\n"), "column 1 has no name in row 1: .*dataset.drop="),
    "latin-1": (
        of_table(changed(5, 1, "grün").encode("latin-1")),
        "table.csv: row 5 is not utf-8: dataset.encoding should say what it is, such as latin-1",
    ),
    "latin-1 header": (of_table(changed(1, 1, "größe").encode("latin-1")), "row 1 is not utf-8"),
    "utf-16": (of_table(ROWS.encode("utf-16")), "begins with ff fe, as UTF-16 does: dataset.encoding=utf-16"),
    "excel": (
        of_table(b"PK\x03\x04rest", "book.xlsx"),
        "book.xlsx: .* Excel workbook: save the sheet as CSV",
    ),
    "web page": (of_table("<!DOCTYPE html><p>Log in</p>"), "table.csv: it begins with <, as a web page does"),
    "empty": (of_table(""), "table.csv: there is nothing in it"),
    "no rows": (of_table("a,b,y\n"), "table.csv: it holds no rows"),
    "no end of line": (of_table("a,b,y"), "table.csv: it holds no rows"),
    "many columns": (
        of_table(wide(10**6)),
        "it has 1,000,001 columns, and a table is read with at most 10,0",
    ),
    "gzip cut": (of_table(gzip.compress(ROWS.encode())[:-9], "table.csv.gz"), "table.csv.gz: "),
    "parquet cut": (
        of_table(parquet({"a": [1, 2], "y": ["no", "yes"]}, -20), "t.parquet"),
        "t.parquet: it is damaged, perhaps cut short",
    ),
    "no parquet": (of_table(ROWS, "t.parquet"), "t.parquet: it begins with 61 2c 62 2c, so it is no Parquet"),
    "parquet dates": (
        of_table(parquet({"a": np.array(["2020-01-01"] * 2, "datetime64[s]"), "y": ["n", "y"]}), "t.parquet"),
        r"""t.parquet: column a: it holds dates or times: .* -S "dataset.drop=\['a'\]"$""",
    ),
    # tables: the values
    "typo": (
        of_table(changed(9, 0, "1O")),
        r"""table.csv: row 9, column a: '1O' is no number, as .* -S "dataset.text=\['a'\]" to take""",
    ),
    "decimal commas": (
        of_table(changed(2, 0, "1,5").replace("1,5,", '"1,5",')),
        "row 2, column a: '1,5' is no number: say -S \"dataset.decimal=','\"",
    ),
    "per cent": (of_table(changed(2, 0, "10%")), "row 2, column a: '10%' is no number: take out the sign"),
    "currency": (of_table(changed(2, 0, "€ 1.50")), "row 2, column a: '€ 1.50' is no number: take out"),
    "told text": (of_table(changed(2, 0, "10%"), text=["c"]), "dataset.text = c: "),
    "dates": (of_table(changed(2, 1, "2024-05-31")), "row 2, column b: '2024-05-31' is a date: make numbers"),
    "missing": (of_table(changed(4, 0, "")), "table.csv: row 4, column a: no value; dataset.missing=median"),
    "missing text": (of_table(changed(4, 1, "")), "table.csv: row 4, column b: no value; dataset.missing"),
    "NaN": (of_table(changed(4, 0, "NaN")), "table.csv: row 4, column a: no value"),
    "infinity": (of_table(changed(5, 0, "-inf")), "table.csv: row 5, column a: infinite"),
    "infinity in the test part": (of_table(changed(20, 0, "1e999")), "table.csv: row 20, column a: infinite"),
    "too large in the test part": (of_table(changed(20, 0, "1e99")), "row 20, column a: too large beside"),
    "missing in the test part": (of_table(changed(20, 0, "")), "table.csv: row 20, column a: no value"),
    "too large": (of_table(changed(2, 0, "1e308")), "column a: its numbers are too large to be added up"),
    "no value at all": (
        of_table("a,b,y\n" + "1,,no\n2,,yes\n" * 5, missing="median"),
        r"""column b: no row of the training part has a value: leave it out: -S "dataset.drop=\['b'\]"$""",
    ),
    "identifiers": (
        of_table("a,b,y\n" + "".join(f"{i},id{i},{'yn'[i % 2]}\n" for i in range(3000))),
        r"""column b: more than 1,000 different texts, .* -S "dataset.drop=\['b'\]"$""",
    ),
    # tables: the target
    "no target": (
        of_table(ROWS, target="price"),
        "dataset.target = price: .*table.csv has the columns a, b, y",
    ),
    "target not said beside a column without a name": (
        of_table(ROWS.replace("a,", ",", 1), target=None),
        "dataset.target = null: ",
    ),
    "target not said": (
        of_table(ROWS, target=None),
        "dataset.target = null: .*table.csv has the columns a, b",
    ),
    "target misspelt": (of_table("price,a\n1,2\n", target="prise"), "did you mean price?"),
    "constant class": (of_table(ROWS.replace("yes", "no")), "the target is no in every row"),
    "constant target": (
        of_table("a,y\n" + "1,5\n2,5\n" * 5, **REGRESSION),
        "the target y is 5 in every row of the training part",
    ),
    "target missing": (of_table(changed(7, 2, "")), "table.csv: row 7, column y: no value"),
    "target NaN": (
        of_table(changed(7, 2, "nan", NUMBERS), **REGRESSION),
        "row 7, column y: the target has no",
    ),
    "target infinite": (of_table(changed(7, 2, "inf", NUMBERS), **REGRESSION), "row 7, column y: infinite"),
    "target of words": (
        of_table(changed(7, 2, "high", NUMBERS), **REGRESSION),
        "row 7, .*'high' is no number",
    ),
    "target of numbers": (
        of_table("a,y\n" + "".join(f"{i},{i / 7}\n" for i in range(3000))),
        "column y: more than 1,000 different classes; .*dataset.task=regression",
    ),
    "target with fractions": (
        of_table("a,y\n" + "".join(f"{i},{i / 8}\n" for i in range(30))),
        r"column y holds 0\.125: classes should be whole numbers or texts; .*dataset.task=regression",
    ),
    "target among features": (
        of_table(ROWS, features=["a", "y"]),
        "dataset.features has y, which is the target",
    ),
    "unknown feature": (
        of_table(ROWS, features=["a", "c"]),
        "dataset.features = c: .* has the columns a, b, y",
    ),
    "unknown in drop": (of_table(ROWS, drop=["c"]), "dataset.drop = c: "),
    "feature twice": (of_table(ROWS, features=["a", "b", "a"]), "dataset.features has a twice"),
    "target twice": (of_table(NUMBERS, target=["y", "y"], **REGRESSION), "dataset.target has y twice"),
    "target of none": (of_table(ROWS, target=[]), "dataset.target = null: .* has the columns a, b, y"),
    "class of several lines": (
        of_table(changed(4, 2, '"no')),
        "row 4, column y: 'no 2,blue,yes .*' has several lines: is a quotation mark not closed",
    ),
    "text of several lines": (
        of_table(changed(8, 1, 'blue"', changed(4, 1, '"red'))),
        "row 4, column b: 'red,no 2,blue,yes .*' has several lines: is a quotation mark not closed",
    ),
    "several lines in the test part": (
        of_table(changed(18, 1, 'blue"', changed(14, 1, '"red'))),
        "row 14, column b: 'red,no 2,blue,yes .*' has several lines: is a quotation mark not closed",
    ),
    "grouped digits": (
        of_table(changed(4, 0, "1.234").replace(",", ";"), delimiter=";", decimal=","),
        "row 4, column a: '1.234' has a point, and dataset.decimal = ','",
    ),
    "grouped digits of a target": (
        of_table(changed(4, 2, "1.234", NUMBERS).replace(",", ";"), delimiter=";", decimal=",", **REGRESSION),
        "row 4, column y: '1.234' has a point, and dataset.decimal = ','",
    ),
    "no features": (of_table(ROWS, drop=["a", "b"]), "there is no column to predict y from"),
    # images
    "no image": (
        of_images({"cat/1.png": b"not an image", "dog/1.png": picture(GREY)}),
        "cat/1.png: it cannot",
    ),
    "0 bytes": (of_images({"cat/1.png": b"", "dog/1.png": picture(GREY)}), "cat/1.png: it has 0 bytes"),
    "image cut": (
        of_images({"cat/1.png": picture(GREY), "dog/1.png": picture(GREY)[:45]}),
        "dog/1.png: it cannot be read",
    ),
    "16 bits": (
        of_images({"cat/1.png": picture(GREY.astype(np.uint16) * 256), "dog/1.png": picture(GREY)}),
        "cat/1.png: its pixels have more than 8 bits",
    ),
    "alpha": (
        of_images({"cat/1.png": picture(np.zeros((3, 4, 4), np.uint8)), "dog/1.png": picture(GREY)}),
        "cat/1.png: it is transparent in places",
    ),
    "two sizes": (
        of_images({"cat/1.png": picture(GREY), "dog/1.png": picture(GREY.T.copy())}),
        r"dog/1.png: it is of 4×3 pixels, and images/cat/1.png of 3×4: dataset.size scales them",
    ),
    "nested": (
        of_images({"train/cat/1.png": picture(GREY), "train/dog/1.png": picture(GREY)}),
        "photos/train/cat: a folder in the folder of a class",
    ),
    "beside": (of_images({"1.png": picture(GREY)}), "photos/1.png: an image should be in the subfolder"),
    "empty class": (
        of_images({"cat/1.png": picture(GREY), "dog/.hidden": b""}),
        "photos/dog: there is no image of this class",
    ),
    "link": (linked, "photos/dog/2.png: a link that leads nowhere"),
    "one class": (of_images({"cat/1.png": picture(GREY)}), "there is only the class cat"),
    # arrays
    "pickle": (pickled, "x holds Python objects, which are pickled, and no pickle is loaded"),
    "lengths": (of_arrays(np.zeros((4, 2)), np.arange(3)), "arrays.npz: x has 4 rows, but y has 3"),
    "no y": (without_y, "there is no array y: it holds x, labels"),
    "cut array": (shorter, "x.npy and .*y.npy: x is damaged .*it ends after 8 rows"),
    "claims": (claiming, "x has 9 rows, but y has 1000000000000"),
    "no archive": (no_zip, "arrays.npz: x is damaged"),
    "shape": (of_arrays(np.zeros((4, 2, 2, 5)), np.arange(4)), r"x has the shape \(4, 2, 2, 5\)"),
    "texts": (of_arrays([["a"], ["b"]], [0, 1]), "x holds <U1: it should hold numbers"),
    "order": (
        of_arrays(np.zeros((4, 2), order="F"), np.arange(4)),
        "x is in Fortran's order: save np.ascont",
    ),
    "x NaN": (of_arrays([[1, 2], [3, np.nan], [1, 1], [0, 1]], [0, 1, 0, 1]), "row 1 of x, number 1: NaN"),
    "x NaN in the test part": (
        of_arrays([[1, 2], [3, 4], [1, 1], [0, np.inf]], [0, 1, 0, 1]),
        "row 3, number 2 in it: NaN or infinite",
    ),
    "y NaN": (of_arrays(np.eye(4), [1, 2, np.nan, 3], **REGRESSION), "row 2 of y is NaN or infinite"),
    "y of fractions": (of_arrays(np.eye(4), [1, 2.5, 0, 3]), "row 1 of y is 2.5: classes should be whole"),
    "huge classes": (of_arrays(np.eye(4), [1e300, 0, 1e300, 0]), r"row 0 of y is 1e\+300: classes should"),
    "image NaN": (of_arrays(np.full((4, 2, 2), np.nan), [0, 1, 0, 1]), "image 0, counted from 0: NaN or inf"),
    "one-hot y": (of_arrays(np.eye(4), np.eye(4)), r"y has the shape \(4, 4\): it should be \(n,\)"),
    "flat images": (of_arrays(np.ones((4, 2, 2)), [0, 1, 0, 1]), "go from 1 to 1: dataset.range"),
    # where it is
    "no path": (lambda folder: {"kind": "table"}, "dataset.path = null: .* -S dataset.path=houses.csv"),
    "nothing there": (
        lambda folder: {"kind": "table", "path": "gone.csv"},
        "dataset.path = gone.csv: there is",
    ),
    "a folder": (lambda folder: {"kind": "table", "path": str(folder)}, "is a folder, and should be a file"),
    "a file": (
        lambda folder: {"kind": "images", "path": __file__},
        "should be a folder with a subfolder for each class",
    ),
    "a device": (lambda folder: {"kind": "table", "path": "/dev/zero"}, "is a device, and should be a file"),
    "no arrays": (lambda folder: {"kind": "arrays", "path": str(folder)}, "there is no x.npy in that folder"),
    "no toy": (
        lambda folder: {"kind": "table", "path": "sklearn:moons"},
        "of the kind table there is breast",
    ),
    "more classes than 16 bits hold": (
        of_table("a,y\n" + "".join(f"{i},{i}\n" for i in range(40_000))),
        "column y: more than 1,000 different classes; if it is a number",
    ),
    "no UTF-16": (of_table(ROWS, encoding="utf-16"), "row 1 is not utf-16: dataset.encoding should say"),
    "a name of an image that is no text": (
        of_images({"cat/1.png": picture(GREY), "dog/caf\udce9.png": picture(GREY)}),
        "its name is not UTF-8: give it another one",
    ),
    "another file": (
        of_table(ROWS, hash=f"sha256:{'0' * 64}"),
        "table.csv: its hash is sha256:.*dataset.hash",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_told_in_one_line(case: str, tmp_path: Path) -> None:
    make, told = CASES[case]
    with pytest.raises(UserError, match=told) as caught:
        prepare(tmp_path, make(tmp_path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data/processed/dataset.json").exists()


@pytest.mark.parametrize(
    ("split", "told"),
    [
        (Split(train=0.02, test=0.5), "split.train = 0.02: of 20 rows of table that is none"),
        (Split(train=15, test=9), "ask for 24, but there are 20 rows of table"),
        (Split(train=0.5, test=0.5, groups="c"), "split.groups = c: .* has the columns a, b, y"),
        (Split(train=0.8, test=0.1, groups="b"), "split.groups: the 2 groups are too few or too large"),
        (Split(train=0.1, test=0.5, folds=9), "split.folds = 9: there are only 2 rows"),
    ],
)
def test_a_split_that_is_impossible(split: Split, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        prepare(tmp_path, table(tmp_path, ROWS), split)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"train": 0.7, "test": 15}, "should be all counts or all shares"),
        ({"train": 0.7, "test": 0.4}, "is more than all rows"),
        ({"train": 1.5, "test": 0}, "should be a whole number of rows, or a share"),
        ({"train": 10, "test": 5, "groups": "a"}, "should go with shares"),
        ({"train": 0.7, "test": 0.3, "fold": 1}, "should be 0 without split.folds"),
        ({"train": 0.7, "test": 0.3, "folds": 3, "fold": 3}, "should be less than split.folds = 3"),
    ],
)
def test_a_split_that_contradicts_itself(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Split(**values)


def test_stratifying_a_number_is_refused(tmp_path: Path) -> None:
    values = table(tmp_path, NUMBERS, task="regression")
    with pytest.raises(UserError, match=r"split\.order = stratified: should be shuffled for a regression"):
        prepare(tmp_path, values, Split(train=0.5, test=0.5, order="stratified"))


def test_no_code_in_an_array_is_ever_run(tmp_path: Path) -> None:
    """The archive is made by hand, since NumPy's own writer would not lie about the type."""

    class Malice:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "run",)

    np.save(tmp_path / "x.npy", np.array([Malice()], object), allow_pickle=True)
    np.save(tmp_path / "y.npy", np.array([Malice()], object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "arrays.npz", "w") as archive:
        archive.write(tmp_path / "x.npy", "x.npy")
        archive.write(tmp_path / "y.npy", "y.npy")
    with pytest.raises(UserError, match="no pickle is loaded"):
        prepare(tmp_path, {"kind": "arrays", "path": str(tmp_path / "arrays.npz")}, HALVES)
    assert not (tmp_path / "run").exists()
