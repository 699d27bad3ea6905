"""Where runs are kept: addresses that are none, servers that fail, fresh databases, and the commit."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.runs.run import Run
from pipeline.support.errors import public
from pipeline.tracking import MirrorProcess
from tests.commands import ROOT, run_module, wait_for
from tests.stores import client, configuration, failing_server, runs


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (
            "http://me:secret@127.0.0.1:9",
            "MLFLOW_TRACKING_URI: nothing answers at http://127.0.0.1:9: start the server\n",
        ),
        (
            "http://me:secret@odd..host",
            "MLFLOW_TRACKING_URI: nothing answers at http://odd..host: start the server\n",
        ),
        ("postgresql://me:secret@host:port/name", "the tracking store postgresql://host:port/name: "),
        ("mysql://me:secret@host/name", "the tracking store mysql://host/name: install the driver "),
        ("sqlite:///none/mlflow.db", "the tracking store sqlite:///none/mlflow.db: a database is a file in "),
    ],
)
def test_an_address_at_which_there_is_no_store_is_told_of_in_one_line(
    tmp_path: Path, address: str, told: str
) -> None:
    done = run_module(tmp_path, "pipeline.tracking.page", MLFLOW_TRACKING_URI=address)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {told}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("page", "told"),
    [(None, "too many 500 error responses"), ('{"experiment": 5, "runs": "other"}', "")],
    ids=["a server that fails", "a server of something else"],
)
def test_a_server_that_answers_badly_is_told_of_in_one_line_without_its_password(
    tmp_path: Path, page: str | None, told: str
) -> None:
    with failing_server(stalls=False, page=page) as (address, _):
        environment = {"MLFLOW_TRACKING_URI": address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        done = run_module(tmp_path, "pipeline.promote", "MNIST", **environment)
    assert done.returncode == 1
    [error] = done.stderr.splitlines()
    assert error.startswith(f"error: the tracking store {address.replace('user:secret@', '')}: {told}")
    assert "other" not in error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host/a and http://me@host", "https://host/a and http://host"),
        ("postgresql://me:se/cr@et@host:5432/runs", "postgresql://host:5432/runs"),
        ("http://host:5000/models@champion", "http://host:5000/models@champion"),
        ("https://host/package@1.0/", "https://host/package@1.0/"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
    ],
)
def test_addresses_are_shown_without_passwords(text: str, shown: str) -> None:
    assert public(text) == shown


CREATION = [sys.executable, "-c", "from pipeline.tracking.store import open_store; open_store()"]


@pytest.mark.stress
def test_a_kill_while_the_store_is_created_spoils_nothing(project: Path) -> None:
    Path("mlflow.db").unlink()

    def half_done() -> bool:
        with suppress(FileNotFoundError):  # a journal comes and goes
            return any(file.stat().st_size > 500_000 for file in Path().glob("mlflow.db*"))
        return False

    with subprocess.Popen(CREATION, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        wait_for(half_done)
        process.kill()
    with MirrorProcess(Run(), configuration(), "evaluate"):
        pass
    assert len(runs(client(project))) == 1
    assert {file.name for file in Path().glob("mlflow.db*")} == {"mlflow.db", "mlflow.db.lock"}


AS_ON_WINDOWS = """
import os
from pathlib import Path

from pipeline.tracking.store import open_store


def refusing(act):
    def refuse(self, *arguments, **options):
        opened = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
        if str(self.absolute()) in opened:
            raise PermissionError(13, "it is open", str(self))
        return act(self, *arguments, **options)

    return refuse


Path.replace = refusing(Path.replace)
open_store()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which files are open")
def test_a_store_is_made_where_no_open_file_can_be_renamed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS],
        cwd=tmp_path.resolve(),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_new_store_whose_address_has_options(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mlflow.db").unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db?timeout=60")
    with MirrorProcess(Run(), configuration(), "evaluate"):
        pass
    assert len(runs(client(project))) == 1
