"""A real HTTP server on loopback, each of whose folders is a mirror of another kind, good or bad."""

import gzip
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROLES = ["train_images", "train_labels", "official_images", "official_labels"]
PLAIN = {role: os.urandom(3000) for role in ROLES}
CONTENT = {f"{role}.gz": gzip.compress(content, mtime=0) for role, content in PLAIN.items()}
HTML = b"<!DOCTYPE html><title>Not what you want</title>"


class Mirrors(BaseHTTPRequestHandler):
    """A server whose folders are mirrors of these kinds."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        _, kind, name = self.path.split("/")
        content = (CONTENT | PLAIN)[name]
        match kind:
            case "silent":
                self.server.closing.wait()
            case "hangup":
                pass
            case "missing":
                self.send_error(404)
            case "plain" if name.endswith(".gz"):
                self.send_error(404)
            case "bomb":
                packed = gzip.compress(bytes(10_000_000))
                self.send(packed, len(packed))
            case "failing":
                self.send_error(500)
            case "flaky" if self.server.asked.count(self.path) == 1:
                self.send_error(500)
            case "partial" if name.startswith("official"):
                self.send_error(404)
            case "page":
                self.send(HTML, len(HTML))
            case "wrong":
                self.send(content[:-1] + b"?", len(content))
            case "truncated":
                self.send(content[:1000], len(content))
            case "stalled":
                self.send(content[:1000], len(content))
                self.server.closing.wait()
            case "trickling":
                self.send_slowly(content, pause=0.02)
            case "leisurely":
                self.send_slowly(content, pause=0.25)
            case "endless":
                self.send_without_end(b"x" * 0x10000, pause=0)
            case "dripping":
                self.send_without_end(b"x", pause=0.05)
            case "encoding":
                self.send(content, len(content), "gzip")
            case _:
                self.send(content, len(content))

    def send(self, content: bytes, length: int | None, encoding: str | None = None) -> None:
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.end_headers()
        self.wfile.write(content)

    def send_slowly(self, content: bytes, pause: float) -> None:
        self.send(b"", len(content))
        for start in range(0, len(content), 500):
            time.sleep(pause)
            self.wfile.write(content[start : start + 500])

    def send_without_end(self, piece: bytes, pause: float) -> None:
        self.send(b"", None)
        with suppress(ConnectionError):
            while not self.server.closing.wait(pause):
                self.wfile.write(piece)
                self.server.sent[self.path] += len(piece)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Mirrors)
        self.asked: list[str] = []
        self.sent = Counter[str]()  # bytes, of what has no end
        self.closing = threading.Event()

    def url(self, kind: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{kind}/"


@contextmanager
def serving() -> Iterator[Server]:
    """A server that answers within the block."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.closing.set()
        server.shutdown()
