"""What MLflow has of a training or a sweep is brought up to what its folder holds.

All that is done here may be done again at any time, by the same process, by a later stage or by another
command: what is in the folder and not yet in the store goes there, and the rest is left alone. So an attempt
that fails halfway, or whose answer is lost, is simply made again.
"""

import hashlib
import json
import os
import textwrap
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

from pipeline.config.reading import dump
from pipeline.config.schema import flatten, ingredients
from pipeline.runs.history import read_history
from pipeline.runs.journal import FAILED, FINISHED, KILLED, Record, read_journal
from pipeline.runs.run import Run
from pipeline.support.files import sha256
from pipeline.tracking.dataset import DataSource, describe_data
from pipeline.tracking.model import log_model
from pipeline.tracking.session import Session

METRICS_A_CALL = 1000  # what MLflow's tracking API takes at most


class RunMirror:
    """One training in MLflow.

    Its run has the journal's token as its tag `tracker`. A model by one configuration has one run: where it
    has been trained before, the run that ended first stays. Jobs of sweeps have a run each all the same.

    Args:
        session: with the store.
        run: the training's folder.
        counts: whether a journal with this token is of the training that is meant; the folder may hold the
            journal of an earlier one.
        parent: the run of the sweep that this is a job of.

    Attributes:
        run_id: MLflow's run; empty until it is there.
        ended: whether it is complete.
    """

    def __init__(
        self, session: Session, run: Run, counts: Callable[[str], bool] = lambda token: True, parent: str = ""
    ) -> None:
        self.session = session
        self.client = session.client
        self.run = run
        self.counts = counts
        self.parent = parent
        self.run_id = ""
        self.ended = False
        self._source: DataSource | None = None
        self._described = False
        self._logged = 0  # epochs
        self._of_files: Record | None = None

    def update(self, over: bool) -> None:
        """Log what the journal says; `over` says that nobody is at work on the training any more."""
        record = None if self.ended else read_journal(self.run)
        if record and self.counts(record.header["token"]):
            self._mirror(record, over)

    def complete(self, config: Mapping[str, Any]) -> None:
        """Have a complete run of the model in the folder, which was trained by `config`, nested."""
        record = read_journal(self.run)
        if not (record and record.holds_for(self.run)):  # the model comes from DVC's cache, say
            self._of_files = record = self._of_files or record_of_files(self.run, config)
        self._mirror(record, over=True)

    def log_evaluation(self) -> None:
        """Log what was measured after training, and the files it comes from.

        The accuracies that the history has are there already, as curves.
        """
        metrics = json.loads(self.run.metrics.read_text(encoding="utf-8"))
        accuracies = {f"{part}_accuracy": values["accuracy"] for part, values in metrics.items()}
        curves = read_history(self.run.history)[-1].keys()
        self.session.log_metrics(self.run_id, {key: accuracies[key] for key in accuracies.keys() - curves})
        for path in (self.run.metrics, self.run.classes, self.run.predictions):
            self.client.log_artifact(self.run_id, str(path))

    def log_figures(self) -> None:
        """Log the figures."""
        self.client.log_artifacts(self.run_id, str(self.run.figures), "figures")

    def _mirror(self, record: Record, over: bool) -> None:
        status = record.status or (KILLED if over else "")
        if self.ended or (status == FINISHED and not record.holds_for(self.run)):
            return
        if not self.run_id:
            for run in self.session.search(f"tags.tracker = '{record.header['token']}'"):
                if run.info.status == status:
                    self._stay_with(run)
                    return
                self.run_id = run.info.run_id
        source = self._source or describe_data(record.header["config"], self.session.root)
        self._source = source
        if status == FINISHED and self._keep_first(record, source):
            return
        if not self._described:
            self._describe(record, source)
        self._log_epochs(record)
        if status == FINISHED:
            self.client.log_artifact(self.run_id, str(self.run.history))
            log_model(self.client, self.run_id, self.run.model, source)
            self.client.set_tag(self.run_id, "model_sha256", sha256(self.run.model))
        elif status == FAILED:
            self.client.set_tag(self.run_id, "failure", textwrap.shorten(record.reason, 1000))
        if status:
            self.session.end(self.run_id, status, record.ended_ms)
            self.ended = True
        if status == FINISHED:
            self._keep_first(record, source)

    def _describe(self, record: Record, source: DataSource) -> None:
        """Have a run with the training's params and dataset."""
        header, config = record.header, record.header["config"]
        if not self.run_id:
            tags = {
                **self.session.origin,
                **source.tags,
                "tracker": header["token"],
                "recipe": recipe(config, source),
                "mlflow.source.name": header["source"],
            }
            if self.parent:
                tags |= {"job": header["key"], "mlflow.parentRunId": self.parent}
            experiment = self.session.experiment(source.description["title"])
            name = header.get("name") or run_name(config)
            self.run_id = self.client.create_run(experiment, record.started_ms, tags, name).info.run_id
        params = [Param(key, str(value)) for key, value in flatten(config).items()]
        self.client.log_batch(self.run_id, params=params)
        dataset = Dataset(
            name=source.description["name"],
            digest=source.digest[:32],
            **source.origin,
            profile=json.dumps({"images": source.images, **source.description}),
        )
        used = DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
        self.client.log_inputs(self.run_id, [used])
        self.client.log_text(self.run_id, dump(config), "params.yaml")
        self._described = True

    def _log_epochs(self, record: Record) -> None:
        """Log the epochs that are new. The store takes the same value of the same moment as one."""
        metrics = [
            Metric(metric_name(column), value, epoch["time_ms"], int(epoch["row"]["epoch"]))
            for epoch in record.epochs[self._logged :]
            for column, value in {**epoch["row"], "seconds": epoch["seconds"]}.items()
            if column != "epoch" and value is not None
        ]
        for first in range(0, len(metrics), METRICS_A_CALL):
            self.client.log_batch(self.run_id, metrics=metrics[first : first + METRICS_A_CALL])
        self._logged = len(record.epochs)

    def _keep_first(self, record: Record, source: DataSource) -> bool:
        """Stay with the run of the model that ended first, if any has, and delete the others.

        Processes that record the same model may be here at once. Each looks after its own run has ended, so
        the last of them sees all, and all agree on which was the first.
        """
        if self.parent:
            return False
        found = self.session.search(
            f"tags.model_sha256 = '{sha256(self.run.model)}' and attributes.status = 'FINISHED'"
            f" and tags.recipe = '{recipe(record.header['config'], source)}'"
        )
        if not found:
            return False
        first, *others = sorted(found, key=lambda run: (run.info.end_time or 0, run.info.run_id))
        own = [self.run_id] if self.run_id else []
        surplus = {*own, *(run.info.run_id for run in others if "job" not in run.data.tags)}
        for run_id in surplus - {first.info.run_id}:
            self.client.delete_run(run_id)
        self._stay_with(first)
        return True

    def _stay_with(self, run: Any) -> None:
        """Take `run`, which is complete, for the training's."""
        self.run_id, self.ended = run.info.run_id, True
        if experiment := os.environ.get("DVC_EXP_NAME"):
            self.client.set_tag(self.run_id, "dvc.experiment", experiment)


class SweepMirror:
    """A sweep in MLflow: a parent run, and a run for each of its jobs.

    Args:
        session: with the store.
        folder: the sweep's, with `sweep.json` and `jobs/`.

    Attributes:
        run_id: the parent run; empty until it is there.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self.session = session
        self.client = session.client
        self.folder = folder
        self.run_id = ""
        self.jobs: dict[Path, RunMirror] = {}

    def update(self, over: bool, result: Mapping[str, Any] | None = None) -> None:
        """Log what the folder says of the sweep and its jobs.

        Args:
            over: whether the sweep's process has done its work, or is gone.
            result: how it ended: `metrics` of the best job and `failure`; None if it was killed.
        """
        if not self.run_id:
            self._open()
        for path in (self.folder / "jobs").glob("*.json"):
            if path not in self.jobs:
                job = json.loads(path.read_text(encoding="utf-8"))
                run = Run(self.session.root / job["folder"])
                self.jobs[path] = RunMirror(self.session, run, partial(eq, job["token"]), self.run_id)
            self.jobs[path].update(over)
        if not over:
            return
        if result is not None:
            self._delete_earlier_attempts()
            self.session.log_metrics(self.run_id, result["metrics"])
            for path in (self.folder / "sweep.csv", self.folder / "sweep.png"):
                if path.exists():
                    self.client.log_artifact(self.run_id, str(path))
            if result["failure"]:
                self.client.set_tag(self.run_id, "failure", result["failure"])
        status = KILLED if result is None else FAILED if result["failure"] else FINISHED
        self.session.end(self.run_id, status)

    def _open(self) -> None:
        """Open the parent run; one that broke off, or is looked at again, goes on."""
        sweep = json.loads((self.folder / "sweep.json").read_text(encoding="utf-8"))
        for run in self.session.search(f"tags.sweep = '{sweep['key']}'"):
            run_id, known = run.info.run_id, run.data
            self.client.update_run(run_id, status="RUNNING")
            self.client.set_tag(run_id, "owner", self.session.owner)
            if "failure" in known.tags:  # of the attempt before
                self.client.delete_tag(run_id, "failure")
            break
        else:
            source = describe_data(sweep["config"], self.session.root)
            experiment = self.session.experiment(source.description["title"])
            tags = {**self.session.origin, "sweep": sweep["key"], "mlflow.source.name": "train.py"}
            run = self.client.create_run(experiment, sweep["time_ms"], tags, sweep["name"])
            run_id, known = run.info.run_id, run.data
        new = [Param(key, value) for key, value in sweep["overrides"].items() if key not in known.params]
        self.client.log_batch(run_id, params=new)
        self.run_id = run_id

    def _delete_earlier_attempts(self) -> None:
        """Delete the runs of attempts at a job that broke off and that another attempt made up for."""
        kept = {mirror.run_id for mirror in self.jobs.values()}
        done = {self.client.get_run(run_id).data.tags["job"] for run_id in kept if run_id}
        for run in self.session.search(f"tags.`mlflow.parentRunId` = '{self.run_id}'"):
            if run.data.tags["job"] in done and run.info.run_id not in kept:
                self.client.delete_run(run.info.run_id)


def record_of_files(run: Run, config: Mapping[str, Any]) -> Record:
    """Return the record of a training that finished, as far as its files tell it."""
    now = time.time_ns() // 1_000_000
    epochs = [{"row": row, "seconds": None, "time_ms": now} for row in read_history(run.history)]
    header = {"token": uuid.uuid4().hex, "config": config, "source": "train.py"}
    return Record(header, now, epochs, FINISHED, ended_ms=now)


def recipe(config: Mapping[str, Any], source: DataSource) -> str:
    """Return a hash of all that a model is made from, but for the code."""
    made_from = json.dumps(ingredients(config, source.digest), sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()


def run_name(config: Mapping[str, Any]) -> str:
    """Tell runs apart at a glance: `relu 100, sgd 0.1, seed 0`."""
    model, optimizer = config["model"], config["optimizer"]
    network = [model["activation"], "-".join(map(str, model["hidden"]))] if model["hidden"] else ["linear"]
    return f"{' '.join(network)}, {optimizer['name']} {optimizer['learning_rate']:g}, seed {config['seed']}"


def metric_name(column: str) -> str:
    """Return the name in MLflow of a `column` of the history.

    MLflow's page shows the charts of a run in the order of their names, so those of the accuracies have to
    come first: what else is measured in training begins with `train_`.
    """
    first = column.endswith(("_accuracy", "_error"))
    return column if first else f"train_{column}"
