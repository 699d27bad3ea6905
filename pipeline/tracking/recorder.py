"""The process that records: `python -m pipeline.tracking.recorder`, a child of the stage.

It reads JSON lines from standard input, one act each, and does what they say in the tracking store, trying
again until the store answers. Every act can be repeated without harm, since an attempt may have come
through although its answer did not. On standard output it reports, in JSON lines too, why it tries again,
and at last where the run is. The end of its input is the end of the stage, however that came about; jobs of
a sweep that one process does after another share a recorder, and each says `close` at its end.
"""

import getpass
import hashlib
import json
import os
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import numpy as np

import pipeline
from pipeline.config.reading import dump, read_params
from pipeline.config.schema import flatten, ingredients
from pipeline.data.dataset import PROCESSED, digest, digest_part, load_dataset, write_description
from pipeline.data.generated import GENERATORS, generate
from pipeline.runs.history import read_history
from pipeline.support.errors import UserError, public
from pipeline.support.files import PARAMS, find_root, sha256
from pipeline.tracking.page import TAGS
from pipeline.tracking.store import (
    PAUSE,
    Claims,
    address,
    artifact_root,
    cause,
    database,
    describe_commit,
    failures,
    find_experiment,
    open_store,
)

Act = dict[str, Any]

BOUNDS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the recorder itself tries again
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
OUTAGE = 15.0  # seconds that the store may go on failing once the stage is over: time to start a server anew
PARAMS_A_CALL = 100  # what the tracking API takes at most
METRICS_A_CALL = 1000
RUNS_A_CALL = 50_000


class Recorder:
    """Carries out the acts of one stage, all of them on one run.

    Args:
        folder: where the stage's `models/` and `reports/` are.
        data: the folder of the processed dataset; not looked at where the dataset is a generated one.
        config: the run's configuration, nested.
        source: the name of the program whose run it is.
        job: the job of a sweep that it is (`pipeline.tracking.Job`), if it is one.

    Attributes:
        warnings: what the user has to be told of what is recorded.
    """

    def __init__(
        self,
        folder: Path,
        data: Path,
        config: Mapping[str, Any],
        source: str,
        job: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.model = folder / "models/model.npz"
        self.reports = folder / "reports"
        self.data = data
        self.config = config
        self.source = source
        self.job = job
        if config["dataset"]["kind"] in GENERATORS:
            made = generate(**config["dataset"])
            self.images = made.train.images
            self.dataset = {key: getattr(made, key) for key in ("name", "title", "classes", "image_shape")}
            self.digest = hashlib.sha256(json.dumps(config["dataset"]).encode()).hexdigest()
            self.origin = {"source_type": "code", "source": json.dumps(config["dataset"])}
        else:
            self.images = np.load(data / "train_images.npy", mmap_mode="r")
            self.dataset = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
            self.digest = job["data"] if job else digest(data)
            self.origin = {"source_type": "local", "source": json.dumps({"uri": PROCESSED.as_posix()})}
        self.token = job["token"] if job else uuid.uuid4().hex
        self.pending: list[Any] = []  # metrics not yet logged
        self.run_id = ""
        self.warnings: set[str] = set()
        self.running = False

        self.client = open_store()
        self.claims = Claims()
        self.experiment_id = self._experiment()

    # The acts.

    def start(self, timestamp: int) -> None:
        """Open the run of a training that began at `timestamp`, in milliseconds."""
        self._create(timestamp)
        self._settle(superseded=False)

    def epoch(self, step: int, timestamp: int, metrics: Mapping[str, float]) -> None:
        """Take one epoch's metrics in; `flush` logs them."""
        from mlflow.entities import Metric

        self.pending += [Metric(metric_name(key), value, timestamp, step) for key, value in metrics.items()]

    def flush(self) -> None:
        """Log the metrics taken in so far: those that came while the store was busy go in one call."""
        for metrics in chunks(self.pending, METRICS_A_CALL):
            self.client.log_batch(self.run_id, metrics=metrics)
        self.pending = []

    def finish(self) -> None:
        """Log model and history and end the run: from now on it is found by the model's hash.

        A model that has a run already, since a stage was killed between recording it and DVC's noting it, or
        since it was trained again, keeps that one.
        """
        alone = self.job or not self._runs_of_model()
        if self.running and alone:
            self.flush()
            self.client.log_artifact(self.run_id, str(self.reports / "history.csv"))
            self._log_model()
            self.client.set_tag(self.run_id, "model_sha256", sha256(self.model))
        if self.running:
            self._end("FINISHED")
        if not self.job:
            self._keep_first()

    def fail(self, reason: str) -> None:
        """End a training that broke off."""
        if self.running:
            self.flush()
            self.client.set_tag(self.run_id, "failure", textwrap.shorten(reason, 1000))
            self._end("FAILED")

    def close(self) -> None:
        """End a training of which nothing more is heard."""
        if self.running:
            self.flush()
            self._end("KILLED")

    def record(self) -> None:
        """Find the run of the model, or make one from the files."""
        found = self._runs_of_model()
        if found:
            self._turn_to(found[0])
        else:
            self.record_anew()
        self._settle(superseded=not found)

    def record_anew(self) -> None:
        """Make a complete run from the files."""
        started = self._create(time.time_ns() // 1_000_000)
        self.pending = []
        for row in read_history(self.reports / "history.csv"):
            self.epoch(int(row.pop("epoch")), started, row)
        self.finish()

    def evaluation(self) -> None:
        """Log what was measured after training, and the files it comes from.

        The accuracies that the history has are there already, as curves.
        """
        self.record()
        metrics = json.loads((self.reports / "metrics.json").read_text(encoding="utf-8"))
        accuracies = {f"{part}_accuracy": values["accuracy"] for part, values in metrics.items()}
        curves = read_history(self.reports / "history.csv")[-1].keys()
        self._log_final({name: accuracies[name] for name in accuracies.keys() - curves})
        for name in ("metrics.json", "classes.csv", "predictions.csv"):
            self.client.log_artifact(self.run_id, str(self.reports / name))

    def figures(self) -> None:
        """Log the figures."""
        self.record()
        self.client.log_artifacts(self.run_id, str(self.reports / "figures"), "figures")

    def start_sweep(self, timestamp: int, name: str, overrides: Mapping[str, str]) -> None:
        """Open the sweep's parent run; one that broke off, or is looked at again, goes on."""
        from mlflow.entities import Param

        assert self.job
        self.claims.hold(self.token)
        if parent := self._parent():
            self.run_id = parent
            self.client.set_tag(self.run_id, "tracker", self.token)
            self.client.update_run(self.run_id, status="RUNNING")
        else:
            tags = {**self._origin(), "sweep": self.job["sweep"], "tracker": self.token}
            self.run_id = self.client.create_run(self.experiment_id, timestamp, tags, name).info.run_id
        self.running = True
        known = self.client.get_run(self.run_id).data
        if "failure" in known.tags:  # of the attempt before
            self.client.delete_tag(self.run_id, "failure")
        new = [Param(key, value) for key, value in overrides.items() if key not in known.params]
        self.client.log_batch(self.run_id, params=new)
        self._settle(superseded=False)

    def finish_sweep(
        self, jobs: Sequence[Mapping[str, Any]], metrics: Mapping[str, float], failure: str | None
    ) -> None:
        """Leave each job one complete run, log the metrics, the table and the figure, and end the run.

        An attempt that broke off, which another one made up for, is deleted; what was not recorded, since the
        store did not answer, is recorded from the job's files.
        """
        assert self.job
        attempts: dict[str, list[Any]] = {}
        for run in self._search(f"tags.`mlflow.parentRunId` = '{self.run_id}'"):
            attempts.setdefault(run.data.tags["job"], []).append(run)
        for job in jobs:
            recorded = self._complete(job)
            for run in attempts.get(job["key"], []):
                if run.info.run_id != recorded:
                    self.client.delete_run(run.info.run_id)
        self._log_final(metrics)
        for path in sorted(self.folder.glob("sweep.*")):
            if path.suffix in {".csv", ".png"}:
                self.client.log_artifact(self.run_id, str(path))
        if failure:
            self.client.set_tag(self.run_id, "failure", failure)
        self._end("FAILED" if failure else "FINISHED")

    # What they are made of.

    def _runs_of_model(self) -> list[Any]:
        """Return the finished runs of the model by this recipe, the one that ended first at the front.

        Other recipes may train to the very bits, one that only splits the test images otherwise, say. Runs
        whose files are not where those of a new run would be do not count: this is a copy of the database,
        and the files are the original's.
        """
        found = self._search(
            f"tags.model_sha256 = '{sha256(self.model)}' and tags.recipe = '{self._recipe()}'"
            " and attributes.status = 'FINISHED'"
        )
        roots = {each.experiment_id: each.artifact_location for each in self.client.search_experiments()}
        here = [
            run
            for run in found
            if run.info.artifact_uri.startswith(roots[run.info.experiment_id].partition("?")[0])
        ]
        return sorted(here, key=lambda run: (run.info.end_time or 0, run.info.run_id))

    def _keep_first(self) -> None:
        """Delete this run where another one of the model ended before, else those that ended after it.

        Recorders of the same model may be here at once. Each looks after its own run has ended, so the last
        of them sees all, and all agree on which was the first.
        """
        first, *others = self._runs_of_model()
        if first.info.run_id != self.run_id:
            self.client.delete_run(self.run_id)
            self._turn_to(first)
        else:
            for run in others:
                if "job" not in run.data.tags:  # a sweep has a run for each of its jobs
                    self.client.delete_run(run.info.run_id)

    def _turn_to(self, run: Any) -> None:
        """Go on with `run`, which has ended."""
        self.run_id = run.info.run_id
        self.running = False  # it may be our own, of whose end the answer was lost
        if experiment := os.environ.get("DVC_EXP_NAME"):
            self.client.set_tag(self.run_id, "dvc.experiment", experiment)

    def _complete(self, job: Mapping[str, Any]) -> str:
        """Return the run of the attempt at `job` that counts, whose record is complete afterwards."""
        assert self.job
        status = "FAILED" if job["failure"] is not None else "FINISHED"
        found = self._search(f"tags.tracker = '{job['token']}'")
        if found and found[0].info.status == status:
            return found[0].info.run_id
        for run in found:
            self.client.delete_run(run.info.run_id)
        folder = Path(job["folder"])
        config = asdict(read_params(folder / PARAMS))
        attempt = {**self.job, "key": job["key"], "token": job["token"], "name": job["name"]}
        recorder = Recorder(folder, self.data, config, self.source, attempt)
        if job["failure"] is not None:
            recorder.start(time.time_ns() // 1_000_000)
            recorder.fail(job["failure"])
        else:
            recorder.record_anew()
        return recorder.run_id

    def _parent(self) -> str | None:
        """Return the run of the sweep that this job is of."""
        assert self.job
        found = self._search(f"tags.sweep = '{self.job['sweep']}'")
        return found[0].info.run_id if found else None

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self.dataset["title"]
        if not find_experiment(self.client, name):
            path = database()
            location = artifact_root(path).as_uri() if path else None
            with suppress(MlflowException):  # another process may create it at this very moment
                return self.client.create_experiment(name, location, TAGS)
        experiment = find_experiment(self.client, name)
        if not experiment:
            raise MlflowException(f"the experiment {name} cannot be created")
        for key in TAGS.keys() - experiment.tags.keys():
            self.client.set_experiment_tag(experiment.experiment_id, key, TAGS[key])
        return experiment.experiment_id

    def _create(self, started: int) -> int:
        """Have a run, the one of an attempt before where there is one, and return when it started."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        self.claims.hold(self.token)
        [run] = self._search(f"tags.tracker = '{self.token}'") or [
            self.client.create_run(self.experiment_id, started, self._tags(), self._name())
        ]
        self.run_id, self.running = run.info.run_id, True
        params = [Param(key, str(value)) for key, value in flatten(self.config).items()]
        for some in chunks(params, PARAMS_A_CALL):
            self.client.log_batch(self.run_id, params=some)
        dataset = Dataset(
            name=self.dataset["name"],
            digest=self.digest[:32],
            **self.origin,
            profile=json.dumps({"images": len(self.images), **self.dataset}),
        )
        self.client.log_inputs(
            self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        )
        self.client.log_text(self.run_id, dump(self.config), PARAMS.name)
        return run.info.start_time

    def _name(self) -> str:
        return (self.job and self.job["name"]) or run_name(self.config)

    def _tags(self) -> dict[str, str]:
        from mlflow.exceptions import MlflowException

        tags = {"tracker": self.token, "recipe": self._recipe(), **self._origin(), **self._measured_on()}
        if self.job:
            parent = self._parent()
            if not parent:  # the sweep's own recorder is about to make it
                raise MlflowException(f"the run of the sweep {self.job['sweep']} is not there yet")
            tags |= {"job": self.job["key"], "mlflow.parentRunId": parent}
        return tags

    def _origin(self) -> dict[str, str]:
        tags = {
            "dataset": self.dataset["name"],
            "mlflow.source.name": self.source,
            "mlflow.source.type": "LOCAL",
        }
        try:
            tags |= describe_commit(self.data.parents[1])
        except UserError as error:
            self.warnings.add(str(error))
        with suppress(KeyError, OSError):
            tags["mlflow.user"] = getpass.getuser()
        if experiment := os.environ.get("DVC_EXP_NAME"):
            tags["dvc.experiment"] = experiment
        return tags

    def _measured_on(self) -> dict[str, str]:
        """Return a tag for each part that may choose among runs: a digest of its images and labels.

        Accuracies can be compared where these are equal, however the other images are split.
        """
        if self.config["dataset"]["kind"] in GENERATORS:
            return {}
        dataset = load_dataset(self.data).hold_out(self.config["split"]["validation"])
        parts = {"validation": dataset.validation, "test": dataset.test}
        return {
            f"images.{name}": digest_part(part) for name, part in parts.items() if part and len(part.images)
        }

    def _recipe(self) -> str:
        """Return a hash of all that the model is made from, but for the code."""
        made_from = json.dumps(ingredients(self.config, self.digest), sort_keys=True)
        return hashlib.sha256(made_from.encode()).hexdigest()

    def _log_final(self, metrics: Mapping[str, float]) -> None:
        """Log those of `metrics` that are not there yet."""
        known = self.client.get_run(self.run_id).data.metrics
        new = {key: value for key, value in metrics.items() if known.get(metric_name(key)) != value}
        self.pending = []
        self.epoch(0, time.time_ns() // 1_000_000, new)
        self.flush()

    def _log_model(self) -> None:
        import mlflow
        from mlflow.models import Model, ModelSignature
        from mlflow.types import ColSpec, Schema
        from mlflow.types.schema import Map

        logged = self.client.search_logged_models(
            [self.experiment_id], filter_string=f"source_run_id = '{self.run_id}'"
        )
        for model in logged:
            if model.status == "READY":
                return
            self.client.delete_logged_model(model.model_id)  # the remains of an attempt that failed
        model = self.client.create_logged_model(self.experiment_id, name="model", source_run_id=self.run_id)
        with TemporaryDirectory() as folder:
            write_description(Path(folder), self.dataset)
            Model.log(
                artifact_path=None,
                flavor=mlflow.pyfunc,
                run_id=self.run_id,
                model_id=model.model_id,
                python_model=str(Path(__file__).with_name("served.py")),
                artifacts={
                    "model": self.model.absolute().as_uri(),
                    "dataset": (Path(folder) / "dataset.json").as_uri(),
                },
                code_paths=[str(Path(pipeline.__file__).parent)],
                pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "numpy", "pandas")],
                signature=ModelSignature(
                    # The model itself checks its inputs: flat or square images, or a table with a row for
                    # each, which no single signature allows.
                    outputs=Schema([ColSpec("string", "label"), ColSpec(Map("double"), "probabilities")]),
                ),
                input_example=np.array(self.images[:1]),
            )

    def _end(self, status: str) -> None:
        self.client.set_terminated(self.run_id, status)
        self.running = False
        self.claims.drop(self.token)

    def _settle(self, superseded: bool) -> None:
        """End the runs whose recorders are gone.

        Args:
            superseded: whether such a run of this recipe is deleted, since this recorder has just made the
                complete record of the model.
        """
        for token in self.claims.abandoned():
            for run in self._search(f"tags.tracker = '{token}' and attributes.status = 'RUNNING'"):
                if superseded and run.data.tags.get("recipe") == self._recipe():
                    self.client.delete_run(run.info.run_id)
                else:
                    self.client.set_terminated(run.info.run_id, "KILLED")

    def _search(self, condition: str) -> Sequence[Any]:
        experiments = [experiment.experiment_id for experiment in self.client.search_experiments()]
        return self.client.search_runs(
            experiments, condition, max_results=RUNS_A_CALL, order_by=["attributes.start_time DESC"]
        )

    def where(self) -> str | None:
        """Say where the run can be seen."""
        if not self.run_id:
            return None
        name = self.client.get_run(self.run_id).info.run_name
        if address().startswith("http"):
            return f"{name}: {public(address())}/#/experiments/{self.experiment_id}/runs/{self.run_id}"
        return f"{name}, in the experiment {self.dataset['title']} (`make ui` shows it)"


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


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield `items` in runs of at most `size`."""
    for first in range(0, len(items), size):
        yield items[first : first + size]


class Attempts:
    """Repeats what fails until the store answers or, once the stage is over, has failed for too long.

    What counts is the time from the first to the last of the failures in a row, whatever acts they are of.

    Args:
        over: set when the stage is over; before that there is no hurry.
        report: is told why an act failed.
    """

    def __init__(self, over: Event, report: Callable[..., None]) -> None:
        self.transient = failures()
        self.over = over
        self.report = report
        self.failing_since: float | None = None

    def __call__(self, act: Callable[..., Any], **values: Any) -> Any:
        """Return what `act` returns in the end; raise its error where it fails for too long."""
        while True:
            try:
                result = act(**values)
            except self.transient as error:
                self.report(error=cause(error))
                if self.over.is_set():
                    now = time.monotonic()
                    self.failing_since = self.failing_since or now
                    if now - self.failing_since > OUTAGE:
                        raise
                time.sleep(PAUSE)
            else:
                self.failing_since = None
                return result


def listen(inbox: "Queue[Act | None]", over: Event) -> None:
    """Put the acts that arrive into `inbox`, and None when the stage is over."""
    patience = 0.0
    with suppress(json.JSONDecodeError):  # half a line: the stage was killed
        for line in sys.stdin:
            act = json.loads(line)
            patience = act.pop("patience", patience)
            if act["act"] == "open":
                over.clear()
            elif act["act"] == "close":
                over.set()
            inbox.put(act)
    over.set()
    inbox.put(None)
    time.sleep(2 * patience)
    os._exit(1)  # nobody waits any longer, and nothing else ends a call that hangs


def carry_out(inbox: "Queue[Act | None]", over: Event, report: Callable[..., None]) -> None:
    """Carry out the acts of `inbox` until the stage is over."""
    data = PROCESSED.absolute()
    os.chdir(find_root(Path.cwd()))  # where relative addresses begin: sqlite:///mlflow.db, ./mlruns
    attempt = Attempts(over, report)

    def record(opening: Act) -> Act | None:
        """Record the run that `opening` opens; return the act that comes after, or None at the end."""
        del opening["act"]
        folder = Path(opening.pop("folder"))
        recorder = attempt(Recorder, folder=folder, data=data, **opening)
        while (message := inbox.get()) and message["act"] not in {"open", "close"}:
            attempt(getattr(recorder, message.pop("act")), **message)
            if inbox.empty():
                attempt(recorder.flush)
        attempt(recorder.close)
        for warning in recorder.warnings:
            report(warning=warning)
        report(recorded=attempt(recorder.where))
        return inbox.get() if message and message["act"] == "close" else message

    opening = inbox.get()
    while opening:
        opening = record(opening)


def main() -> None:
    """Record what the stage at the other end of standard input does."""
    # MLflow and those it calls may print what they like: it goes where standard error goes, to nowhere.
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def report(**values: str | None) -> None:
        with suppress(OSError):  # the stage was killed
            print(json.dumps(values), file=reports, flush=True)

    inbox: Queue[Act | None] = Queue()
    over = Event()
    Thread(target=listen, args=(inbox, over), daemon=True).start()
    for name, value in BOUNDS.items():
        os.environ.setdefault(name, value)
    try:
        carry_out(inbox, over, report)
    except Exception as error:
        report(error=cause(error))
        os._exit(1)
    os._exit(0)  # to take all those modules down takes most of a second, for which the stage would wait


if __name__ == "__main__":
    main()
