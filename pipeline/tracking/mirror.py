"""Bring MLflow up to date with the folder of a training, of its results or of a sweep.

All that is done here may be done again at any time, by the same process, by a later stage or by another
command: what is in the folder and not yet in the store goes there, and the rest is left alone. So an attempt
that fails halfway, or whose answer is lost, is simply made again.
"""

import json
import math
import os
import textwrap
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow.entities import Metric, Param

from pipeline.config.reading import dump
from pipeline.config.schema import flatten, run_name
from pipeline.nn.metrics import WORDS
from pipeline.runs.history import kept_row, read_history
from pipeline.runs.journal import FAILED, FINISHED, KILLED, Record, read_journal
from pipeline.runs.run import Run
from pipeline.support.files import sha256
from pipeline.tracking.dataset import DataSource, describe_data
from pipeline.tracking.model import log_model
from pipeline.tracking.session import Session

METRICS_A_CALL = 1000  # what MLflow's tracking API takes at most
RUNG = "rung"  # the tag of a job that a search has stopped: after how many epochs
LOCK = Path(".cache/tracking.lock")
Result = Mapping[str, Any] | None


class RunMirror:
    """One training in MLflow.

    Its run has the journal's token as its tag `tracker`. If the same model is trained again, the run that it
    has already is kept, and no second one is made. Jobs of sweeps keep theirs. A job that a search has
    stopped is FINISHED once the sweep is over, with its rung as a tag.

    Args:
        session: with the store.
        run: the training's folder.
        is_ours: tells by a journal's token whether it is this training's; the folder may still hold an
            earlier one's.
        parent: the run of the sweep that this is a job of.

    Attributes:
        run_id: MLflow's run; empty until it is there.
    """

    def __init__(self, session: Session, run: Run, is_ours: Callable[[str], bool], parent: str = "") -> None:
        self.session = session
        self.client = session.client
        self.run = run
        self.is_ours = is_ours
        self.parent = parent
        self.run_id = ""
        self._ended = False
        self._data: DataSource | None = None  # once the run has params and dataset
        self._logged = 0  # epochs

    def update(self, over: bool, result: Result = None) -> None:
        """Log what the journal says; `over` says that nobody is at work on the training any more."""
        record = None if self._ended else read_journal(self.run)
        if record and self.is_ours(record.header["token"]):
            self.mirror(record, over)

    def mirror(self, record: Record, over: bool) -> None:
        """Log what `record` says, as `update` does."""
        status, rung = record.status or (KILLED if over else ""), record.rung
        if rung:
            status = FINISHED if over else ""  # as long as the sweep is at work, it may go on
        if self._ended or (status == FINISHED and not record.holds_for(self.run)):
            return
        # Another process may record the same model. The one that comes second finds the run of the first.
        with FileLock(LOCK) if status == FINISHED else nullcontext():
            if self._find_ended(record.header["token"], status, rung):
                return
            data = self._data = self._data or self._open(record)
            self._log_epochs(record)
            if status == FINISHED:
                self.client.log_artifact(self.run_id, str(self.run.history))
            if rung and over:
                self.client.set_tag(self.run_id, RUNG, rung)
            elif status == FINISHED:
                self._log_kept(record)
                log_model(self.client, self.run_id, self.run.model, record.header["config"], lambda: data)
                self.client.set_tag(self.run_id, "model_sha256", sha256(self.run.model))
            elif status == FAILED:
                self.client.set_tag(self.run_id, "failure", textwrap.shorten(record.reason, 1000))
            if status:
                self.client.set_terminated(self.run_id, status, record.ended_ms)
                self._ended = True

    def _find_ended(self, token: str, status: str, rung: str) -> bool:
        """Look up the run of the training, and return whether it, or another of the same model, is complete.

        If it is another one's, that run is taken for the training's.
        """
        found = [] if self.run_id else self.session.search(f"tags.tracker = '{token}'")
        for run in found:
            self.run_id = run.info.run_id
            self._ended = run.info.status == status and run.data.tags.get(RUNG, "") == rung
            if not self._ended:
                self._reopen(run)
        if status == FINISHED and not self.parent and not self._ended:
            model = f"tags.model_sha256 = '{sha256(self.run.model)}'"
            for run in self.session.search(f"{model} and attributes.status = 'FINISHED'")[:1]:
                if self.run_id not in {"", run.info.run_id}:
                    self.client.delete_run(self.run_id)
                self.run_id, self._ended = run.info.run_id, True
        if self._ended and (experiment := os.environ.get("DVC_EXP_NAME")):
            self.client.set_tag(self.run_id, "dvc.experiment", experiment)
        return self._ended

    def _reopen(self, run: Any) -> None:
        """Go on with `run`, which was not brought to its end, or which a search had stopped."""
        self.client.update_run(run.info.run_id, status="RUNNING")
        if RUNG in run.data.tags:
            self.client.delete_tag(run.info.run_id, RUNG)

    def _open(self, record: Record) -> DataSource:
        """Create or continue the run, and log the training's params and dataset; return the data."""
        header, config = record.header, record.header["config"]
        data = describe_data(config, self.session.root)
        if self.run_id:
            run = self.client.get_run(self.run_id)
        else:
            tags = {
                **self.session.origin,
                **data.tags,
                "tracker": header["token"],
                "mlflow.source.name": header["source"],
            }
            if self.parent:
                tags |= {"job": header["key"], "mlflow.parentRunId": self.parent}
                earlier = f"tags.job = '{header['key']}' and tags.`mlflow.parentRunId` = '{self.parent}'"
                for attempt in self.session.search(earlier):  # one at the job that broke off
                    self.client.delete_run(attempt.info.run_id)
            experiment = self.session.experiment(data.dataset.title)
            name = header.get("name") or run_name(config)
            run = self.client.create_run(experiment, record.started_ms, tags, name)
            self.run_id = run.info.run_id
        # A param cannot be changed, and `evaluation` may differ from that of an earlier attempt.
        new = {key: value for key, value in flatten(config).items() if key not in run.data.params}
        params = [Param(key, str(value)) for key, value in new.items()]
        self.client.log_batch(self.run_id, params=params)
        self.client.log_inputs(self.run_id, [data.as_input()])
        self.client.log_text(self.run_id, dump(config), "params.yaml")
        return data

    def _log_epochs(self, record: Record) -> None:
        """Log the epochs that are new. To log a value twice with the same time changes nothing."""
        metrics = [
            Metric(metric_name(column), value, epoch["time_ms"], int(epoch["row"]["epoch"]))
            for epoch in record.epochs[self._logged :]
            for column, value in {**epoch["row"], "seconds": epoch["seconds"]}.items()
            if column != "epoch" and value is not None
        ]
        for first in range(0, len(metrics), METRICS_A_CALL):
            self.client.log_batch(self.run_id, metrics=metrics[first : first + METRICS_A_CALL])
        self._logged = len(record.epochs)

    def _log_kept(self, record: Record) -> None:
        """Where training may have stopped early, tag when, and have the metrics end with the model's."""
        training = record.header["config"]["training"]
        if not training.get("patience"):
            return
        rows = [epoch["row"] for epoch in record.epochs]
        last, kept = int(rows[-1]["epoch"]), kept_row(rows, training["patience"])
        self.client.set_tag(self.run_id, "last_epoch", last)
        self.client.set_tag(self.run_id, "best_epoch", int(kept["epoch"]))
        latest_ms = record.epochs[-1]["time_ms"] + 1  # MLflow shows the latest of a metric's values
        metrics = [
            Metric(metric_name(column), value, latest_ms, last)
            for column, value in kept.items()
            if column != "epoch" and kept != rows[-1]
        ]
        self.client.log_batch(self.run_id, metrics=metrics)


class ResultsMirror(RunMirror):
    """What a stage makes of a trained model, in the run of that model, which it gets if it has none.

    Args:
        session: with the store.
        run: the model's folder.
        what: "evaluate", "plot" or "page".
        config: what the model was trained by, nested.
    """

    def __init__(self, session: Session, run: Run, what: str, config: Mapping[str, Any]) -> None:
        super().__init__(session, run, bool)
        self.what = what
        self.config = config

    def update(self, over: bool, result: Result = None) -> None:
        """Log the results once the stage is over, if it ended well."""
        if not over or result is None:
            return
        record = read_journal(self.run)
        if not (record and record.holds_for(self.run)):  # the model comes from DVC's cache, say
            record = record_of_files(self.run, self.config)
        # How a network is evaluated may have changed since it was trained.
        record.header["config"]["evaluation"] = self.config["evaluation"]
        self.mirror(record, over)
        run = self.run
        written = {
            "evaluate": [run.metrics, run.classes, run.predictions],
            "plot": [run.figures],
            "page": [run.page],
        }
        for path in written[self.what]:
            self.client.log_artifact(self.run_id, str(path))
        if self.what == "evaluate":
            self._log_metrics()
            describe = partial(describe_data, self.config, self.session.root)
            log_model(self.client, self.run_id, run.model, self.config, describe)

    def _log_metrics(self) -> None:
        """Log what was measured. What the history has is there already, as curves.

        No metric can be deleted. If answers are no longer averaged, the accuracy of averages ends with NaN.
        """
        parts = json.loads(self.run.metrics.read_text(encoding="utf-8"))
        metrics = {f"{part}_{key}": value for part, values in parts.items() for key, value in values.items()}
        curves = read_history(self.run.history)[-1].keys()
        averages = {f"{part}_averaged_accuracy": math.nan for part in parts}
        new = averages | {key: metrics[key] for key in metrics.keys() - curves}
        self.session.log_metrics(self.run_id, new)


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
        self._jobs: dict[Path, RunMirror] = {}

    def update(self, over: bool, result: Result) -> None:
        """Log what the folder says of the sweep and its jobs.

        Args:
            over: whether the sweep's process has done its work, or is gone.
            result: how it ended: `metrics` of the best job and `failure`; None if it was killed.
        """
        if not self.run_id:
            self._open()
        for path in set((self.folder / "jobs").glob("*.json")) - self._jobs.keys():
            job = json.loads(path.read_text(encoding="utf-8"))
            run = Run(self.session.root / job["folder"])
            self._jobs[path] = RunMirror(self.session, run, partial(eq, job["token"]), self.run_id)
        for mirror in self._jobs.values():
            mirror.update(over)
        if over and result is None:
            self.client.set_terminated(self.run_id, KILLED)
        elif over and result:
            self._finish(result["metrics"], result["failure"])

    def _open(self) -> None:
        """Open the parent run, or continue that of an earlier attempt."""
        sweep = json.loads((self.folder / "sweep.json").read_text(encoding="utf-8"))
        if found := self.session.search(f"tags.sweep = '{sweep['key']}'"):
            run = found[0]
            self.client.update_run(run.info.run_id, status="RUNNING")
            if "failure" in run.data.tags:  # of the attempt before
                self.client.delete_tag(run.info.run_id, "failure")
        else:
            title = describe_data(sweep["config"], self.session.root).dataset.title
            tags = {**self.session.origin, "sweep": sweep["key"], "mlflow.source.name": "train.py"}
            experiment = self.session.experiment(title)
            run = self.client.create_run(experiment, sweep["time_ms"], tags, sweep["name"])
        new = [Param(key, value) for key, value in sweep["overrides"].items() if key not in run.data.params]
        self.client.log_batch(run.info.run_id, params=new)
        self.run_id = run.info.run_id

    def _finish(self, metrics: Mapping[str, float], failure: str | None) -> None:
        """End the parent run with table and figure."""
        self.session.log_metrics(self.run_id, metrics)
        for path in (self.folder / f"sweep.{kind}" for kind in ("csv", "png", "html")):
            if path.exists():
                self.client.log_artifact(self.run_id, str(path))
        if failure:
            self.client.set_tag(self.run_id, "failure", failure)
        self.client.set_terminated(self.run_id, FAILED if failure else FINISHED)


def record_of_files(run: Run, config: Mapping[str, Any]) -> Record:
    """Return the record of a training that finished, as far as its files tell it."""
    written_ms = run.model.stat().st_mtime_ns // 1_000_000
    epochs = [{"row": row, "seconds": None, "time_ms": written_ms} for row in read_history(run.history)]
    header = {"token": sha256(run.model), "config": config, "source": "train.py"}
    results = {path.name: sha256(path) for path in (run.model, run.history)}
    return Record(header, written_ms, epochs, FINISHED, results=results, ended_ms=written_ms)


def metric_name(column: str) -> str:
    """Return the name in MLflow of a `column` of the history.

    MLflow's page shows the charts of a run in the order of their names, so those of the metrics of parts have
    to come first: what else is measured in training begins with `train_`.
    """
    _, _, metric = column.partition("_")
    return column if metric in WORDS else f"train_{column}"
