import gzip
import hashlib
import json
import os
import re
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml

import pipeline.download
from pipeline.config.schema import File, Files, IdxDataset, StrokesDataset
from pipeline.data.idx import read_idx
from pipeline.download import STROKES_FILES, download
from pipeline.support.errors import UserError
from tests.commands import ROOT, files, little_room, run_module, start_module, wait_for

ROLES = ["train_images", "train_labels", "official_images", "official_labels"]
CONTENT = {f"{role}.gz": gzip.compress(os.urandom(3000), mtime=0) for role in ROLES}
HTML = b"<!DOCTYPE html><title>Not what you want</title>"


class Mirrors(BaseHTTPRequestHandler):
    """Each folder of this server is a mirror with a character of its own."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        _, kind, name = self.path.split("/")
        content = CONTENT[name]
        first = self.server.asked.count(self.path) == 1
        self.close_connection = True
        match kind:
            case _ if kind.startswith("silent"):
                self.server.closing.wait()
            case "hangup":
                pass
            case "missing":
                self.send_error(404)
            case "failing":
                self.send_error(500)
            case "flaky" if body and first:
                self.send_error(500)
            case "page":
                self.send(HTML, len(HTML), body)
            case "wrong":
                self.send(content[:-1] + b"?", len(content), body)
            case "truncated":
                self.send(content[:1000], len(content), body)
            case "stalled":
                self.send(content[:1000], len(content), body)
                if body:
                    self.server.closing.wait()
            case "trickling" if body:
                self.send(b"", len(content), body)
                for start in range(0, len(content), 500):
                    self.wfile.write(content[start : start + 500])
                    time.sleep(0.02)
            case "endless" | "endless-chunks" if body:
                self.send_response(200)
                if kind == "endless-chunks":
                    self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                piece = b"x" * 0x10000 if kind == "endless" else b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
                self.send_without_end(kind, piece, 0)
            case "dripping" if body:
                self.send(b"", len(content), body)
                self.send_without_end(kind, content[:1], 0.05)
            case "dripping-header" if body:
                self.send_without_end(kind, b"H", 0.05)
            case "leisurely" if body:
                self.send(b"", len(content), body)
                for start in range(0, len(content), 500):
                    time.sleep(0.25)
                    self.wfile.write(content[start : start + 500])
            case "encoding":
                self.send(content, len(content), body, {"Content-Encoding": "gzip"})
            case "partial" if name.startswith("official"):
                self.send_error(404)
            case _:
                self.send(content, len(content), body)

    def send(self, content: bytes, length: int, body: bool, headers: Mapping[str, str] = {}) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def send_without_end(self, kind: str, piece: bytes, pause: float) -> None:
        with suppress(ConnectionError):
            while not self.server.closing.wait(pause):
                self.wfile.write(piece)
                self.server.sent[kind] += len(piece)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Mirrors)
        self.asked: list[str] = []
        self.sent = Counter[str]()  # bytes, by the kinds that would send without end
        self.closing = threading.Event()

    def url(self, kind: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{kind}/"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.closing.set()
        server.shutdown()


@pytest.fixture
def refusing() -> str:
    """A base URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.download, "PATIENCE", 2.0)
    monkeypatch.setattr(pipeline.download, "RETRIES", 0)


def dataset(*mirrors: str, fallback: bool = True, algorithm: str = "sha256") -> IdxDataset:
    files = {
        role: File(
            name=f"{role}.gz",
            hash=f"{algorithm}:{hashlib.new(algorithm, CONTENT[f'{role}.gz']).hexdigest()}",
            size=len(CONTENT[f"{role}.gz"]),
        )
        for role in ROLES
    }
    return IdxDataset(
        kind="idx",
        name="dots",
        title="Dots",
        mirrors=list(mirrors),
        files=Files(**files),
        classes=["few", "many"],
        fallback="strokes" if fallback else None,
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
        "files": {
            role: {"name": f"{role}.gz", "sha256": hashlib.sha256(CONTENT[f"{role}.gz"]).hexdigest()}
            for role in ROLES
        },
    }


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_good_mirror_gives_the_four_files(server: Server, tmp_path: Path, algorithm: str) -> None:
    download(dataset(server.url("good"), algorithm=algorithm), tmp_path, None)
    assert_whole(tmp_path)


def test_a_server_that_calls_gzip_an_encoding_is_a_good_mirror(server: Server, tmp_path: Path) -> None:
    download(dataset(server.url("encoding")), tmp_path, None)
    assert_whole(tmp_path)


def test_a_password_is_not_told(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = (server.url(kind).replace("//", "//me:secret@", 1) for kind in ("missing", "good"))
    download(dataset(bad, good), tmp_path, None)
    assert_whole(tmp_path)
    told = "".join(capsys.readouterr())
    assert "/missing/" in told
    assert "secret" not in told


def test_others_may_read_the_files_as_the_umask_says(server: Server, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    expected = (tmp_path / "plain").stat().st_mode
    download(dataset(server.url("good")), tmp_path / "raw", None)
    assert {path.stat().st_mode for path in (tmp_path / "raw").iterdir()} == {expected}


ANSWERING = ["missing", "failing", "page", "wrong", "truncated", "stalled"]
UNREACHABLE = ["silent", "hangup"]


@pytest.mark.parametrize("kind", [*ANSWERING, *UNREACHABLE])
def test_a_bad_mirror_is_named_and_the_next_one_tried(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    download(dataset(server.url(kind), server.url("good")), tmp_path, None)
    assert_whole(tmp_path)
    assert re.search(rf"^warning: .*/{kind}/", capsys.readouterr().err)


def test_a_server_that_fell_silent_is_asked_for_nothing_more(server: Server, tmp_path: Path) -> None:
    download(dataset(server.url("stalled"), server.url("good")), tmp_path, None)
    assert [path for path in server.asked if "stalled" in path] == ["/stalled/train_images.gz"]


@pytest.mark.parametrize("kind", ANSWERING)
def test_a_source_that_answers_badly_is_an_error_and_no_reason_to_fall_back(
    server: Server, tmp_path: Path, refusing: str, kind: str
) -> None:
    with pytest.raises(UserError, match=rf"^train_images\.gz .*/{kind}/.*DATA_MIRROR") as caught:
        download(dataset(server.url(kind), refusing), tmp_path, None)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "status"), [("missing", "404"), ("failing", "500")])
def test_a_status_is_told(server: Server, tmp_path: Path, kind: str, status: str) -> None:
    with pytest.raises(UserError, match=status):
        download(dataset(server.url(kind)), tmp_path, None)


def test_a_wrong_hash_is_told_with_the_right_one_and_the_source(server: Server, tmp_path: Path) -> None:
    content = CONTENT["train_images.gz"]
    right, wrong = (hashlib.sha256(data).hexdigest() for data in [content, content[:-1] + b"?"])
    with pytest.raises(UserError, match=rf"{re.escape(server.url('wrong'))}: .*{right}.*{wrong}"):
        download(dataset(server.url("wrong")), tmp_path, None)


def test_a_wrong_file_in_a_folder_is_an_error_too(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    for name in CONTENT:
        (tmp_path / "mirror" / name).write_bytes(HTML)
    with pytest.raises(UserError, match=hashlib.sha256(HTML).hexdigest()):
        download(dataset(), tmp_path / "raw", str(tmp_path / "mirror"))


def test_no_source_reached_and_no_fallback_is_an_error(server: Server, tmp_path: Path, refusing: str) -> None:
    mirrors = [server.url("silent"), server.url("hangup"), refusing, "http://no.such.host.invalid/"]
    with pytest.raises(UserError, match=r"no source can be reached .*no answer.*refused") as caught:
        download(dataset(*mirrors, fallback=False), tmp_path, str(tmp_path / "absent"))
    for source in [*mirrors, str(tmp_path / "absent")]:
        assert source in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_many_silent_servers_cost_no_more_patience_than_one(server: Server, tmp_path: Path) -> None:
    mirrors = [server.url(f"silent{number}") for number in range(8)]
    start = time.monotonic()
    with pytest.raises(UserError, match="no source can be reached"):
        download(dataset(*mirrors, fallback=False), tmp_path, None)
    assert time.monotonic() - start < len(mirrors) / 2 * pipeline.download.PATIENCE


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
    shapes = {
        role: read_idx(tmp_path / name, 3 if "images" in role else 1).shape
        for role, name in STROKES_FILES.items()
    }
    assert shapes == {
        "train_images": (60_000, 28, 28),
        "train_labels": (60_000,),
        "official_images": (10_000, 28, 28),
        "official_labels": (10_000,),
    }

    download(dataset(server.url("good")), tmp_path, None)  # online again
    assert_whole(tmp_path)


def test_strokes_can_be_asked_for_by_name(tmp_path: Path) -> None:
    for name in ["one", "two"]:
        download(StrokesDataset(train=30, official=20), tmp_path / name, None)
    labels = read_idx(tmp_path / "one" / STROKES_FILES["train_labels"], 1)
    images = read_idx(tmp_path / "one" / STROKES_FILES["official_images"], 3)
    assert labels.shape == (30,)
    assert images.shape == (20, 28, 28)
    assert np.all(images.max(axis=(1, 2)) > 100)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize("form", ["folder", "file URL", "URL", "URL without its last slash"])
def test_data_mirror_goes_before_the_mirrors(server: Server, tmp_path: Path, form: str) -> None:
    folder = tmp_path / "a mirror"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    mirror = {
        "folder": str(folder),
        "file URL": folder.as_uri(),
        "URL": server.url("good"),
        "URL without its last slash": server.url("good").rstrip("/"),
    }[form]
    download(dataset(server.url("failing")), tmp_path / "raw", mirror)
    assert_whole(tmp_path / "raw")
    assert not any("failing" in path for path in server.asked)


def test_mirrors_are_asked_in_order_for_what_is_missing(server: Server, tmp_path: Path) -> None:
    download(dataset(server.url("partial"), server.url("good"), server.url("other")), tmp_path, None)
    assert_whole(tmp_path)
    assert server.asked == [
        *(f"/partial/{role}.gz" for role in ROLES),
        "/good/official_images.gz",
        "/good/official_labels.gz",
    ]


def test_a_server_that_fails_once_is_asked_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.download, "RETRIES", 1)
    (tmp_path / "official_labels.gz").write_bytes(CONTENT["official_labels.gz"])
    (tmp_path / "official_images.gz").write_bytes(CONTENT["official_images.gz"])
    (tmp_path / "train_labels.gz").write_bytes(CONTENT["train_labels.gz"])
    download(dataset(server.url("flaky")), tmp_path, None)
    assert_whole(tmp_path)
    assert server.asked == ["/flaky/train_images.gz"] * 2


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
    asked = asdict(dataset(server.url("stalled")))
    write_params_with(tmp_path, asked)
    process = start_module(tmp_path, "pipeline.download")
    wait_for(lambda: raw.exists() and any(raw.rglob("tmp*")))
    process.kill()
    process.communicate()
    assert list(raw.iterdir())
    (raw / ".partial-0123abcd.json").touch()
    download(dataset(server.url("good")), raw, None)
    assert_whole(raw)


@pytest.mark.parametrize("kind", ["endless", "endless-chunks", "dripping", "dripping-header"])
def test_what_a_server_sends_is_bounded_in_size_and_time(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    begin = time.monotonic()
    download(dataset(server.url(kind), server.url("good")), tmp_path, None)
    assert time.monotonic() - begin < 5 * pipeline.download.PATIENCE
    assert_whole(tmp_path)
    told = capsys.readouterr().err
    assert ("it sends less than 20 kB a second" if "dripping" in kind else "it goes on after 30") in told
    assert server.sent[kind] < 100_000_000


def test_a_slow_server_is_waited_for_while_it_keeps_the_least_rate(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its patience is for the whole file, but what arrives adds to it."""
    monkeypatch.setattr(pipeline.download, "PATIENCE", 1.0)
    monkeypatch.setattr(pipeline.download, "MIN_BYTES_PER_S", 1000)
    monkeypatch.setattr(pipeline.download, "PIECE_BYTES", 500)
    download(dataset(server.url("leisurely")), tmp_path, None)
    assert_whole(tmp_path)


@pytest.mark.parametrize("kind", ["device", "pipe", "socket", "larger"])
def test_what_is_no_file_of_that_size_is_not_copied_from_a_folder(tmp_path: Path, kind: str) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    path = mirror / "train_images.gz"
    with socket.socket(socket.AF_UNIX) as unix:
        match kind:
            case "device":
                path.symlink_to("/dev/zero")
            case "pipe":
                os.mkfifo(path)
            case "socket":
                unix.bind(str(path))
            case "larger":
                with path.open("wb") as file:
                    file.truncate(10**12)
        told = "it goes on after" if kind == "larger" else "a pipe, a socket or a device"
        with pytest.raises(UserError, match=rf"^train_images\.gz is not to be had: .*{told}"):
            download(dataset(), tmp_path / "raw", str(mirror))
    assert not list((tmp_path / "raw").iterdir())


def test_a_full_disk_is_no_fault_of_the_source(tmp_path: Path) -> None:
    mirror, raw = tmp_path / "mirror", tmp_path / "raw"
    mirror.mkdir()
    for name, content in CONTENT.items():
        (mirror / name).write_bytes(content)
    with (
        little_room(1000),
        pytest.raises(UserError, match=r"^train_images\.gz cannot be written .*make room"),
    ):
        download(dataset(), raw, str(mirror))
    assert not list(raw.iterdir())
    download(dataset(), raw, str(mirror))
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
    with pytest.raises(UserError, match="s3://bucket/ is no mirror") as caught:
        download(dataset("s3://me:secret@bucket/"), tmp_path, None)
    assert "secret" not in str(caught.value)
    with pytest.raises(UserError, match=r"http://\[bad is no mirror \(Invalid IPv6 URL\)"):
        download(dataset(), tmp_path, "http://[bad")


def run_stage(folder: Path, asked: dict[str, object], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the stage as DVC does, in a `folder` with a `params.yaml` that asks for the dataset given."""
    write_params_with(folder, asked)
    return run_module(folder, "pipeline.download", **environment)


def write_params_with(folder: Path, asked: dict[str, object]) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")) | {"dataset": asked}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def test_the_stage_reads_params_and_writes_data_raw(tmp_path: Path) -> None:
    asked = {"kind": "strokes", "name": "strokes", "title": "S", "train": 5, "official": 3}
    done = run_stage(tmp_path, {**asked, "classes": list("0123456789")})
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "data/raw/dataset.json").read_text())["title"] == "S"


def test_the_stage_ends_in_one_line_where_a_file_is_not_to_be_had(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    asked = yaml.safe_load((ROOT / "conf/dataset/mnist.yaml").read_text(encoding="utf-8"))
    done = run_stage(tmp_path, asked | {"mirrors": []}, DATA_MIRROR="empty")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: train-images-idx3-ubyte.gz is not to be had")
    assert "Traceback" not in done.stderr


def test_the_stage_ends_in_one_line_where_a_mirror_has_an_odd_host(tmp_path: Path) -> None:
    asked = yaml.safe_load((ROOT / "conf/dataset/mnist.yaml").read_text(encoding="utf-8"))
    done = run_stage(tmp_path, asked | {"mirrors": [], "fallback": None}, DATA_MIRROR="http://odd..host/")
    assert done.returncode == 1
    told = (
        "error: MNIST: no source can be reached (http://odd..host/: Failed to parse: 'odd..host', label empty"
    )
    assert done.stderr.splitlines()[-1].startswith(told)
    assert "Traceback" not in done.stderr
