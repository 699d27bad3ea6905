"""MLflow's page: `python -m pipeline.tracking.page` prints the addresses of the runs, and serves it.

MLflow's page opens on GenAI, where the table of runs has no params and no metrics, and no setting of the
server changes that. But an address can ask for training, and for a view that is kept among the tags of an
experiment. So each experiment has a view with the columns that matter.
"""

from pipeline.support.program import program

import json
import os
import socket

from pipeline.support.errors import public, warn
from pipeline.tracking.store import address, one_line_on_failures, open_store

METRICS = (
    *("validation_accuracy", "test_accuracy", "train_accuracy"),  # of a classification
    *("validation_rmse", "test_rmse", "train_rmse"),  # of a regression
)
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
    with one_line_on_failures():
        experiments = open_store().search_experiments()
    shown = [experiment for experiment in experiments if TAGS.keys() <= experiment.tags.keys()]
    if not shown:
        print("There are no runs yet: `make repro` makes the first.")
        return
    served = address().startswith("http")
    host = os.environ.get("MLFLOW_HOST") or "127.0.0.1"
    port = "" if served else choose_port(host, os.environ.get("MLFLOW_PORT") or "5000")
    server = public(address()).rstrip("/") if served else f"http://{host}:{port}"
    asked = "workflowType=machine_learning&viewStateShareKey=results"
    for experiment in shown:
        print(
            f"{experiment.name}: {server}/#/experiments/{experiment.experiment_id}/runs?{asked}", flush=True
        )
    if not served:
        from mlflow.cli import cli

        os.environ["MLFLOW_BACKEND_STORE_URI"] = address()  # not an argument: it may hold a password
        cli(["ui", "--host", host, "--port", port])


def choose_port(host: str, wanted: str) -> str:
    """Return the port `wanted`, or a free one if another program listens there."""
    try:
        socket.create_connection((host, wanted), timeout=1).close()
    except OSError:
        return wanted
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    warn(f"port {wanted} is taken by another program: MLflow takes {port}")
    return str(port)


if __name__ == "__main__":
    with program(__doc__):
        main()
