"""Places where MLflow keeps runs: databases, servers, and servers that fail; and what is recorded there."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import url2pathname, urlopen

from pipeline.config.reading import read_params
from pipeline.config.schema import Config, parse
from tests.commands import PATIENCE, ROOT, wait_for

EPOCHS = 3  # of `configuration`


def configuration(enabled: bool = True, patience: float = PATIENCE, **changes: Any) -> Config:
    """Return the configuration of a small training on the data of the fixture `project`."""
    values = asdict(read_params(ROOT / "params.yaml"))
    values["split"] = {"train": 60, "test": 20}
    values["model"]["hidden"] = [8]
    values["training"]["epochs"] = EPOCHS
    values["tracking"] = {"enabled": enabled, "patience": patience}
    return parse({**values, **changes}, "test")


def mirror(what: str, config: Config, folder: str = ".", **result: Any) -> list[dict[str, str]]:
    """Do what the child process of a stage in this folder does once the stage has ended well.

    It is done in this process, which takes a tenth of the time. Return what the child would report.
    """
    from pipeline.tracking.child import work

    reports: list[dict[str, str]] = []
    over = Event()
    over.set()
    task = {"what": what, "folders": [folder], "config": asdict(config), "known": []}
    stage: Any = SimpleNamespace(task=task, over=over, result=result)
    with address_of_this_process():
        work(stage, lambda **values: reports.append(values))
    return reports


@contextmanager
def address_of_this_process() -> Iterator[None]:
    """Leave the tracking address as it was: MLflow keeps in the environment what a session sets."""
    import mlflow

    address = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # which unsets it
        if address:
            os.environ["MLFLOW_TRACKING_URI"] = address


def local_path(uri: str) -> Path:
    """Return the file or folder at a `file:` URI."""
    return Path(url2pathname(urlsplit(uri).path))


def runs(store: Any, view: int = 1) -> list[Any]:
    """Return all runs in `store`, the newest first, without the deleted ones; only those with `view` = 2."""
    experiments = [experiment.experiment_id for experiment in store.search_experiments()]
    return list(store.search_runs(experiments, run_view_type=view))


def client(folder: Path) -> Any:
    """Return MLflow's client for the store in `folder`."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(address: str) -> bool:
    """Return whether there is an answer at `address`, and a good one."""
    try:
        with urlopen(address, timeout=5):
            return True
    except (URLError, OSError):
        return False


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[None]:
    """Run an MLflow server on the store in `folder`, and kill it in the end."""
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
         "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
         "--artifacts-destination", str(folder / "mlartifacts")],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # else it starts seven more
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"))
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


class Failing(BaseHTTPRequestHandler):
    """Answers 500 at once, or with a page that no MLflow server has, or nothing at all."""

    stalls: bool
    page: str | None
    asked: Event
    over: Event

    def do_GET(self) -> None:
        self.asked.set()
        if self.stalls:
            self.over.wait()
        elif self.page is not None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.page.encode())
        else:
            self.send_error(500)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def failing_server(stalls: bool, page: str | None = None) -> Iterator[tuple[str, Event]]:
    asked, over = Event(), Event()
    handler = type("Handler", (Failing,), {"stalls": stalls, "page": page, "asked": asked, "over": over})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://user:secret@127.0.0.1:{server.server_port}", asked
    finally:
        over.set()
        server.shutdown()
        server.server_close()
