"""Whatever the sources are like, the dataset's files come whole, or something else is said."""

import hashlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.config.schema import File, Files, IdxDataset, StrokesDataset
from pipeline.data import mirrors
from pipeline.data.idx import read_idx
from pipeline.download import STROKES_FILES, download
from pipeline.support.errors import UserError
from tests.commands import ROOT, files, little_room, run_module, start_module, wait_for
from tests.mirrors import CONTENT, HTML, ROLES, Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def refusing() -> str:
    """A base URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that has the files."""
    folder = tmp_path / "a mirror"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "TIMEOUT_S", 2.0)
    monkeypatch.setattr(mirrors, "PIECE_BYTES", 16)  # the files are small, too


def dataset(*mirrors: str, fallback: bool = True, algorithm: str = "sha256") -> IdxDataset:
    def pinned(name: str) -> File:
        content = CONTENT[name]
        digest = hashlib.new(algorithm, content).hexdigest()
        return File(name=name, hash=f"{algorithm}:{digest}", size=len(content))

    return IdxDataset(
        kind="idx",
        name="dots",
        title="Dots",
        mirrors=list(mirrors),
        files=Files(**{role: pinned(f"{role}.gz") for role in ROLES}),
        classes=["few", "many"],
        fallback="strokes" if fallback else None,
        range=[0.0, 7.0],
    )


def assert_whole(raw: Path) -> None:
    """The folder holds exactly the dataset's four files, bit for bit, and what describes them."""
    assert {path.name for path in raw.iterdir()} == {*CONTENT, "dataset.json"}
    for name, content in CONTENT.items():
        assert (raw / name).read_bytes() == content
    assert json.loads((raw / "dataset.json").read_text()) == {
        "name": "dots",
        "title": "Dots",
        "classes": ["few", "many"],
        "range": [0.0, 7.0],
        "files": {
            role: {"name": f"{role}.gz", "sha256": hashlib.sha256(CONTENT[f"{role}.gz"]).hexdigest()}
            for role in ROLES
        },
    }


@pytest.mark.parametrize(("kind", "algorithm"), [("good", "sha256"), ("good", "md5"), ("encoding", "sha256")])
def test_a_good_mirror_gives_the_four_files(
    server: Server, tmp_path: Path, kind: str, algorithm: str
) -> None:
    """Also one that calls the gzip of the file its encoding; the umask says who may read the files."""
    (tmp_path / "plain").touch()
    raw = tmp_path / "raw"
    download(dataset(server.url(kind), algorithm=algorithm), raw, None)
    assert_whole(raw)
    assert {path.stat().st_mode for path in raw.iterdir()} == {(tmp_path / "plain").stat().st_mode}


@pytest.mark.parametrize("form", ["folder", "file URL", "URL", "URL without its last slash"])
def test_data_mirror_goes_before_the_mirrors(server: Server, folder: Path, tmp_path: Path, form: str) -> None:
    mirror = {
        "folder": str(folder),
        "file URL": folder.as_uri(),
        "URL": server.url("good"),
        "URL without its last slash": server.url("good").rstrip("/"),
    }[form]
    download(dataset(server.url("failing")), tmp_path / "raw", mirror)
    assert_whole(tmp_path / "raw")
    assert not any("failing" in path for path in server.asked)


def test_a_password_is_not_told(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = (server.url(kind).replace("//", "//me:secret@", 1) for kind in ("missing", "good"))
    download(dataset(bad, good), tmp_path, None)
    assert_whole(tmp_path)
    told = "".join(capsys.readouterr())
    assert "/missing/" in told
    assert "secret" not in told


ANSWERING = {
    "missing": "404",
    "failing": "500",
    "page": "its hash should be sha256:",
    "wrong": "its hash should be sha256:",
    "truncated": "IncompleteRead",
    "stalled": "Read timed out",
    "endless": "it goes on after 30",
    "dripping": "it sends less than 20 kB a second",
}
UNREACHABLE = {"silent": "no answer within 2 seconds", "hangup": "Remote end closed connection"}


@pytest.mark.parametrize(("kind", "told"), [*ANSWERING.items(), *UNREACHABLE.items()])
def test_a_bad_mirror_is_named_and_the_next_one_tried(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, told: str
) -> None:
    """One that fell silent is asked for nothing more."""
    begin = time.monotonic()
    download(dataset(server.url(kind), server.url("good")), tmp_path, None)
    assert_whole(tmp_path)
    assert re.search(rf"^warning: .*/{kind}/: .*{told}", capsys.readouterr().err)
    asked = sum(kind in path for path in server.asked)
    assert asked == (1 if kind in {"silent", "hangup", "stalled", "dripping"} else 4)
    assert time.monotonic() - begin < 5 * mirrors.TIMEOUT_S
    assert server.sent[f"/{kind}/train_images.gz"] < 100_000_000


@pytest.mark.parametrize(("kind", "told"), ANSWERING.items())
def test_a_source_that_answers_badly_is_an_error_and_no_reason_to_fall_back(
    server: Server, tmp_path: Path, refusing: str, kind: str, told: str
) -> None:
    with pytest.raises(UserError, match=rf"^train_images\.gz .*/{kind}/.*{told}.*DATA_MIRROR") as caught:
        download(dataset(server.url(kind), refusing), tmp_path, None)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_each_file_is_taken_from_the_first_mirror_that_has_it(server: Server, tmp_path: Path) -> None:
    download(dataset(server.url("partial"), server.url("good"), server.url("other")), tmp_path, None)
    assert_whole(tmp_path)
    assert server.asked == [
        "/partial/train_images.gz",
        "/partial/train_labels.gz",
        "/partial/official_images.gz",
        "/good/official_images.gz",
        "/partial/official_labels.gz",
        "/good/official_labels.gz",
    ]


def test_a_server_that_fails_once_is_asked_again(server: Server, tmp_path: Path) -> None:
    download(dataset(server.url("flaky")), tmp_path, None)
    assert_whole(tmp_path)
    assert server.asked == [f"/flaky/{role}.gz" for role in ROLES for _ in range(2)]


def test_a_slow_server_is_waited_for_while_it_keeps_the_least_rate(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors, "TIMEOUT_S", 1.0)  # less than a file takes
    monkeypatch.setattr(mirrors, "MIN_BYTES_PER_S", 1000)
    for role in ROLES[1:]:
        (tmp_path / f"{role}.gz").write_bytes(CONTENT[f"{role}.gz"])
    download(dataset(server.url("leisurely")), tmp_path, None)
    assert_whole(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HTML, f"it has {len(HTML)} bytes, not 30"),
        (bytes(len(CONTENT["train_images.gz"])), "its hash should be sha256:"),
        ("/dev/zero", "it has 0 bytes"),
        ("pipe", "it has 0 bytes"),
    ],
    ids=["page", "wrong", "device", "pipe"],
)
def test_a_wrong_file_in_a_folder_is_an_error(
    folder: Path, tmp_path: Path, content: bytes | str, told: str
) -> None:
    path = folder / "train_images.gz"
    path.unlink()
    if content == "pipe":
        os.mkfifo(path)
    elif isinstance(content, str):
        path.symlink_to(content)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^train_images\.gz cannot be fetched: .*{told}"):
        download(dataset(), tmp_path / "raw", str(folder))
    assert not list((tmp_path / "raw").iterdir())


def test_no_source_reached_and_no_fallback_is_an_error(server: Server, tmp_path: Path, refusing: str) -> None:
    mirrors = [server.url("silent"), server.url("hangup"), refusing, "http://no.such.host.invalid/"]
    with pytest.raises(UserError, match=r"no source can be reached .*no answer.*refused") as caught:
        download(dataset(*mirrors, fallback=False), tmp_path, str(tmp_path / "absent"))
    for source in [*mirrors, str(tmp_path / "absent")]:
        assert source in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_strokes_stand_in_loudly_where_no_source_is_reached(
    server: Server, tmp_path: Path, refusing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train_images.gz").write_bytes(CONTENT["train_images.gz"])
    download(dataset(refusing), tmp_path, None)

    warning = capsys.readouterr().err
    assert refusing in warning
    assert "NOTHING IS ABOUT Dots" in warning
    assert "`dvc repro` fetches the files as soon as" in warning
    description = json.loads((tmp_path / "dataset.json").read_text())
    assert (description["name"], description["title"]) == ("strokes", "Strokes")
    assert {path.name for path in tmp_path.iterdir()} == {*STROKES_FILES.values(), "dataset.json"}
    for role, count in {"train": 60_000, "official": 10_000}.items():
        assert read_idx(tmp_path / STROKES_FILES[f"{role}_images"], 3).shape == (count, 28, 28)
        assert read_idx(tmp_path / STROKES_FILES[f"{role}_labels"], 1).shape == (count,)

    download(dataset(server.url("good")), tmp_path, None)  # online again
    assert_whole(tmp_path)


def test_strokes_can_be_asked_for_by_name(tmp_path: Path) -> None:
    for name in ["one", "two"]:
        download(StrokesDataset(train=30, official=20), tmp_path / name, None)
    assert read_idx(tmp_path / "one" / STROKES_FILES["train_labels"], 1).shape == (30,)
    images = read_idx(tmp_path / "one" / STROKES_FILES["official_images"], 3)
    assert images.shape == (20, 28, 28)
    assert np.all(images.max(axis=(1, 2)) > 100)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    download(dataset(server.url("good")), tmp_path, None)
    (tmp_path / "train_labels.gz").write_bytes(b"damaged")
    server.asked.clear()
    download(dataset(server.url("good")), tmp_path, None)
    assert_whole(tmp_path)
    assert server.asked == ["/good/train_labels.gz"]


def test_what_the_stage_did_not_write_stays(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "raw"
    (raw / "thesis").mkdir(parents=True)
    (raw / "thesis/chapter.tex").write_text("mine")
    (raw / "photos.zip").write_text("mine")
    (raw / ".hidden").write_text("mine")
    (raw / "linked").symlink_to(raw / "thesis")
    before = files(raw)
    download(dataset(server.url("good")), raw, None)
    download(StrokesDataset(train=1, official=1), raw, None)
    assert files(raw).items() >= before.items()
    assert "holds linked, photos.zip, thesis, which this stage did not write" in capsys.readouterr().err


def test_of_the_dataset_before_what_is_still_as_it_was_goes(server: Server, tmp_path: Path) -> None:
    download(StrokesDataset(train=1, official=1), tmp_path, None)
    mine = tmp_path / STROKES_FILES["train_labels"]
    mine.write_text("my own labels")
    download(dataset(server.url("good")), tmp_path, None)
    assert mine.read_text() == "my own labels"
    mine.unlink()
    assert_whole(tmp_path)


@pytest.mark.parametrize("link", ["data", "data/raw"])
def test_a_link_on_the_way_to_the_folder_is_refused_before_anything_is_touched(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    """What it leads to may be a folder that others share."""
    project, shared = tmp_path / "project", tmp_path / "shared"
    (project / link).parent.mkdir(parents=True)
    for folder in (shared, shared / "raw"):
        (folder / "thesis").mkdir(parents=True)
        (folder / "thesis/chapter.tex").write_text("of others")
        (folder / "dataset.json").write_text("of others")
    before = files(shared)
    (project / link).symlink_to(shared)
    monkeypatch.chdir(project)
    with pytest.raises(UserError, match=rf"^data/raw is reached through a link.*{shared}.*DATA_MIRROR"):
        download(dataset(server.url("good")), Path("data/raw"), None)
    assert files(shared) == before


def test_what_a_killed_stage_left_behind_goes_at_the_next_start(server: Server, tmp_path: Path) -> None:
    raw = tmp_path / "data/raw"
    write_params_with(tmp_path, asdict(dataset(server.url("stalled"))))
    process = start_module(tmp_path, "pipeline.download")
    wait_for(lambda: raw.exists() and any(raw.rglob("train_images.gz")))
    process.kill()
    process.communicate()
    assert list(raw.iterdir())
    (raw / ".partial-0123abcd.json").touch()
    download(dataset(server.url("good")), raw, None)
    assert_whole(raw)


def test_a_full_disk_is_no_fault_of_the_source(folder: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    told = r"^train_images\.gz cannot be written .*make room"
    with little_room(1000), pytest.raises(UserError, match=told):
        download(dataset(), raw, str(folder))
    assert not list(raw.iterdir())
    download(dataset(), raw, str(folder))
    assert_whole(raw)


def test_no_partial_file_is_ever_visible(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, bytes]] = []
    done = threading.Event()

    def watch() -> None:
        last = False
        while not last:
            last = done.wait(0.001)
            seen.extend(
                (name, (tmp_path / name).read_bytes()) for name in CONTENT if (tmp_path / name).exists()
            )

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        download(dataset(server.url("trickling")), tmp_path, None)
    finally:
        done.set()
        watcher.join()
    assert {name for name, _ in seen} == set(CONTENT)
    assert all(content == CONTENT[name] for name, content in seen)


def test_a_mirror_of_another_kind_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="s3://bucket/ is not a mirror") as caught:
        download(dataset("s3://me:secret@bucket/"), tmp_path, None)
    assert "secret" not in str(caught.value)
    with pytest.raises(UserError, match=r"http://\[bad is not a mirror \(Invalid IPv6 URL\)"):
        download(dataset(), tmp_path, "http://[bad")


def write_params_with(folder: Path, asked: dict[str, object]) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")) | {"dataset": asked}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def test_the_stage_reads_params_and_writes_data_raw(tmp_path: Path) -> None:
    asked = {"kind": "strokes", "name": "strokes", "title": "S", "train": 5, "official": 3}
    write_params_with(tmp_path, {**asked, "classes": list("0123456789")})
    done = run_module(tmp_path, "pipeline.download")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "data/raw/dataset.json").read_text())["title"] == "S"


@pytest.mark.parametrize(
    ("asked", "mirror", "told"),
    [
        ("mnist", "empty", "train-images-idx3-ubyte cannot be fetched: "),
        ("mnist", "http://odd..host/", "MNIST: no source can be reached (http://odd..host/: Failed to parse"),
        ("xor", "", "dataset = xor: it is generated, not downloaded; `python -m pipeline.train dataset=xor`"),
    ],
)
def test_the_stage_ends_in_one_line_if_a_file_cannot_be_fetched(
    tmp_path: Path, asked: str, mirror: str, told: str
) -> None:
    (tmp_path / "empty").mkdir()
    values = yaml.safe_load((ROOT / "conf/dataset" / f"{asked}.yaml").read_text(encoding="utf-8"))
    values = values.get("dataset") or values | {"mirrors": [], "fallback": None}
    write_params_with(tmp_path, values)
    done = run_module(tmp_path, "pipeline.download", DATA_MIRROR=mirror)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {told}")
    assert "Traceback" not in done.stderr
