"""Data of your own come to data/raw, whole and unchanged, and nothing else is touched."""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from pipeline.download import LOOK_AGAIN
from pipeline.support.errors import UserError
from pipeline.support.files import PARTIAL
from tests.commands import files, run_module
from tests.mirrors import CONTENT, serving
from tests.own import arrays, bring, images, picture, table

ROWS = "a,y\n1,no\n2,yes\n"
GREY = picture(np.zeros((3, 4), np.uint8))


def test_a_file_that_has_not_changed_is_not_copied_again(tmp_path: Path) -> None:
    values = table(tmp_path, ROWS)
    copy = bring(tmp_path, values) / "table.csv"
    assert copy.read_text() == ROWS
    first = copy.stat().st_ino
    bring(tmp_path, values)
    assert copy.stat().st_ino == first
    table(tmp_path, ROWS + "3,no\n")
    bring(tmp_path, values)
    assert copy.read_text() == ROWS + "3,no\n"
    stat = (tmp_path / "table.csv").stat()
    (tmp_path / "table.csv").write_text(ROWS + "4,no\n")
    os.utime(tmp_path / "table.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))  # of the same size
    bring(tmp_path, values)
    assert copy.read_text() == ROWS + "4,no\n"


def test_another_dataset_takes_the_place_of_the_earlier_one_and_of_nothing_else(tmp_path: Path) -> None:
    photos = images(tmp_path, {"cat/1.png": GREY, "cat/2.png": GREY, "dog/1.png": GREY})
    raw = bring(tmp_path, photos)
    assert {path for path in files(raw) if path != "dataset.json"} == {
        f"images/{name}" for name in ("cat/1.png", "cat/2.png", "dog/1.png")
    }
    (raw / "images/cat/mine.txt").write_text("mine")
    (raw / "notes.txt").write_text("mine")
    (tmp_path / "photos/cat/2.png").unlink()
    bring(tmp_path, photos)
    assert not (raw / "images/cat/2.png").exists()
    bring(tmp_path, table(tmp_path, ROWS))
    assert set(files(raw)) == {"dataset.json", "table.csv", "notes.txt", "images/cat/mine.txt"}
    bring(tmp_path, arrays(tmp_path, np.eye(2), np.arange(2)))
    assert not (raw / "table.csv").exists()


def test_what_a_system_leaves_in_folders_is_no_image_and_no_class(tmp_path: Path) -> None:
    left = ["__MACOSX/cat/._1.png", ".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", "desktop.ini"]
    photos = images(tmp_path, {"cat/1.png": GREY, "dog/1.png": GREY} | dict.fromkeys(left, b"no image"))
    assert set(files(bring(tmp_path, photos))) == {"dataset.json", "images/cat/1.png", "images/dog/1.png"}


def test_a_table_of_scikit_learn_has_its_rows_and_the_names_of_its_classes(tmp_path: Path) -> None:
    raw = bring(tmp_path, {"kind": "table", "path": "sklearn:iris", "target": "species"})
    iris: Any = load_iris()
    with (raw / "iris.csv").open(encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == [*iris.feature_names, "species"]
    np.testing.assert_array_equal([[float(cell) for cell in row[:-1]] for row in rows], iris.data)
    assert [row[-1] for row in rows] == iris.target_names[iris.target].tolist()


def test_what_a_killed_stage_left_among_images_is_removed(tmp_path: Path) -> None:
    content = picture(np.zeros((3, 4), np.uint8))
    raw = bring(tmp_path, images(tmp_path, {"cat/1.png": content, "dog/1.png": content}))
    (raw / f"images/cat/{PARTIAL}0.png").write_bytes(content[:9])
    bring(tmp_path, {"kind": "table", "path": "sklearn:iris"})
    assert not (raw / "images").exists()


def test_the_originals_stay_as_they_are(tmp_path: Path) -> None:
    before = {}
    for values in (table(tmp_path, ROWS), images(tmp_path, {"cat/1.png": GREY, "dog/1.png": GREY})):
        before = {name: digest for name, digest in files(tmp_path).items() if not name.startswith("data/")}
        (tmp_path / "photos").chmod(0o555) if (tmp_path / "photos").exists() else None
        bring(tmp_path, values)
        after = {name: digest for name, digest in files(tmp_path).items() if not name.startswith("data/")}
        assert after == before
    (tmp_path / "photos").chmod(0o755)


def test_links_are_followed_and_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.csv").write_text(ROWS)
    (tmp_path / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    raw = bring(tmp_path, {"kind": "table", "path": str(tmp_path / "link.csv")})
    assert not (raw / "link.csv").is_symlink()
    (raw / "link.csv").unlink()
    (raw / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    (tmp_path / "link.csv").unlink()
    (tmp_path / "link.csv").write_text("other")
    bring(tmp_path, {"kind": "table", "path": str(tmp_path / "link.csv")})
    assert (tmp_path / "elsewhere.csv").read_text() == ROWS
    with pytest.raises(UserError, match="which the stages write: keep your data elsewhere"):
        bring(tmp_path, {"kind": "table", "path": str(raw / "link.csv")})


def test_a_file_is_fetched_from_a_server(tmp_path: Path) -> None:
    with serving() as server:
        raw = bring(tmp_path, {"kind": "table", "path": server.url("good") + "train_images.gz"})
        assert (raw / "train_images.gz").read_bytes() == CONTENT["train_images.gz"]
        (raw / "train_images.gz").unlink()  # a server may call the file's own gzip an encoding
        bring(tmp_path, {"kind": "table", "path": server.url("encoding") + "train_images.gz"})
        assert (raw / "train_images.gz").read_bytes() == CONTENT["train_images.gz"]
        with pytest.raises(UserError, match=r"train_images.gz: should be an \.npz file"):
            bring(tmp_path, {"kind": "arrays", "path": server.url("good") + "train_images.gz"})
        told = r"http://127.*/train_images.gz cannot be fetched: 404"
        with pytest.raises(UserError, match=told) as caught:
            path = server.url("missing").replace("//", "//me:secret@") + "train_images.gz"
            bring(tmp_path, {"kind": "table", "path": path})
    assert "secret" not in str(caught.value)
    with pytest.raises(UserError, match=r"cannot be fetched: .*refused"):
        bring(tmp_path, {"kind": "table", "path": f"http://127.0.0.1:{server.server_port}/x.csv"})
    assert (raw / "train_images.gz").exists()  # what was there before stays


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"kind": "table", "path": "sklearn:iris"}, "sklearn:iris: its hash is sha256:"),
        ({"kind": "arrays", "path": "sklearn:digits"}, "should be null for data in several files"),
    ],
)
def test_a_hash_is_that_of_one_file_wherever_it_is_from(
    tmp_path: Path, values: dict[str, str], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        bring(tmp_path, values | {"hash": f"sha256:{'0' * 64}"})


def test_the_path_is_relative_to_the_repository_also_in_a_copy_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC's queue works in such a copy, in which no file is that Git does not know."""
    table(tmp_path, ROWS)
    copy = tmp_path / ".dvc/tmp/exps/copy"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert (bring(copy, {"kind": "table", "path": "table.csv"}) / "table.csv").read_text() == ROWS


@pytest.mark.parametrize(("path", "again"), [("table.csv", ".nan"), ("sklearn:iris", "false")])
def test_only_a_file_of_yours_has_dvc_look_again(tmp_path: Path, path: str, again: str) -> None:
    table(tmp_path, ROWS)
    (tmp_path / LOOK_AGAIN).write_text("look_again: true\n")
    options = ["dataset=table", f"dataset.path={path}"]
    composed = run_module(tmp_path, "pipeline.train", "--cfg", "job", "--resolve", *options)
    (tmp_path / "params.yaml").write_text(composed.stdout, encoding="utf-8")
    done = run_module(tmp_path, "pipeline.download")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / LOOK_AGAIN).read_text().endswith(f"look_again: {again}\n")
