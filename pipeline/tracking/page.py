"""MLflow's page: `python -m pipeline.tracking.page` prints the addresses of the runs, and serves it.

MLflow's page opens on GenAI, where the table of runs has no params and no metrics, and no setting of the
server changes that. But an address can ask for training, and for a view that is kept among the tags of an
experiment. So each experiment has a view with the columns that matter.
"""

from pipeline.support.program import program

import json
import os
import socket

from pipeline.support.errors import UserError, public, warn
from pipeline.tracking.store import address, check_server, one_line_on_failures, open_store

HOST, PORT = "127.0.0.1", 5000  # as `mlflow ui` has them

METRICS = ("validation_accuracy", "test_accuracy", "train_accuracy")
PARAMS = (
    "model.hidden",
    "model.activation",
    "optimizer.name",
    "optimizer.learning_rate",
    "training.epochs",
    "seed",
)
NAME = "attributes.`Run Name`"
VIEW = {
    "selectedColumns": [*(f"metrics.`{key}`" for key in METRICS), *(f"params.`{key}`" for key in PARAMS)],
    "columnOrder": [NAME],
    "columnWidths": {NAME: 280},
}
TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.sharedViewState.results": json.dumps(
        {"name": "Results", "createdAt": 0, "updatedAt": 0, "state": json.dumps(VIEW)}
    ),
}


def main() -> None:
    """Print the address of each experiment's table of runs, and serve the page where no server does."""
    check_server()
    with one_line_on_failures():
        experiments = open_store().search_experiments()
    shown = [experiment for experiment in experiments if TAGS.keys() <= experiment.tags.keys()]
    if not shown:
        print("There are no runs yet: `make repro` makes the first.")
        return
    served = address().startswith("http")
    host, port = ("", 0) if served else choose_port()
    server = public(address()).rstrip("/") if served else f"http://{reachable(host)}:{port}"
    asked = "workflowType=machine_learning&viewStateShareKey=results"
    for experiment in shown:
        print(
            f"{experiment.name}: {server}/#/experiments/{experiment.experiment_id}/runs?{asked}", flush=True
        )
    if not served:
        serve(host, port)


def choose_port() -> tuple[str, int]:
    """Return the host and port of `MLFLOW_HOST` and `MLFLOW_PORT`, or a free port if that one is taken.

    Raises:
        UserError: if `MLFLOW_PORT` is no port.
    """
    host, given = os.environ.get("MLFLOW_HOST") or HOST, os.environ.get("MLFLOW_PORT") or str(PORT)
    if not given.isdecimal() or not 0 < int(given) < 2**16:
        raise UserError(f"MLFLOW_PORT = {given}: should be a number from 1 to 65535")
    try:
        socket.create_connection((reachable(host), int(given)), timeout=1).close()
    except OSError:  # nothing listens there
        return host, int(given)
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    warn(f"port {given} is taken by another program: MLflow takes {port}")
    return host, port


def reachable(host: str) -> str:
    """Return the name by which what listens at `host` is reached from this machine."""
    return "127.0.0.1" if host == "0.0.0.0" else host


def serve(host: str, port: int) -> None:
    """Serve the page, as `mlflow ui` does, until the user ends it."""
    from mlflow.cli import cli

    os.environ["MLFLOW_BACKEND_STORE_URI"] = address()  # not an argument: it may hold a password
    cli(["ui", "--host", host, "--port", str(port)])


if __name__ == "__main__":
    with program(__doc__):
        main()
