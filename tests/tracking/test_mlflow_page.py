"""`python -m pipeline.tracking.page`, which serves MLflow's page and says where on it the runs are."""

import os
import signal
import socket
from pathlib import Path

import pytest

from pipeline.tracking.page import choose_port
from tests.commands import run_module, start_module, wait_for
from tests.stores import answers, configuration, mirror


@pytest.mark.stress
def test_where_nothing_is_recorded_the_page_says_what_records(project: Path) -> None:
    done = run_module(project, "pipeline.tracking.page")
    assert done.stdout == "There are no runs yet: `make repro` makes the first.\n", done.stderr


def test_the_page_takes_a_free_port_where_another_program_has_the_one_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        chosen = choose_port("127.0.0.1", taken)
    assert chosen != taken
    assert capsys.readouterr().err == f"port {taken} is taken by another program: MLflow takes {chosen}\n"
    assert choose_port("127.0.0.1", taken) == taken


@pytest.mark.stress
def test_the_page_is_served_at_the_address_that_is_printed(project: Path, store: object) -> None:
    mirror("evaluate", configuration())
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
