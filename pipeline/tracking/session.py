"""A process's session with the tracking store: what it looks up and makes there, whatever run it is for."""

import getpass
import hashlib
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from pipeline.support.errors import UserError, public
from pipeline.support.git import describe_commit
from pipeline.tracking.page import TAGS
from pipeline.tracking.store import (
    address,
    artifact_root,
    database,
    find_experiment,
    open_store,
)

OWNERS = Path(".cache/tracking")
RUNS_A_CALL = 50_000  # what MLflow's tracking API returns at most


class Session:
    """A session with the tracking store, in which runs are recorded.

    A process that records runs holds a lock on a file, whose name is its runs' tag `owner`. The lock falls
    with the process, whatever ends it. So a later session sees which running runs nobody will end, and ends
    them as KILLED.

    Args:
        root: the folder of the project, or of the copy of it in which the stage works.

    Attributes:
        client: MLflow's client.
        root: as given.
        owner: the name under which this session records.
        warnings: what the user has to know of what was recorded.
        completed_s: when a run was last completed, by the monotonic clock.
    """

    def __init__(self, root: Path) -> None:
        self.client = open_store()
        self.root = root
        self.warnings: set[str] = set()
        self.completed_s = 0.0
        OWNERS.mkdir(parents=True, exist_ok=True)
        store = hashlib.sha256(address().encode()).hexdigest()[:16]
        self._end_abandoned_runs(store)
        self.owner = f"{store}-{uuid.uuid4().hex}"
        self._lock = FileLock(OWNERS / self.owner)
        self._lock.acquire()

    def close(self) -> None:
        """End the session, all of whose runs have ended."""
        remove_locked(self._lock)
        self._lock.release()

    def search(self, condition: str) -> Sequence[Any]:
        """Return the runs of all experiments for which `condition` holds, the newest first.

        Runs whose files are not where those of a new run would be are left out: this database is a copy, and
        the files are the original's.
        """
        roots = {each.experiment_id: each.artifact_location for each in self.client.search_experiments()}
        found = self.client.search_runs(
            list(roots), condition, max_results=RUNS_A_CALL, order_by=["attributes.start_time DESC"]
        )
        return [
            run
            for run in found
            if run.info.artifact_uri.startswith(roots[run.info.experiment_id].partition("?")[0])
        ]

    def experiment(self, title: str) -> str:
        """Return the id of the MLflow experiment of that name, which is made where there is none.

        Raises:
            UserError: if it was deleted.
        """
        experiment = find_experiment(self.client, title)
        if not experiment:
            path = database()
            location = artifact_root(path).as_uri() if path else None
            with suppress(MlflowException):  # another process may create it at this very moment
                return self.client.create_experiment(title, location, TAGS)
            experiment = self.client.get_experiment_by_name(title)
            if not experiment:
                raise MlflowException(f"the experiment {title} cannot be created")
        for key in TAGS.keys() - experiment.tags.keys():
            self.client.set_experiment_tag(experiment.experiment_id, key, TAGS[key])
        return experiment.experiment_id

    @cached_property
    def origin(self) -> dict[str, str]:
        """The tags that say where a run comes from: its owner, the commit, the user and DVC's experiment."""
        tags = {"owner": self.owner, "mlflow.source.type": "LOCAL"}
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
        """Log the final values of `metrics`, without those that the run has already."""
        known = self.client.get_run(run_id).data.metrics
        now = time.time_ns() // 1_000_000
        new = [Metric(key, value, now, 0) for key, value in metrics.items() if known.get(key) != value]
        self.client.log_batch(run_id, metrics=new)

    def end(self, run_id: str, status: str, time_ms: int | None = None) -> None:
        """End a run."""
        self.client.set_terminated(run_id, status, time_ms)
        self.completed_s = time.monotonic()

    def where(self, run_id: str) -> str:
        """Say where the run can be seen."""
        info = self.client.get_run(run_id).info
        if address().startswith("http"):
            page = f"{public(address())}/#/experiments/{info.experiment_id}/runs/{run_id}"
            return f"{info.run_name}: {page}"
        experiment = self.client.get_experiment(info.experiment_id).name
        return f"{info.run_name}, in the experiment {experiment} (`make ui` shows it)"

    def _end_abandoned_runs(self, store: str) -> None:
        """End the running runs of sessions with the `store` whose processes are gone."""
        for path in OWNERS.glob(f"{store}-*"):
            lock = FileLock(path)
            with suppress(Timeout), lock.acquire(timeout=0):
                for run in self.search(f"tags.owner = '{path.name}' and attributes.status = 'RUNNING'"):
                    self.client.set_terminated(run.info.run_id, "KILLED")
                remove_locked(lock)


def remove_locked(lock: FileLock) -> None:
    """Remove the file of a lock that is held, so that nobody waits for the lock of a file that is gone.

    Windows removes no file that is open. There the lock removes it itself once it is released.
    """
    with suppress(PermissionError):
        Path(lock.lock_file).unlink(missing_ok=True)
