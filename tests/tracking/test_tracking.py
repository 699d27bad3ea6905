import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event, Timer
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
import yaml
from mlflow.exceptions import MlflowException

from pipeline.config.reading import read_params
from pipeline.config.schema import Config, flat, parse
from pipeline.data.dataset import digest_part, load_dataset
from pipeline.nn.fast import predict
from pipeline.runs.history import read_history
from pipeline.runs.models import load_model
from pipeline.support.errors import UserError, public
from pipeline.support.files import find_root, sha256
from pipeline.tracking import Job, Tracker
from pipeline.tracking.page import choose_port, reachable
from pipeline.tracking.recorder import Attempts
from pipeline.tracking.store import describe_commit
from pipeline.train import train_and_record
from tests.commands import PATIENCE, ROOT, files, made_once, run_module, start_module, wait_for
from tests.stores import answers, client, failing_server, free_port, mlflow_server

EPOCHS = 3
METRICS = {"test": {"accuracy": 0.25}, "official": {"accuracy": 0.5}}


def configuration(**changes: Any) -> Config:
    values = asdict(read_params(ROOT / "params.yaml"))
    values["split"] = {"train": 60, "test": 20}
    values["model"]["hidden"] = [8]
    values["training"]["epochs"] = EPOCHS
    values["tracking"] = {"enabled": True, "patience": PATIENCE}
    return parse({**values, **changes}, "test")


def impatient(patience: float) -> Config:
    return configuration(tracking={"enabled": True, "patience": patience})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the stages leave it, with tracking off, and an empty store; each test gets a copy."""
    folder = tmp_path_factory.mktemp("trained")
    data = folder / "data/processed"
    data.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, rows in (("train", 60), ("test", 20), ("official", 20)):
        np.save(data / f"{part}_images.npy", rng.random((rows, 784), dtype=np.float32))
        np.save(data / f"{part}_labels.npy", np.eye(10, dtype=np.uint8)[rng.integers(0, 10, rows)])
    description = {"name": "mnist", "title": "MNIST", "classes": list("0123456789"), "image_shape": [28, 28]}
    (data / "dataset.json").write_text(json.dumps(description))
    config = configuration(tracking={"enabled": False, "patience": PATIENCE})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train_and_record(config, Path())
    reports = folder / "reports"
    (reports / "metrics.json").write_text(json.dumps(METRICS))
    (reports / "classes.csv").write_text("class,images,precision,recall,f1\n7,1,1.0,1.0,1.0\n")
    (reports / "predictions.csv").write_text("index,label,prediction,confidence\n0,7,7,0.9\n")
    (reports / "figures").mkdir()
    (reports / "figures/accuracy.png").write_bytes(b"an image")
    assert not (folder / "mlflow.db").exists()  # tracking was off
    client(folder).search_experiments()  # makes the database, which takes seconds, once for all tests
    return folder


@pytest.fixture
def workspace(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs(store: Any, view: int = 1) -> list[Any]:
    """All runs in `store`, without the deleted ones; only those with `view` = 2."""
    experiments = [experiment.experiment_id for experiment in store.search_experiments()]
    return list(store.search_runs(experiments, run_view_type=view))


def local_path(uri: str) -> Path:
    """Return the file or folder at a `file:` URI."""
    return Path(url2pathname(urlsplit(uri).path))


def assert_epochs_recorded(store: Any, run: Any) -> None:
    for column in ("train_accuracy", "test_accuracy", "loss", "dead_1"):
        name = column if "accuracy" in column else f"train_{column}"
        points = store.get_metric_history(run.info.run_id, name)
        assert [point.step for point in points] == list(range(1, EPOCHS + 1))
        assert [point.value for point in points] == [row[column] for row in read_history()]


@pytest.fixture(scope="module")
def recorded(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train, then evaluate twice and plot in another process, in a copy of the tree as DVC makes it."""

    def record(folder: Path) -> None:
        copy = folder / ".dvc/tmp/exps/standalone/tmp1"
        shutil.copytree(trained, folder, dirs_exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DVC_EXP_NAME", "puffy-cats")
            patch.chdir(folder)
            train_and_record(configuration(), Path())
            shutil.copytree(trained, copy)
            (copy / "mlflow.db").unlink()
            patch.chdir(copy)
            with Tracker(configuration()) as tracker:
                tracker.evaluation()
                tracker.evaluation()
                tracker.figures()
        assert not (copy / "mlflow.db").exists()

    return made_once("recorded", record, tmp_path_factory)


@pytest.fixture(scope="module")
def store(recorded: Path) -> Any:
    return client(recorded)


@pytest.fixture(scope="module")
def run(store: Any) -> Any:
    (run,) = runs(store)
    return run


def test_names(store: Any, run: Any) -> None:
    assert store.get_experiment(run.info.experiment_id).name == "MNIST"
    assert run.info.run_name == "relu 8, sgd 0.1, seed 0"
    assert run.info.status == "FINISHED"


def test_params_are_named_as_in_the_configuration(run: Any) -> None:
    assert run.data.params == {key: str(value) for key, value in flat(configuration()).items()}
    assert run.data.params["optimizer.learning_rate"] == "0.1"


def test_epochs(store: Any, run: Any, recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)
    assert_epochs_recorded(store, run)
    assert len(store.get_metric_history(run.info.run_id, "train_seconds")) == EPOCHS


def test_each_accuracy_has_one_name_and_they_come_first_on_the_page(store: Any, run: Any) -> None:
    """MLflow's page has a chart a metric, by name; those with `/` in their names come before all others."""
    assert sorted(run.data.metrics) == [
        *("official_accuracy", "test_accuracy", "train_accuracy"),
        *("train_dead_1", "train_loss", "train_seconds"),
    ]
    assert [m.value for m in store.get_metric_history(run.info.run_id, "official_accuracy")] == [0.5]


def test_files(store: Any, run: Any, recorded: Path) -> None:
    run_id = run.info.run_id
    assert {file.path for file in store.list_artifacts(run_id)} == {
        "params.yaml", "history.csv", "metrics.json", "classes.csv", "predictions.csv", "figures",
    }  # fmt: skip
    artifacts = local_path(run.info.artifact_uri)
    assert artifacts.is_relative_to(recorded / "mlruns")
    assert (artifacts / "figures/accuracy.png").read_bytes() == b"an image"
    assert read_params(artifacts / "params.yaml") == configuration()


def test_dataset(run: Any) -> None:
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "mnist"
    assert len(used.dataset.digest) == 32
    assert json.loads(used.dataset.profile)["images"] == 60
    assert {tag.key: tag.value for tag in used.tags} == {"mlflow.data.context": "training"}


def test_tags(run: Any, recorded: Path) -> None:
    assert run.data.tags["dataset"] == "mnist"
    assert run.data.tags["model_sha256"] == sha256(recorded / "models/model.npz")
    assert run.data.tags["dvc.experiment"] == "puffy-cats"
    assert run.data.tags["images.test"] == digest_part(load_dataset(recorded / "data/processed").test)


def test_the_model_predicts_where_the_pipeline_is_not(run: Any, recorded: Path, tmp_path: Path) -> None:
    (model,) = run.outputs.model_outputs
    program = """
        import importlib.util, json, sys
        import mlflow, numpy as np
        from mlflow.exceptions import MlflowException

        assert importlib.util.find_spec("pipeline") is None
        mlflow.set_tracking_uri(sys.argv[1])
        model = mlflow.pyfunc.load_model(f"models:/{sys.argv[2]}")
        images = np.load(sys.argv[3])
        flat = model.predict(images)
        assert flat.equals(model.predict(images.reshape(-1, 28, 28)))
        assert flat.label[0] == model.predict(images[0]).label[0]
        assert flat.label[0] == model.predict(model.input_example).label[0]
        for wrong in (images[:, :700], images * 255, images * np.nan, images.astype(str)):
            try:
                model.predict(wrong)
            except MlflowException as error:
                assert error.get_http_status_code() == 400
                assert "expected numbers in [0, 1] of shape (n, 784) or (n, 28, 28)" in error.message
            else:
                raise AssertionError("accepted")
        print(flat.to_json(orient="records"))
    """
    images = recorded / "data/processed/train_images.npy"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "if True:" + program,
            f"sqlite:///{recorded}/mlflow.db",
            model.model_id,
            images,
        ],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    rows = json.loads(done.stdout)
    outputs = predict(load_model(recorded / "models/model.npz"), np.load(images))
    for row, output in zip(rows, outputs, strict=True):
        assert sum(row["probabilities"].values()) == pytest.approx(1)
        assert row["probabilities"][row["label"]] == max(row["probabilities"].values())
        assert row["label"] == str(output.argmax())


MODEL_FILES = {"MLmodel", "model.npz", "dataset.json", "served.py"}


def assert_files_are_beside_the_store(folder: Path, link: Path, count: int) -> None:
    """All runs' files and models are in `folder`, and MLflow finds them.

    It opens the store through a `link` to be made, as it takes a database's path for a URI.
    """
    link.symlink_to(folder)
    store = client(link)
    assert len(runs(store)) == count
    for run in runs(store):
        assert local_path(run.info.artifact_uri).is_relative_to(folder / "mlruns")
        assert {file.path for file in store.list_artifacts(run.info.run_id)} == {
            "params.yaml",
            "history.csv",
            "metrics.json",
            "classes.csv",
            "predictions.csv",
        }
        (output,) = run.outputs.model_outputs
        model = local_path(store.get_logged_model(output.model_id).artifact_location)
        assert model.is_relative_to(folder / "mlruns")
        assert {path.name for path in model.rglob("*")} >= MODEL_FILES


def train_and_evaluate(folder: Path, config: Config) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train_and_record(config, Path())
        with Tracker(config) as tracker:
            tracker.evaluation()


@pytest.mark.parametrize("name", ["my%20project", "ours & #1 100% é"])
def test_a_folder_may_have_any_name(trained: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(trained, tmp_path / name)
    train_and_evaluate(folder, configuration())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert_files_are_beside_the_store(folder, tmp_path / "link", count=1)


def test_runs_and_their_files_stay_together_wherever_the_folder_goes(trained: Path, tmp_path: Path) -> None:
    original, moved, copy = (tmp_path / name for name in ("original", "moved", "copy"))
    shutil.copytree(trained, original)
    train_and_evaluate(original, configuration())
    original.rename(moved)
    train_and_evaluate(moved, configuration(seed=1))
    assert_files_are_beside_the_store(moved, tmp_path / "link1", count=2)
    before = files(moved / "mlruns")
    shutil.copytree(moved, copy)
    train_and_evaluate(copy, configuration(seed=2))
    assert_files_are_beside_the_store(copy, tmp_path / "link2", count=3)
    shutil.copytree(trained, alone := tmp_path / "without the runs' files", dirs_exist_ok=True)
    shutil.copy(moved / "mlflow.db", alone)
    train_and_evaluate(alone, configuration())
    assert files(moved / "mlruns") == before
    assert list((alone / "mlruns").rglob("metrics.json"))
    assert not original.exists()


def test_a_training_is_not_recorded_with_another_dataset_than_its_own(workspace: Path) -> None:
    values = asdict(configuration())
    Path("params.yaml").write_text(yaml.safe_dump(values))
    recorded = run_module(workspace, "pipeline.tracking", ".")
    assert recorded.stdout.startswith("MLflow: relu 8, sgd 0.1, seed 0"), recorded.stderr
    values["dataset"] |= {"name": "fashion_mnist", "title": "Fashion-MNIST"}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    refused = run_module(workspace, "pipeline.tracking", ".")
    assert refused.returncode == 1
    told = "error: dataset = fashion_mnist, but data/processed holds mnist: `dvc exp run -S dataset="
    assert refused.stderr.startswith(told)
    assert refused.stderr.count("\n") == 1
    assert len(runs(client(workspace))) == 1


def test_a_training_is_not_recorded_with_data_that_it_does_not_fit(workspace: Path) -> None:
    values = asdict(configuration())
    values["dataset"]["classes"] = list("01234")
    Path("params.yaml").write_text(yaml.safe_dump(values))
    for labels in Path("data/processed").glob("*_labels.npy"):
        np.save(labels, np.load(labels)[:, :5])
    description = json.loads(Path("data/processed/dataset.json").read_text())
    Path("data/processed/dataset.json").write_text(json.dumps({**description, "classes": list("01234")}))
    refused = run_module(workspace, "pipeline.tracking", ".")
    assert refused.returncode == 1
    assert refused.stderr == (
        "error: models/model.npz takes 784 values and tells 10 classes apart, but the images have 784 and 5:"
        " prepare the data that it was trained on\n"
    )
    assert not runs(client(workspace))


def test_a_training_is_not_recorded_with_what_has_taken_the_place_of_its_data(workspace: Path) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(asdict(configuration())))
    outputs = predict(load_model(Path("models/model.npz")), np.load("data/processed/train_images.npy"))
    wrong = (outputs.argmax(axis=1) + 1) % 10
    np.save("data/processed/train_labels.npy", np.eye(10, dtype=np.uint8)[wrong])
    refused = run_module(workspace, "pipeline.tracking", ".")
    assert refused.returncode == 1
    assert refused.stderr == (
        "error: models/model.npz was trained on other data than data/processed holds: prepare the data that"
        " it was trained on\n"
    )
    assert not runs(client(workspace))


def test_what_cannot_be_recorded_is_told_in_one_line_and_by_the_exit_status(workspace: Path) -> None:
    shutil.copytree(workspace, "outputs/first", ignore=shutil.ignore_patterns("outputs", "data", "mlflow.db"))
    Path("outputs/first/params.yaml").write_text(yaml.safe_dump(asdict(configuration())))
    nowhere = "http://me:secret@127.0.0.1:9"
    done = run_module(workspace, "pipeline.tracking", "outputs/first", MLFLOW_TRACKING_URI=nowhere)
    assert done.returncode == 1
    assert done.stdout == ""
    [told] = done.stderr.splitlines()
    assert told.startswith("warning: not recorded in MLflow: http://127.0.0.1:9: ")
    assert told.endswith("`python -m pipeline.tracking outputs/first` records what was missed.")


STAGE = """
import time
from pipeline.config.reading import read_params
from pipeline.tracking import Tracker

with Tracker(read_params()) as tracker:
    tracker.start()
    tracker.epoch({{"epoch": 1, "loss": 0.5}}, seconds=0.1)
    print("at work", flush=True)
    {rest}
"""


def test_a_stage_that_breaks_off_ends_its_run(workspace: Path) -> None:
    store = client(workspace)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    stages = {}
    for seed, rest in enumerate(["time.sleep(60)", "time.sleep(60)", "raise ValueError('loss is nan')"]):
        Path("params.yaml").write_text(yaml.safe_dump(asdict(configuration(seed=seed))))
        stages[seed] = subprocess.Popen(
            [sys.executable, "-c", STAGE.format(rest=rest)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        output = stages[seed].stdout
        assert output
        assert output.readline() == "at work\n"
    stages[0].kill()
    os.killpg(stages[1].pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    for stage in stages.values():
        stage.communicate(timeout=PATIENCE)
    wait_for(lambda: len(runs(store)) == 3 and all(run.info.status != "RUNNING" for run in runs(store)))
    ended = {run.data.params["seed"]: run for run in runs(store)}
    assert [ended[seed].info.status for seed in "012"] == ["KILLED", "KILLED", "FAILED"]
    assert ended["2"].data.tags["failure"] == "ValueError: loss is nan"
    assert all(run.data.metrics == {"train_loss": 0.5, "train_seconds": 0.1} for run in ended.values())


def test_a_model_that_is_trained_again_keeps_its_run(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As DVC has it trained where the stage was killed after it was recorded and before DVC noted it."""
    train_and_evaluate(workspace, configuration())
    store = client(workspace)
    [first] = runs(store)
    monkeypatch.setenv("DVC_EXP_NAME", "again")
    train_and_evaluate(workspace, configuration())
    train_and_evaluate(workspace, configuration(seed=1))
    [other, again] = runs(store)
    assert again.info.run_id == first.info.run_id
    assert again.data.metrics == first.data.metrics
    assert [point.step for point in store.get_metric_history(first.info.run_id, "train_loss")] == [1, 2, 3]
    assert again.data.tags["dvc.experiment"] == "again"
    assert other.data.params["seed"] == "1"
    assert not list(Path(".cache/tracking").glob("*/*"))  # no claim is left


@pytest.mark.stress
def test_recipes_that_train_to_the_same_bits_have_a_run_each(workspace: Path) -> None:
    training = asdict(configuration())["training"]
    for every, accuracy in ((1, 0.25), (2, 0.75), (1, 0.5)):
        metrics = {"official": {"accuracy": accuracy}}
        (workspace / "reports/metrics.json").write_text(json.dumps(metrics))
        with Tracker(configuration(training={**training, "measure_every": every})) as tracker:
            tracker.evaluation()
    recorded = {run.data.params["training.measure_every"]: run for run in runs(client(workspace))}
    assert {key: run.data.metrics["official_accuracy"] for key, run in recorded.items()} == {
        "1": 0.5,
        "2": 0.75,
    }
    assert len(runs(client(workspace))) == 2
    assert len({run.data.tags["model_sha256"] for run in recorded.values()}) == 1


AGAIN = """
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from pipeline.tracking.recorder import Recorder

def refuse(table, condition):
    with closing(sqlite3.connect("mlflow.db")) as store:
        store.execute("DROP TRIGGER IF EXISTS refusal")
        store.execute(
            f"CREATE TRIGGER refusal BEFORE INSERT ON {table} WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )

def end_without_answer(run_id, status):
    end(run_id, status)
    raise MlflowException("no answer")

def fail():
    with pytest.raises(MlflowException):
        recorder.evaluation()

recorder = Recorder(Path.cwd(), Path("data/processed").absolute(), CONFIG, "test")
refuse("logged_models", "1")
fail()
refuse("metrics", "NEW.key = 'official_accuracy'")
end, recorder.client.set_terminated = recorder.client.set_terminated, end_without_answer
fail()
recorder.client.set_terminated = end
fail()
refuse("metrics", "0")
recorder.evaluation()
recorder.close()
"""


def test_what_is_tried_again_is_recorded_once(workspace: Path) -> None:
    program = f"CONFIG = {asdict(configuration())!r}\n{AGAIN}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    store = client(workspace)
    (run,) = runs(store)
    assert run.info.status == "FINISHED"
    assert_epochs_recorded(store, run)
    assert [m.value for m in store.get_metric_history(run.info.run_id, "official_accuracy")] == [0.5]


def test_a_sweep_that_was_killed_is_settled_by_the_next_stage(
    workspace: Path, capfd: pytest.CaptureFixture
) -> None:
    store = client(workspace)
    with Tracker(configuration(), job=Job("", "key", "token", "", "data")) as sweep:
        sweep.start_sweep("sweep of seed", {"seed": "0,1"})
        wait_for(lambda: runs(store))
        assert sweep.recorder
        sweep.recorder.process.kill()
    assert "warning: not recorded in MLflow" in capfd.readouterr().err
    with Tracker(configuration()) as tracker:
        tracker.evaluation()
    assert "warning" not in capfd.readouterr().err
    assert {run.info.run_name: run.info.status for run in runs(store)}["sweep of seed"] == "KILLED"


def test_the_end_of_a_sweep_has_a_second_more_for_each_job(
    workspace: Path, capfd: pytest.CaptureFixture
) -> None:
    store = client(workspace)
    Path("params.yaml").write_text(yaml.safe_dump(asdict(configuration())))
    job = {"key": "job", "token": "attempt", "folder": str(workspace), "name": "seed 0", "failure": "so"}
    with Tracker(impatient(0.1), job=Job("", "key", "token", "", "data")) as sweep:
        sweep.start_sweep("sweep of seed", {"seed": "0,1"})
        [parent] = wait_for(lambda: runs(store))
        broken_off = {"mlflow.parentRunId": parent.info.run_id, "job": "job", "tracker": "attempt before"}
        store.create_run(parent.info.experiment_id, tags=broken_off, run_name="the remains of seed 0")
        sweep.finish_sweep([job] * 60, {}, "60 of 60 jobs failed")
    assert capfd.readouterr().err == ""
    ended = {run.info.run_name: run for run in runs(store)}
    assert {name: run.info.status for name, run in ended.items()} == {
        "sweep of seed": "FAILED",
        "seed 0": "FAILED",
    }
    assert ended["sweep of seed"].data.tags["failure"] == "60 of 60 jobs failed"


def test_half_a_record_gives_way_to_the_complete_one(workspace: Path, capfd: pytest.CaptureFixture) -> None:
    store = client(workspace)
    with ExitStack() as stages:
        for seed in (0, 1):
            tracker = stages.enter_context(Tracker(configuration(seed=seed)))
            tracker.start()
            tracker.epoch({"epoch": 1, "loss": 0.5}, seconds=0.1)
            recorder = tracker.recorder
            assert recorder
            stages.callback(recorder.process.kill)
        wait_for(lambda: len(runs(store)) == 2 and all(run.data.metrics for run in runs(store)))
    assert capfd.readouterr().err.count("warning: not recorded in MLflow") == 2
    assert [run.info.status for run in runs(store)] == ["RUNNING", "RUNNING"]
    for run in runs(store):
        store.set_tag(run.info.run_id, "model_sha256", sha256(workspace / "models/model.npz"))

    with Tracker(configuration()) as tracker:
        tracker.evaluation()

    after = {run.info.status: run for run in runs(store)}
    assert len(runs(store)) == 2
    assert after["KILLED"].data.params["seed"] == "1"
    complete = after["FINISHED"]
    assert complete.data.params == {key: str(value) for key, value in flat(configuration()).items()}
    assert complete.data.metrics["official_accuracy"] == 0.5
    assert complete.outputs.model_outputs
    assert_epochs_recorded(store, complete)
    (deleted,) = runs(store, view=2)
    assert deleted.data.params["seed"] == "0"


@pytest.mark.stress
def test_servers_that_fail_cost_nothing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    before = {path: path.read_bytes() for path in Path().rglob("*.*") if path.suffix in {".npz", ".csv"}}
    patience, waited = 5.0, []
    with (
        failing_server(stalls=False) as (broken, asked),
        failing_server(stalls=True) as (stalled, called),
        ExitStack() as stages,
    ):
        for address in ("http://127.0.0.1:9", broken, stalled):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            stages.callback(lambda: waited.append(time.monotonic()))
            tracker = stages.enter_context(Tracker(impatient(patience)))
            tracker.start()
            for epoch in range(1, EPOCHS + 1):
                tracker.epoch({"epoch": epoch, "loss": 0.5}, seconds=0.1)
            tracker.finish()
        assert asked.wait(PATIENCE)
        assert called.wait(PATIENCE)
        waited.append(time.monotonic())
    assert np.diff(waited).max() < patience + 1
    output, errors = capfd.readouterr()
    assert output == ""
    warnings = errors.splitlines()
    assert len(warnings) == 3
    for warning, reason in zip(
        warnings, ["timed out", "500", "http://127.0.0.1:9: [Errno 111] Connection refused"], strict=True
    ):
        assert warning.startswith("warning: not recorded in MLflow: http://127.0.0.1:")
        assert reason in warning
        assert "The results are safe; `dvc repro -sf evaluate plot` records what was missed." in warning
        assert "secret" not in warning
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize("command", [["pipeline.promote", "MNIST"], ["pipeline.tracking.page"]])
def test_a_server_that_does_not_answer_is_told_of_in_one_line(tmp_path: Path, command: list[str]) -> None:
    done = run_module(tmp_path, *command, MLFLOW_TRACKING_URI="http://me:secret@127.0.0.1:9")
    assert done.returncode == 1
    told = "error: MLFLOW_TRACKING_URI: nothing answers at http://127.0.0.1:9: start the server\n"
    assert done.stderr == told


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://me:secret@odd..host", "error: MLFLOW_TRACKING_URI: http://odd..host is no address ("),
        ("postgresql://me:secret@host:port/name", "error: the tracking store postgresql://host:port/name: "),
        ("mysql://me:secret@host/name", "error: the tracking store mysql://host/name: install the driver "),
        ("oracle://host", "error: the tracking store oracle://host: "),
        ("sqlite:///.", "error: the tracking store sqlite:///.: a database is a file in a folder"),
        ("sqlite:///none/mlflow.db", "error: the tracking store sqlite:///none/mlflow.db: a database is a"),
    ],
)
def test_an_address_that_is_none_is_told_of_in_one_line(tmp_path: Path, address: str, told: str) -> None:
    done = run_module(tmp_path, "pipeline.tracking.page", MLFLOW_TRACKING_URI=address)
    assert done.returncode == 1
    assert done.stderr.startswith(told)
    assert len(done.stderr.splitlines()) == 1


def fails(times: int, before: float = 0.0) -> Callable[[], str]:
    """Return an act of the recorder that fails so often, each time after that many seconds of work."""
    left = iter(range(times))

    def act() -> str:
        if next(left, None) is None:
            return "done"
        time.sleep(before)
        raise MlflowException("no answer")

    return act


@pytest.fixture
def attempt(monkeypatch: pytest.MonkeyPatch) -> Attempts:
    """What repeats the recorder's acts, every 0.3 s for an outage of a second; the stage is over."""
    monkeypatch.setattr("pipeline.tracking.recorder.OUTAGE", 1.0)
    monkeypatch.setattr("pipeline.tracking.recorder.PAUSE", 0.3)
    over = Event()
    over.set()
    return Attempts(over, lambda **report: None)


def test_an_outage_is_as_long_as_the_failures_in_a_row(attempt: Attempts) -> None:
    assert attempt(fails(1, before=1.2)) == "done"  # the work before a failure is none of it
    for _ in range(3):
        assert attempt(fails(3)) == "done"  # nor is what came before a success
    with pytest.raises(MlflowException):
        attempt(fails(6))


def test_an_outage_counts_from_the_end_of_the_stage(attempt: Attempts) -> None:
    attempt.over.clear()
    Timer(1.3, attempt.over.set).start()
    assert attempt(fails(6)) == "done"


@pytest.mark.parametrize("command", [["pipeline.promote", "MNIST"], ["pipeline.tracking.page"]])
def test_a_server_that_fails_is_told_of_in_one_line_without_its_password(
    tmp_path: Path, command: list[str]
) -> None:
    with failing_server(stalls=False) as (broken, _):
        environment = {"MLFLOW_TRACKING_URI": broken, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        done = run_module(tmp_path, *command, **environment)
    assert done.returncode == 1
    named = broken.replace("user:secret@", "")
    assert done.stderr == f"error: the tracking store {named}: too many 500 error responses\n"


PAGES = ["<html>some other program's page</html>", '{"experiment": 5, "runs": "other"}']


@pytest.mark.parametrize("page", PAGES)
def test_a_server_of_something_else_is_told_of_in_one_line(tmp_path: Path, page: str) -> None:
    with failing_server(stalls=False, page=page) as (other, _):
        done = run_module(tmp_path, "pipeline.promote", "MNIST", MLFLOW_TRACKING_URI=other)
    assert done.returncode == 1
    [told] = done.stderr.splitlines()
    assert told.startswith("error: the tracking store http://127.0.0.1:")
    assert "other" not in told


def test_a_sweep_that_cannot_be_recorded_warns_once(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    with failing_server(stalls=False, page=PAGES[0]) as (other, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
        with Tracker(impatient(2.0), job=Job("", "sweep", "token", "", "data")) as sweep:
            sweep.start_sweep("sweep of seed", {"seed": "0,1"})
            for job in ("first", "second"):
                with Tracker(impatient(0.5), job=Job(job, "sweep", job, "", "data")) as tracker:
                    tracker.record()
            wait_for(lambda: sweep.recorder and not sweep.recorder.reports.empty())
    [told] = capfd.readouterr().err.splitlines()
    assert told.startswith("warning: not recorded in MLflow: http://127.0.0.1:")
    assert told.endswith("; the same command again records what was missed.")
    assert "some other" not in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host/a and http://me@host", "https://host/a and http://host"),
        ("postgresql://me:se/cr@et@host:5432/runs", "postgresql://host:5432/runs"),
        ("http://host:5000/models@champion", "http://host:5000/models@champion"),
        ("https://host/package@1.0/", "https://host/package@1.0/"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
    ],
)
def test_addresses_are_shown_without_passwords(text: str, shown: str) -> None:
    assert public(text) == shown


@pytest.mark.stress
def test_where_nothing_is_recorded_the_page_says_what_records(workspace: Path) -> None:
    done = run_module(workspace, "pipeline.tracking.page")
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
    capsys: pytest.CaptureFixture,
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
def test_the_page_is_served_at_the_address_that_is_printed(workspace: Path) -> None:
    with Tracker(configuration()) as tracker:
        tracker.record()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        page = start_module(
            workspace, "pipeline.tracking.page", MLFLOW_PORT=port, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"
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


def test_a_hung_recorder_holds_nothing_up(workspace: Path, capfd: pytest.CaptureFixture) -> None:
    begin = time.monotonic()
    with Tracker(impatient(0.5)) as tracker:
        assert tracker.recorder
        tracker.recorder.process.send_signal(signal.SIGSTOP)
        tracker.start()
        for epoch in range(10_000):  # a megabyte: more than any pipe holds
            tracker.epoch({"epoch": epoch, "loss": 0.5, "train_accuracy": 0.5}, seconds=0.1)
    assert time.monotonic() - begin < 3
    assert "it was not done 0.5 s after the stage" in capfd.readouterr().err


def test_an_experiment_that_was_deleted_is_told_of_with_what_brings_it_back(
    workspace: Path, capfd: pytest.CaptureFixture
) -> None:
    store = client(workspace)
    deleted = store.create_experiment("MNIST")
    store.delete_experiment(deleted)
    train_and_record(configuration(), Path())
    told = f"the experiment MNIST was deleted: `mlflow experiments restore --experiment-id {deleted}` brings"
    assert told in capfd.readouterr().err


def test_an_error_before_any_work_is_not_waited_for(workspace: Path, capfd: pytest.CaptureFixture) -> None:
    begin = time.monotonic()
    with pytest.raises(ValueError, match="no data"), Tracker(configuration()):
        raise ValueError("no data")
    assert time.monotonic() - begin < 1
    assert capfd.readouterr().err == ""


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the acts go that a tracker sends: its recorder keeps them there until the last, and fails."""
    program = tmp_path / "recorder"
    program.write_text(f"#!/bin/sh\nsed /close/q > '{tmp_path}/acts'\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    return tmp_path / "acts"


@pytest.mark.parametrize(
    ("folder", "job", "remedy"),
    [
        ("", None, "`dvc repro -sf evaluate plot`"),
        ("models/problems/xor", None, "`dvc repro -sf problems`"),
        ("outputs/my first", None, "`python -m pipeline.tracking 'outputs/my first'`"),
        ("multirun/first", Job("", "key", "token", "", "data"), "the same command again"),
    ],
)
def test_what_was_not_recorded_is_told_with_what_records_it(
    recorder: Path, capsys: pytest.CaptureFixture, folder: str, job: Job | None, remedy: str
) -> None:
    with Tracker(configuration(), Path(folder), job) as tracker:
        tracker.record()
    assert capsys.readouterr().err == (
        "warning: not recorded in MLflow: its process ended with status 1."
        f" The results are safe; {remedy} records what was missed.\n"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [(UserError("the loss is nan"), "the loss is nan"), (ValueError("no"), "ValueError: no")],
)
def test_of_a_stage_that_broke_off_the_reason_is_recorded_and_no_results_are_promised(
    recorder: Path, capsys: pytest.CaptureFixture, error: Exception, reason: str
) -> None:
    with suppress(UserError, ValueError), Tracker(configuration()) as tracker:
        tracker.start()
        raise error
    *_, last = recorder.read_text().splitlines()
    assert json.loads(last) == {"act": "fail", "reason": reason}
    told = "warning: not recorded in MLflow: its process ended with status 1.\n"
    assert capsys.readouterr().err == told


def test_no_process_where_tracking_is_off(workspace: Path) -> None:
    with Tracker(configuration(tracking={"enabled": False, "patience": 1.0})) as tracker:
        tracker.start()
        assert tracker.recorder is None


FRESH = """
import multiprocessing, os, sys
from queue import Queue
from threading import Event

def record(seed):
    from pipeline.tracking.recorder import carry_out
    sys.stdout = open(os.devnull, "w")
    inbox, over = Queue(), Event()
    inbox.put({"act": "open", "folder": os.getcwd(), "config": {**CONFIG, "seed": seed}, "source": "test"})
    inbox.put({"act": "start", "timestamp": 0})
    for epoch in (1, 2, 3):
        inbox.put({"act": "epoch", "step": epoch, "timestamp": epoch, "metrics": {"loss": 1 / epoch}})
    inbox.put({"act": "finish"})
    inbox.put(None)
    over.set()
    carry_out(inbox, over, lambda **report: None)

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")  # MLflow is imported once
    import mlflow.store.tracking.sqlalchemy_store
    processes = [context.Process(target=record, args=(seed,)) for seed in SEEDS]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
"""


@pytest.mark.stress
@pytest.mark.parametrize("seeds", [range(8), [0] * 8])
def test_eight_processes_open_a_fresh_store_at_once_and_a_model_has_one_run(
    workspace: Path, seeds: Sequence[int]
) -> None:
    Path("mlflow.db").unlink()
    program = f"CONFIG = {asdict(configuration())!r}\nSEEDS = {seeds}\n{FRESH}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    recorded = runs(client(workspace))
    assert sorted(run.data.params["seed"] for run in recorded) == sorted(map(str, set(seeds)))
    assert {run.info.experiment_id for run in recorded} == {"1"}
    for run in recorded:
        assert run.info.status == "FINISHED"
        assert run.data.metrics["train_loss"] == 1 / 3


CREATION = [sys.executable, "-c", "from pipeline.tracking.store import open_store; open_store()"]


@pytest.mark.stress
def test_a_fresh_store_is_opened_from_several_folders_at_once(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    opening = []
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        opening.append(
            subprocess.Popen(
                CREATION,
                cwd=tmp_path / name,
                env={**os.environ, **environment},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    assert [process.communicate()[1] for process in opening if process.wait()] == []
    assert runs(client(tmp_path)) == []


@pytest.mark.stress
def test_a_kill_while_the_store_is_created_spoils_nothing(workspace: Path) -> None:
    Path("mlflow.db").unlink()

    def half_done() -> bool:
        with suppress(FileNotFoundError):  # a journal comes and goes
            return any(file.stat().st_size > 500_000 for file in Path().glob("mlflow.db*"))
        return False

    with subprocess.Popen(CREATION, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        wait_for(half_done)
        process.kill()
    with Tracker(configuration()) as tracker:
        tracker.start()
    assert len(runs(client(workspace))) == 1
    assert {file.name for file in Path().glob("mlflow.db*")} == {"mlflow.db", "mlflow.db.lock"}


AS_ON_WINDOWS = """
import os
from pathlib import Path

from pipeline.tracking.store import Claims, open_store


def refusing(act):
    def refuse(self, *arguments, **options):
        opened = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
        if str(self.absolute()) in opened:
            raise PermissionError(13, "it is open", str(self))
        return act(self, *arguments, **options)

    return refuse


Path.replace, Path.unlink = refusing(Path.replace), refusing(Path.unlink)
open_store()
claims = Claims()
claims.hold("token")
claims.drop("token")
print(*claims.abandoned())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which files are open")
def test_a_store_is_made_and_claims_end_where_no_open_file_can_be_renamed_or_removed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS],
        cwd=tmp_path.resolve(),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "token\n"  # on Windows the lock has removed the file


def test_a_new_store_whose_address_has_options(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mlflow.db").unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db?timeout=60")
    with Tracker(configuration()) as tracker:
        tracker.start()
    assert len(runs(client(workspace))) == 1


@pytest.mark.stress
def test_a_server_that_is_started_late(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
    with ExitStack() as servers:
        with Tracker(configuration()) as tracker:
            tracker.start()
            for row in read_history():
                tracker.epoch(row, seconds=0.1)
            tracker.finish()
            tracker.evaluation()
            servers.enter_context(mlflow_server(workspace, port))
        output, errors = capfd.readouterr()
    assert errors == ""
    store = client(workspace)
    (run,) = runs(store)
    assert output == (
        f"MLflow: relu 8, sgd 0.1, seed 0: http://127.0.0.1:{port}/#/experiments/1/runs/{run.info.run_id}\n"
    )
    assert run.info.status == "FINISHED"
    assert_epochs_recorded(store, run)
    assert list(Path("mlartifacts").rglob("predictions.csv"))
    assert list(Path("mlartifacts").rglob("model.npz"))


@pytest.mark.parametrize(
    ("folder", "root"),
    [
        ("/repository", "/repository"),
        ("/repository/.dvc/tmp/exps/tmpabc", "/repository"),
        ("/repository/.dvc/tmp/exps/standalone/tmpabc", "/repository"),
    ],
)
def test_find_root(folder: str, root: str) -> None:
    assert find_root(Path(folder)) == Path(root)


def test_stages_and_sweeps_do_without_mlflow() -> None:
    """Its import takes seconds."""
    stages = ["download", "preprocess", "train", "evaluate", "plot", "problems"]
    modules = ", ".join(f"pipeline.{name}" for name in [*stages, "sweep", "promote", "recipes"])
    program = f"import sys, {modules}; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_generated_problems_are_recorded_without_data_on_disk_one_after_another(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(trained / "mlflow.db", tmp_path)
    monkeypatch.chdir(tmp_path)
    problems = {
        "xor": {"kind": "xor", "name": "xor", "title": "XOR"},
        "points": {"kind": "alternating", "name": "alternating", "title": "Alternating points", "n": 3},
    }
    configs = {}
    for name, dataset in problems.items():
        values = asdict(configuration(dataset=dataset))
        values["training"] |= {"batch_size": None, "epochs": 4, "measure_every": 2}
        configs[name] = parse(values, "test")
    for name, config in configs.items():
        train_and_record(config, Path(name))

    import mlflow

    found = {run.data.tags["dataset"]: run for run in runs(client(tmp_path))}
    assert found.keys() == {"xor", "alternating"}
    for folder, name in (("xor", "xor"), ("points", "alternating")):
        assert found[name].info.status == "FINISHED"
        assert found[name].data.tags["model_sha256"] == sha256(tmp_path / folder / "models/model.npz")
        losses = client(tmp_path).get_metric_history(found[name].info.run_id, "train_loss")
        assert [point.step for point in losses] == [2, 4]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    model = mlflow.pyfunc.load_model(f"runs:/{found['xor'].info.run_id}/model")
    corners = np.array([[0.0, 0.0], [0.0, 1.0]])
    told = model.predict(corners)
    outputs = predict(load_model(Path("xor/models/model.npz")), corners)[:, 0]
    assert [chances["1"] > 0.5 for chances in told["probabilities"]] == list(outputs > 0.5)
    assert all(sum(chances.values()) == pytest.approx(1) for chances in told["probabilities"])


def git(folder: Path, *arguments: str) -> str:
    options = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-C", str(folder)]
    done = subprocess.run(["git", *options, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize("below", ["", "course/project"])
def test_the_commit_is_named_and_whether_the_code_is_still_its(tmp_path: Path, below: str) -> None:
    project = tmp_path / below
    (project / "reports").mkdir(parents=True)
    assert describe_commit(project) == {}
    git(tmp_path, "init", "--quiet")
    assert describe_commit(project) == {}
    for name in ("train.py", "dvc.lock", "reports/metrics.json"):
        (project / name).write_text("before")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    clean = {"git.commit": git(tmp_path, "rev-parse", "HEAD"), "git.dirty": "false"}
    for change, dirty in (
        ("report.png", "false"),
        ("dvc.lock", "false"),
        ("reports/metrics.json", "false"),
        ("train.py", "true"),
    ):
        assert describe_commit(project).items() >= clean.items()
        (project / change).write_text("after")
        assert describe_commit(project)["git.dirty"] == dirty, change


def test_where_git_refuses_to_name_the_commit_the_stage_says_so_once(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    git(workspace, "init", "--quiet")
    git(workspace, "commit", "--quiet", "--allow-empty", "--message", "first")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    for scope in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"GIT_CONFIG_{scope}", os.devnull)
    with Tracker(configuration()) as tracker:
        tracker.record()
        tracker.turn_to(configuration(seed=1), Path())
        tracker.record()
    [told] = [line for line in capfd.readouterr().err.splitlines() if "MLflow" not in line]
    assert told.startswith("warning: recorded without its commit, which Git does not tell: fatal: detected")
    assert f"git config --global --add safe.directory {workspace}" in told
    assert {run.info.status for run in runs(client(workspace))} == {"FINISHED"}
