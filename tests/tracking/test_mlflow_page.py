"""`python -m pipeline.tracking.page`, which serves MLflow's page and says where on it the runs are."""

import os
import signal
import socket
from pathlib import Path

import pytest

from pipeline.support.errors import UserError
from pipeline.tracking.page import choose_port, reachable
from tests.commands import run_module, start_module, wait_for
from tests.stores import answers, configuration, mirror


@pytest.mark.stress
def test_where_nothing_is_recorded_the_page_says_what_records(project: Path) -> None:
    done = run_module(project, "pipeline.tracking.page")
    assert done.stdout == "There are no runs yet: `make repro` makes the first.\n", done.stderr


@pytest.mark.parametrize(
    ("host", "listening", "reached"),
    [
        (None, "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0", "127.0.0.1"),
    ],
)
def test_the_page_takes_a_free_port_where_another_program_has_the_one_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    host: str | None,
    listening: str,
    reached: str,
) -> None:
    monkeypatch.delenv("MLFLOW_HOST", raising=False)
    if host:
        monkeypatch.setenv("MLFLOW_HOST", host)
    with socket.create_server((listening, 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("MLFLOW_PORT", str(port))
        chosen = choose_port()
    assert chosen != (host or "127.0.0.1", port)
    assert capsys.readouterr().err == f"port {port} is taken by another program: MLflow takes {chosen[1]}\n"
    assert choose_port() == (host or "127.0.0.1", port)
    assert reachable(chosen[0]) == reached


@pytest.mark.parametrize("port", ["http", "0", "65536"])
def test_a_port_that_is_none_is_told_of_in_one_line(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("MLFLOW_PORT", port)
    with pytest.raises(UserError, match=f"MLFLOW_PORT = {port}: should be a number from 1 to 65535"):
        choose_port()


@pytest.mark.stress
def test_the_page_is_served_at_the_address_that_is_printed(project: Path, store: object) -> None:
    mirror("record", configuration())
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        page = start_module(
            project, "pipeline.tracking.page", MLFLOW_PORT=port, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"
        )
        try:
            assert page.stdout
            name, _, printed = page.stdout.readline().partition(": ")
            server, _, _ = printed.partition("/#/experiments/1/runs?")
            assert name == "MNIST"
            assert not server.endswith(f":{port}")
            wait_for(lambda: answers(f"{server}/health"))
            assert answers(f"{server}/api/2.0/mlflow/experiments/get-by-name?experiment_name=MNIST")
        finally:
            os.killpg(page.pid, signal.SIGKILL)
            page.communicate()
