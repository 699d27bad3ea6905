"""What MLflow's page shows of our runs, and where: `python -m pipeline.tracking.page` prints the addresses.

The page opens on GenAI, its table of runs without params and metrics, and no setting of the server changes
that. But an address can ask for training, and for one of the views that are kept among an experiment's tags:
so each experiment has one with the columns that matter.
"""

import json

from pipeline.errors import one_line_errors, public
from pipeline.tracking.store import address, check_server, one_line_on_failures, open_store

LOCAL = "http://127.0.0.1:5000"  # where `mlflow ui` serves the page

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
    """Print the address of each experiment's table of runs."""
    check_server()
    with one_line_on_failures():
        experiments = open_store().search_experiments()
    server = public(address()).rstrip("/") if address().startswith("http") else LOCAL
    asked = "workflowType=machine_learning&viewStateShareKey=results"
    pages = [
        f"{experiment.name}: {server}/#/experiments/{experiment.experiment_id}/runs?{asked}"
        for experiment in experiments
        if TAGS.keys() <= experiment.tags.keys()
    ]
    print("\n".join(pages) or "There are no runs yet: `make repro` makes the first.")


if __name__ == "__main__":
    with one_line_errors():
        main()
