"""What becomes of tables, folders of images and arrays: inputs, targets and parts."""

import gzip
import json
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from pipeline.data.dataset import Description, load_dataset, read_description
from pipeline.data.encoding import read_encoding
from pipeline.data.moments import Moments
from pipeline.data.splitting import TEST, Split, assign
from pipeline.nn.mlp import MLP
from pipeline.predict import ImageNetwork
from pipeline.runs.answers import Answering
from pipeline.runs.models import TrainedModel
from pipeline.support.errors import UserError
from tests.own import HALVES, arrays, images, picture, prepare, table

HOUSES = """\
rooms,city,garden,price
2,Rome,yes,100
4,Paris,no,300
6,Rome,no,500
4,Oslo,yes,400
5,Paris,yes,
"""

ROWS_OF_A_SPREADSHEET = "size ; town;y\n" + "1,5;Köln;no\n2,5;Bonn;yes\n3,5; Köln ;no\n" * 4


def files(folder: Path, start: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data/processed").glob(f"{start}*")}


def encoding(folder: Path) -> Any:
    return json.loads((folder / "data/processed/dataset.json").read_text(encoding="utf-8"))["encoding"]


def test_a_table_becomes_standardised_numbers_and_a_column_for_each_category(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = table(
        tmp_path, HOUSES, target="garden", missing="indicator", features=["rooms", "city", "price"]
    )
    dataset = prepare(tmp_path, values, Split(train=0.6, test=0.4))
    rooms, deviation = (np.array([2, 4, 6, 4, 5]) - 4) / np.sqrt(8 / 3), np.sqrt(80000 / 3)
    prices = (np.array([100, 300, 500, 400, 300]) - 300) / deviation
    rome, paris = [1, 0, 1, 0, 0], [0, 1, 0, 0, 1]
    expected = np.stack([rooms, paris, rome, prices], axis=1).astype(np.float32)
    np.testing.assert_array_equal(np.concatenate([dataset.train.inputs, dataset.test.inputs]), expected)
    np.testing.assert_array_equal(dataset.train.targets, [[0, 1], [1, 0], [1, 0]])
    assert (dataset.classes, dataset.title, dataset.image_shape) == (["no", "yes"], "table", None)
    assert (
        "column city: 1 row holds a text that no training row has, such as 'Oslo'" in capsys.readouterr().err
    )


def test_what_is_missing_in_the_training_part_may_be_an_input_of_its_own(tmp_path: Path) -> None:
    content = "a,b,y\n1,red,0\n,red,1\n5,,0\n9,blue,1\n7,red,0\n3,,1\n"
    dataset = prepare(tmp_path, table(tmp_path, content, missing="indicator"), Split(train=4, test=2))
    assert [column["indicator"] for column in encoding(tmp_path)["columns"]] == [True, True]
    np.testing.assert_array_equal(dataset.train.inputs[:, 1], [0, 1, 0, 0])
    np.testing.assert_array_equal(dataset.train.inputs[:, 2:], [[0, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    prepare(tmp_path, table(tmp_path, content, missing="median"), Split(train=4, test=2))
    number, text = encoding(tmp_path)["columns"]
    assert (number["median"], number["mean"], number["indicator"]) == (5, 5, False)
    assert text["categories"] == ["blue", "red"]


SAME: dict[str, tuple[str | bytes, str, dict[str, Any]]] = {
    "comma": (HOUSES, "t.csv", {}),
    "BOM": (b"\xef\xbb\xbf" + HOUSES.encode(), "t.csv", {}),
    "BOM and another name of UTF-8": (b"\xef\xbb\xbf" + HOUSES.encode(), "t.csv", {"encoding": "UTF8"}),
    "carriage returns": (HOUSES.replace("\n", "\r\n"), "t.csv", {}),
    "no last end of line": (HOUSES[:-1], "t.csv", {}),
    "tabs": (HOUSES.replace(",", "\t"), "t.tsv", {}),
    "tabs as they are typed": (HOUSES.replace(",", "\t"), "t.txt", {"delimiter": r"\t"}),
    "a space before what is missing": (HOUSES.replace("yes,\n", "yes, NA\n"), "t.csv", {}),
    "semicolons": (HOUSES.replace(",", ";"), "t.txt", {"delimiter": ";"}),
    "spaces": (HOUSES.replace(",", ", "), "t.csv", {}),
    "utf-16": (HOUSES.encode("utf-16"), "t.csv", {"encoding": "utf-16"}),
    "decimal commas": (
        HOUSES.replace(",", ";").replace("300", "300,0"),
        "t.csv",
        {"delimiter": ";", "decimal": ","},
    ),
    "gzip": (gzip.compress(HOUSES.encode()), "t.csv.gz", {}),
}


@pytest.mark.parametrize("form", [*SAME, "Parquet", "Parquet with an index of pandas"])
def test_the_same_table_in_another_form_is_the_same_data(form: str, tmp_path: Path) -> None:
    plain, other = tmp_path / "plain", tmp_path / "other"
    asked = {"target": "garden", "missing": "median", "title": "T"}
    for folder in (plain, other):
        folder.mkdir()
    prepare(plain, table(plain, HOUSES, "t.csv", **asked))
    frame = pd.read_csv(plain / "t.csv")
    if form == "Parquet with an index of pandas":
        frame.set_axis([4, 2, 0, 3, 1]).to_parquet(other / "t.parquet")
        values = {"kind": "table", "path": str(other / "t.parquet"), **asked}
    elif form == "Parquet":
        pq.write_table(pa.table({name: frame[name].tolist() for name in frame}), other / "t.parquet")
        values = {"kind": "table", "path": str(other / "t.parquet"), **asked}
    else:
        content, name, more = SAME[form]
        values = table(other, content, name, **asked, **more)
    prepare(other, values)
    assert files(other, "t") == files(plain, "t")


def test_rows_are_encoded_afterwards_as_they_were_prepared(tmp_path: Path) -> None:
    values = table(tmp_path, HOUSES, target="garden", missing="indicator")
    dataset = prepare(tmp_path, values)
    frame = pd.read_csv(tmp_path / "table.csv")[["price", "city", "rooms"]]  # in another order
    found = read_encoding(read_description(tmp_path / "data/processed", Description, "preprocess"))
    expected = np.concatenate([dataset.train.inputs, dataset.test.inputs])
    np.testing.assert_array_equal(found.encode(frame), expected)
    np.testing.assert_array_equal(found.encode(pd.concat([frame[:2], frame[2:]])), expected)
    for damaged, told in [
        (frame.drop(columns="city"), "there is no column city: there are price, rooms"),
        (frame.assign(rooms=[1, 2, 3, np.inf, 5]), "row 4, column rooms: infinite"),
        (frame.assign(rooms=["1", "two", "3", "4", "5"]), "row 2, column rooms: 'two' is no number"),
    ]:
        with pytest.raises(ValueError, match=told):
            found.encode(damaged)


@pytest.mark.parametrize("value", ["NA", "null", '"nan"', "", "None"])
def test_a_file_to_predict_is_read_as_the_one_that_was_learned_from(
    value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ROWS_OF_A_SPREADSHEET.replace("Köln", value, 1).encode("latin-1")
    how = {"delimiter": ";", "decimal": ",", "encoding": "latin-1", "missing": "indicator"}
    dataset = prepare(tmp_path, table(tmp_path, rows, **how), Split(train=0.5, test=0.5))
    description = read_description(tmp_path / "data/processed", Description, "preprocess")
    answering = Answering(cast(TrainedModel, None), description)  # inputs do not depend on the network
    expected = np.concatenate([dataset.train.inputs, dataset.test.inputs])
    np.testing.assert_array_equal(answering.read(tmp_path / "table.csv"), expected)
    (tmp_path / "new.csv").write_text("size;town\n1,5;Bonn\nx;Bonn\n")
    with pytest.raises(ValueError, match="row 3, column size: 'x' is no number"):
        answering.read(tmp_path / "new.csv")
    assert capsys.readouterr().err == ""
    (tmp_path / "new.csv").write_text("size;town\n1,5;Paris\n")
    assert not answering.read(tmp_path / "new.csv")[0, 2:].any()
    assert (
        "column town: 1 row holds a text that no training row has, such as 'Paris'" in capsys.readouterr().err
    )
    with pytest.raises(ValueError, match="two columns are called 'size'"):
        answering.inputs(pd.DataFrame([[1, 2, "Bonn"]], columns=["size", "size", "town"]))
    (tmp_path / "new.csv").write_text("size;town\n1.234;Bonn\n")
    with pytest.raises(ValueError, match=r"row 2, column size: '1\.234' has a point"):
        answering.read(tmp_path / "new.csv")


@pytest.mark.parametrize("size", [None, [4, 3]])
def test_an_image_to_predict_is_read_as_those_that_were_learned_from(size: Any, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 5), np.uint8)
    names = [f"{'ab'[i // 4]}/{i}.png" for i in range(8)]
    values = images(tmp_path, dict(zip(names, map(picture, pixels), strict=True)), size=size)
    dataset = prepare(tmp_path, values)
    rows, columns = dataset.image_shape or ()
    description = read_description(tmp_path / "data/processed", Description, "preprocess")
    network = ImageNetwork(Answering(cast(TrainedModel, None), description), (rows, columns))
    read = np.concatenate([network.read(tmp_path / "photos" / name) for name in names])
    expected = np.concatenate([dataset.train.inputs, dataset.test.inputs])
    np.testing.assert_array_equal(read.reshape(8, -1), expected)
    (tmp_path / "large.png").write_bytes(picture(np.zeros((7, 5), np.uint8)))
    if size is None:
        with pytest.raises(UserError, match=r"large\.png: it is of 7×5 pixels, not 6×5"):
            network.read(tmp_path / "large.png")


def test_targets_of_a_regression_are_standardised_by_the_training_part(tmp_path: Path) -> None:
    content = "a,y,z\n" + "".join(f"{i},{10 * i},{i * i}\n" for i in range(8))
    values = table(tmp_path, content, task="regression", target=["y", "z"])
    dataset = prepare(tmp_path, values)
    mean, deviation = np.array([15, 3.5]), np.array([np.sqrt(125), np.sqrt(12.25)])
    y = np.array([[10 * i, i * i] for i in range(8)])
    found = np.concatenate([dataset.train.targets, dataset.test.targets])
    np.testing.assert_allclose(found, (y - mean) / deviation, rtol=1e-6)
    assert [(target.name, target.mean) for target in dataset.targets] == [("y", 15), ("z", 3.5)]
    assert dataset.train.targets.dtype == np.float32


def test_images_of_a_folder_are_read_by_class(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    opaque = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    contents = {
        "cat/1.png": picture(grey),
        "cat/2.gif": picture(grey, "GIF"),
        "dog/1.png": picture(grey, "BMP"),  # whatever its name says
        "dog/2.png": picture(opaque),
        "dog/.DS_Store": b"",
    }
    dataset = prepare(tmp_path, images(tmp_path, contents), Split(train=0.5, test=0.5, order="stratified"))
    assert (dataset.classes, dataset.image_shape) == (["cat", "dog"], (3, 4))
    for part in (dataset.train, dataset.test):
        np.testing.assert_array_equal(part.inputs, np.tile(grey.ravel() / np.float32(255), (2, 1)))
        np.testing.assert_array_equal(part.targets, np.eye(2))
    dataset = prepare(tmp_path, images(tmp_path, {}, size=[2, 2], colour=True))
    assert (dataset.image_shape, dataset.train.inputs.shape) == ((2, 2, 3), (2, 12))


def test_images_in_colour_are_their_red_green_and_blue(tmp_path: Path) -> None:
    red, blue = (picture(np.full((1, 2, 3), colour, np.uint8)) for colour in ([255, 0, 0], [0, 0, 255]))
    contents = {"blue/1.png": blue, "red/1.png": red}
    dataset = prepare(tmp_path, images(tmp_path, contents, colour=True))
    inputs = np.concatenate([dataset.train.inputs, dataset.test.inputs])
    np.testing.assert_array_equal(inputs, [[0, 0, 1] * 2, [1, 0, 0] * 2])


def test_classes_that_are_numbers_are_in_the_order_of_their_size(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, table(tmp_path, "a,y\n1,2\n2,10\n3,9\n4,10\n"))
    assert dataset.classes == ["2", "9", "10"]
    found = np.concatenate([dataset.train.targets, dataset.test.targets]).argmax(axis=1)
    assert found.tolist() == [0, 2, 1, 2]


def test_a_photo_is_turned_as_the_camera_was_held(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    turned = Image.fromarray(np.rot90(grey))
    exif = turned.getexif()
    exif[ExifTags.Base.Orientation] = 6  # to be shown a quarter turn clockwise
    file = BytesIO()
    turned.save(file, "PNG", exif=exif)
    contents = {"cat/1.png": file.getvalue(), "dog/1.png": picture(grey)}
    dataset = prepare(tmp_path, images(tmp_path, contents), Split(train=0.5, test=0.5))
    np.testing.assert_array_equal(dataset.train.inputs, dataset.test.inputs)


@pytest.mark.parametrize(
    ("dtype", "asked", "expected"),
    [
        (np.uint8, {}, np.arange(4) / np.float32(255)),
        (np.float64, {}, np.arange(4) / 2),  # by the training part, whose images are 0 and 2
        (np.uint8, {"range": [0, 4]}, np.arange(4) / 4),
    ],
)
def test_images_in_an_array_are_scaled(
    dtype: type, asked: dict[str, Any], expected: np.ndarray, tmp_path: Path
) -> None:
    x: np.ndarray = np.repeat(np.arange(4), 6).reshape(4, 2, 3).astype(dtype)[[0, 2, 1, 3]]
    dataset = prepare(tmp_path, arrays(tmp_path, x, np.array(["b", "a", "b", "a"]), **asked))
    assert (dataset.classes, dataset.image_shape) == (["a", "b"], (2, 3))
    found = np.concatenate([dataset.train.inputs, dataset.test.inputs])
    np.testing.assert_array_equal(
        found, np.repeat(expected[[0, 2, 1, 3]], 6).reshape(4, 6).astype(np.float32)
    )


@pytest.mark.parametrize("stored", ["one archive", "two files"])
def test_numbers_in_an_array_are_standardised(stored: str, tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(500, 3)), np.arange(500) % 3
    values = arrays(tmp_path, x, y)
    if stored == "two files":
        np.save(tmp_path / "x.npy", x)
        np.save(tmp_path / "y.npy", y)
        values["path"] = str(tmp_path)
    dataset = prepare(tmp_path, values)
    expected = (x - x[:250].mean(axis=0)) / x[:250].std(axis=0)
    np.testing.assert_allclose(
        np.concatenate([dataset.train.inputs, dataset.test.inputs]), expected, rtol=1e-5
    )


def test_numbers_of_images_are_taken_for_what_they_were_in_training(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 17, (8, 6, 5))
    dataset = prepare(tmp_path, arrays(tmp_path, x.astype(float), np.arange(8) % 2, range=[0, 16]))
    description = read_description(tmp_path / "data/processed", Description, "preprocess")
    mlp = MLP((30, 2, 2), activation="relu", output="softmax", bias=True)
    network = ImageNetwork(Answering(mlp, description), (6, 5))
    np.save(tmp_path / "eight.npy", x)
    np.savetxt(tmp_path / "one.csv", x[0], delimiter=",")
    expected = np.concatenate([dataset.train.inputs, dataset.test.inputs]).reshape(8, 6, 5)
    np.testing.assert_array_equal(network.read(tmp_path / "eight.npy"), expected)
    np.testing.assert_array_equal(network.read(tmp_path / "one.csv"), expected[:1])
    np.save(tmp_path / "other.npy", x[:, :5])
    with pytest.raises(UserError, match=r"other\.npy: .*shape \(8, 5, 5\)"):
        network.read(tmp_path / "other.npy")


def test_a_column_that_begins_with_a_block_of_nothing_is_of_texts_if_its_first_value_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.data.table_files.BLOCK_BYTES", 1000)
    rows = [f"{i},{'Oslo' if i > 900 else ''},{i % 2}" for i in range(1000)]
    values = table(tmp_path, "\n".join(["a,note,y", *rows]), missing="median")
    prepare(tmp_path, values, Split(train=0.99, test=0.01))
    assert encoding(tmp_path)["columns"][1]["categories"] == ["Oslo"]


@pytest.mark.parametrize("order", ["file", "shuffled"])
def test_no_statistics_are_of_the_validation_part(order: Any, tmp_path: Path) -> None:
    split = Split(train=7, test=2, validation=3, order=order)
    dataset = prepare(tmp_path, arrays(tmp_path, np.arange(10.0)[:, None], np.arange(10) % 2), split)
    assert dataset.validation and len(dataset.validation.inputs) == 3
    np.testing.assert_allclose(dataset.train.inputs.mean(), 0, atol=1e-7)
    assert dataset.hold_out(3) is dataset


def test_a_constant_column_becomes_zeros(tmp_path: Path) -> None:
    content = "a,b,y\n" + "".join(f"0.1,{i},{i % 2}\n" for i in range(10))
    assert not prepare(tmp_path, table(tmp_path, content)).train.inputs[:, 0].any()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(1, 5))
def test_mean_and_deviation_do_not_depend_on_how_rows_come(numbers: list[float], size: int) -> None:
    whole, blocks = Moments(), Moments()
    values = np.array(numbers)
    whole.add(values)
    for start in range(0, len(values), size):
        blocks.add(values[start : start + size])
    assert (whole.mean(), whole.deviation()) == (blocks.mean(), blocks.deviation())
    np.testing.assert_allclose([whole.mean(), whole.deviation()], [values.mean(), values.std()], atol=1e-3)


# No leakage: what is learned from does not depend on what is measured on.

CELLS = [st.sampled_from(["1", "2.5", "-3e2", ""]), st.sampled_from(["red", "blue", "sky", ""])]
ROW = st.tuples(*CELLS, st.sampled_from(["no", "yes"]))


@settings(max_examples=25)
@given(
    st.lists(ROW, min_size=10, max_size=10),
    st.sampled_from(["file", "shuffled"]),
    st.sampled_from(["median", "indicator"]),
)
def test_another_test_part_changes_not_a_bit_of_the_training_part(
    others: list[tuple[str, ...]], order: Any, missing: str
) -> None:
    """Nor a bit of the statistics and the categories."""
    rows = [(str(i * 0.7), ["red", "blue"][i % 2], ["no", "yes"][i % 3 % 2]) for i in range(30)]
    rows[4] = ("", "", "no")
    split = Split(train=20, test=10, order=order)
    [parts] = assign(split, 30, "rows", np.zeros(30, int), None)
    changed = [others.pop() if part == TEST else row for row, part in zip(rows, parts, strict=True)]
    found = []
    for version in (rows, changed):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            content = "a,b,y\n" + "".join(f"{','.join(row)}\n" for row in version)
            prepare(folder, table(folder, content, missing=missing), split)
            found.append((files(folder, "train"), encoding(folder)))
    assert found[0] == found[1]


def test_each_fold_has_statistics_of_its_own(tmp_path: Path) -> None:
    content = "a,y\n" + "".join(f"{i * i},{i}\n" for i in range(20))
    values = table(tmp_path, content, task="regression")
    split = Split(train=0.8, test=0.2, order="shuffled", folds=4)
    prepare(tmp_path, values, split)
    folds = [load_dataset(tmp_path / f"data/processed/folds/{fold}") for fold in range(4)]
    assert len({fold.targets[0].mean for fold in folds}) == 4
    for fold in folds:
        assert fold.validation
        assert (len(fold.train.inputs), len(fold.validation.inputs), len(fold.test.inputs)) == (12, 4, 4)
    prepare(tmp_path, values)  # without folds again
    assert not (tmp_path / "data/processed/folds").exists()
    prepare(tmp_path, values, split)
    assert [path.name for path in (tmp_path / "data/processed").iterdir()] == ["folds"]


def test_the_validation_part_may_be_learned_from_in_the_end(tmp_path: Path) -> None:
    dataset = prepare(
        tmp_path, arrays(tmp_path, np.eye(10), np.arange(10) % 2), Split(train=0.5, test=0.2, validation=0.3)
    )
    assert dataset.validation
    whole = dataset.hold_out(0)
    np.testing.assert_array_equal(whole.train.inputs[5:], dataset.validation.inputs)
    assert (len(whole.train.inputs), whole.validation) == (8, None)
    assert dataset.hold_out(0.3) is dataset


def test_halves_of_an_odd_number(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, arrays(tmp_path, np.eye(5), np.array([0, 1, 0, 1, 0])), HALVES)
    assert len(dataset.train.inputs) + len(dataset.test.inputs) == 5
