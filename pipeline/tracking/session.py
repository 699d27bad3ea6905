"""A process's session with the tracking store: what it looks up and makes there, whatever run it is for."""

import getpass
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import Metric

from pipeline.runs.journal import KILLED
from pipeline.support.errors import UserError, public
from pipeline.support.git import describe_commit
from pipeline.tracking.page import TAGS
from pipeline.tracking.store import address, artifact_root, database, find_experiment, open_store

RUNS_A_CALL = 50_000  # what MLflow's tracking API returns at most


class Session:
    """A session with the tracking store, in which runs are recorded.

    Args:
        root: the folder of the project, or of the copy of it in which the stage works.

    Attributes:
        client: MLflow's client.
        root: as given.
        warnings: what the user has to know of what was recorded.
    """

    def __init__(self, root: Path) -> None:
        self.client = open_store()
        self.root = root
        self.warnings: set[str] = set()

    def search(self, condition: str) -> Sequence[Any]:
        """Return the runs of all experiments for which `condition` holds, the newest first."""
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        return self.client.search_runs(experiments, condition, max_results=RUNS_A_CALL)

    def end_running(self, tokens: Iterable[str]) -> None:
        """End the runs of the trainings `tokens` that are over, where a killed process left them running."""
        for token in tokens:
            for run in self.search(f"tags.tracker = '{token}' and attributes.status = 'RUNNING'"):
                self.client.set_terminated(run.info.run_id, KILLED)

    def experiment(self, title: str) -> str:
        """Return the id of the MLflow experiment of that name, which is made where there is none.

        Raises:
            UserError: if it was deleted.
            MlflowException: if another process makes it at this very moment.
        """
        if experiment := find_experiment(self.client, title):
            return experiment.experiment_id
        path = database()
        return self.client.create_experiment(title, artifact_root(path).as_uri() if path else None, TAGS)

    @cached_property
    def origin(self) -> dict[str, str]:
        """The tags that say where a run comes from: the commit, the user and DVC's experiment."""
        tags = {"mlflow.source.type": "LOCAL"}
        try:
            commit = describe_commit(self.root)
            tags |= {f"git.{key}": value for key, value in commit.items()}
            tags |= {"mlflow.source.git.commit": commit["commit"]} if commit else {}
        except UserError as error:
            self.warnings.add(str(error))
        with suppress(KeyError, OSError):
            tags["mlflow.user"] = getpass.getuser()
        if experiment := os.environ.get("DVC_EXP_NAME"):
            tags["dvc.experiment"] = experiment
        return tags

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Log the final values of `metrics`, without those that the run has already.

        NaN stands for no value: it is logged only where the run has one.
        """
        known = self.client.get_run(run_id).data.metrics
        now = time.time_ns() // 1_000_000
        new = [
            Metric(key, value, now, 0)
            for key, value in metrics.items()
            if not np.array_equal(value, known.get(key, np.nan), equal_nan=True)
        ]
        self.client.log_batch(run_id, metrics=new)

    def where(self, run_id: str) -> str:
        """Say where the run can be seen."""
        info = self.client.get_run(run_id).info
        if address().startswith("http"):
            page = f"{public(address())}/#/experiments/{info.experiment_id}/runs/{run_id}"
            return f"{info.run_name}: {page}"
        experiment = self.client.get_experiment(info.experiment_id).name
        return f"{info.run_name}, in the experiment {experiment} (`make ui` shows it)"
