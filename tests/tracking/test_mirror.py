"""What MLflow has of a run after its folder was mirrored, once or again, by whichever process."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from pipeline.config.reading import read_params
from pipeline.config.schema import flat, parse
from pipeline.data.dataset import digest_part, load_dataset
from pipeline.nn.fast import predict
from pipeline.runs.history import read_history
from pipeline.runs.models import load_model
from pipeline.runs.run import Run
from pipeline.runs.training import train_run
from pipeline.support.errors import UserError
from pipeline.support.files import sha256
from pipeline.tracking import MirrorProcess
from pipeline.tracking.mirror import ResultsMirror
from pipeline.tracking.session import Session
from pipeline.train import train_and_record
from tests.commands import ROOT, made_once
from tests.stores import (
    EPOCHS,
    address_of_this_process,
    client,
    configuration,
    local_path,
    mirror,
    runs,
)


def assert_epochs_recorded(store: Any, run: Any) -> None:
    for column in ("train_accuracy", "test_accuracy", "loss", "dead_1"):
        name = column if "accuracy" in column else f"train_{column}"
        points = store.get_metric_history(run.info.run_id, name)
        assert [point.step for point in points] == list(range(1, EPOCHS + 1))
        assert [point.value for point in points] == [row[column] for row in read_history(Run().history)]


@pytest.fixture(scope="module")
def recorded(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train, then evaluate twice, plot and write the page, in a copy of the tree as DVC makes it."""

    def record(folder: Path) -> None:
        shutil.copytree(trained, folder, dirs_exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DVC_EXP_NAME", "puffy-cats")
            patch.chdir(folder)
            train_and_record(configuration(), Path())
            copy = shutil.copytree(folder, folder / ".dvc/tmp/exps/standalone/tmp1")
            (copy / "mlflow.db").unlink()
            patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
            for what in ("evaluate", "evaluate", "plot", "page"):
                patch.chdir(copy)
                mirror(what, configuration())
        assert not (copy / "mlflow.db").exists()

    return made_once("recorded", record, tmp_path_factory)


@pytest.fixture(scope="module")
def records(recorded: Path) -> Any:
    return client(recorded)


@pytest.fixture(scope="module")
def run(records: Any) -> Any:
    (run,) = runs(records)
    return run


def test_a_run_is_named_after_what_was_trained_in_the_experiment_of_its_data(records: Any, run: Any) -> None:
    assert records.get_experiment(run.info.experiment_id).name == "MNIST"
    assert run.info.run_name == "relu 8, sgd 0.1, seed 0"
    assert run.info.status == "FINISHED"


def test_params_are_named_as_in_the_configuration(run: Any) -> None:
    assert run.data.params == {key: str(value) for key, value in flat(configuration()).items()}
    assert run.data.params["optimizer.learning_rate"] == "0.1"


def test_epochs(records: Any, run: Any, recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)
    assert_epochs_recorded(records, run)
    assert len(records.get_metric_history(run.info.run_id, "train_seconds")) == EPOCHS


def test_each_accuracy_has_one_name_and_they_come_first_on_the_page(records: Any, run: Any) -> None:
    """MLflow's page has a chart a metric, by name; those with `/` in their names come before all others."""
    assert sorted(run.data.metrics) == [
        *("official_accuracy", "test_accuracy", "train_accuracy"),
        *("train_dead_1", "train_loss", "train_seconds"),
    ]
    assert [m.value for m in records.get_metric_history(run.info.run_id, "official_accuracy")] == [0.5]


def test_files(records: Any, run: Any, recorded: Path) -> None:
    assert {file.path for file in records.list_artifacts(run.info.run_id)} == {
        "params.yaml", "history.csv", "metrics.json", "classes.csv", "predictions.csv", "figures",
        "page.html",
    }  # fmt: skip
    artifacts = local_path(run.info.artifact_uri)
    assert artifacts.is_relative_to(recorded / "mlruns")
    assert (artifacts / "figures/accuracy.png").read_bytes() == b"an image"
    assert (artifacts / "page.html").read_bytes() == b"a page"
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


WHERE_THE_PIPELINE_IS_NOT = """if True:
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


def test_the_model_predicts_where_the_pipeline_is_not(run: Any, recorded: Path, tmp_path: Path) -> None:
    (model,) = run.outputs.model_outputs
    images = recorded / "data/processed/train_images.npy"
    arguments = [f"sqlite:///{recorded}/mlflow.db", model.model_id, images]
    done = subprocess.run(
        [sys.executable, "-c", WHERE_THE_PIPELINE_IS_NOT, *arguments],
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


def test_a_model_that_is_trained_again_keeps_its_run(
    project: Path, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As DVC has it trained where the stage was killed after it was recorded and before DVC noted it."""

    def train(**changes: Any) -> None:
        train_run(configuration(**changes), Run())
        for what in ("train", "evaluate"):
            mirror(what, configuration(**changes))

    train()
    [first] = runs(store)
    monkeypatch.setenv("DVC_EXP_NAME", "again")
    train()
    [again] = runs(store)
    assert again.info.run_id == first.info.run_id
    assert again.data.metrics == first.data.metrics
    assert [point.step for point in store.get_metric_history(first.info.run_id, "train_loss")] == [1, 2, 3]
    assert again.data.tags["dvc.experiment"] == "again"
    train(seed=1)
    [other, _] = runs(store)
    assert other.data.params["seed"] == "1"
    train(training={**asdict(configuration())["training"], "measure_every": 2})  # which changes no parameter
    assert [run.data.params["training.measure_every"] for run in runs(store)] == ["2", "1", "1"]


def refuse(table: str, condition: str) -> None:
    """Have the store refuse each new row of `table` for which `condition` holds."""
    with closing(sqlite3.connect("mlflow.db")) as store:
        store.execute("DROP TRIGGER IF EXISTS refusal")
        store.execute(
            f"CREATE TRIGGER refusal BEFORE INSERT ON {table} WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )


FAILURES = {
    "no run": ("runs", "1"),
    "no dataset": ("datasets", "1"),
    "an epoch only": ("metrics", "NEW.step = 2"),
    "no model": ("logged_models", "1"),
    "no mark that it is complete": ("tags", "NEW.key = 'model_sha256'"),
    "its end, without an answer": ("metrics", "0"),
    "no measurements": ("metrics", "NEW.key = 'official_accuracy'"),
}
"""What has come through when an attempt fails: the table and the rows that the store refuses."""


def test_what_is_tried_again_is_recorded_once(
    project: Path, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with address_of_this_process():
        session = Session(project)
        recording = ResultsMirror(session, Run(project), "evaluate", asdict(configuration()))
        end = session.client.set_terminated

        def end_without_answer(*arguments: Any) -> None:
            end(*arguments)
            raise MlflowException("no answer")

        for failure, (table, condition) in FAILURES.items():
            refuse(table, condition)
            with monkeypatch.context() as patch, pytest.raises(MlflowException):
                if "without an answer" in failure:
                    patch.setattr(session.client, "set_terminated", end_without_answer)
                recording.update(over=True, result={})
        refuse("metrics", "0")
        recording.update(over=True, result={})
    (run,) = runs(store)
    assert run.info.status == "FINISHED"
    assert_epochs_recorded(store, run)
    assert len(run.outputs.model_outputs) == 1
    assert [m.value for m in store.get_metric_history(run.info.run_id, "official_accuracy")] == [0.5]


def test_an_experiment_that_was_deleted_is_told_of_with_what_brings_it_back(
    project: Path, store: Any
) -> None:
    deleted = store.create_experiment("MNIST")
    store.delete_experiment(deleted)
    told = f"the experiment MNIST was deleted: `mlflow experiments restore --experiment-id {deleted}` brings"
    with pytest.raises(UserError, match=told):
        mirror("plot", configuration())


def test_generated_problems_are_recorded_without_data_on_disk_one_after_another(
    tmp_path: Path, store_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(store_template, tmp_path)
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
    with MirrorProcess([Run(Path(name)) for name in problems], configs["xor"], "train"):
        for name, config in configs.items():
            train_run(config, Run(Path(name)))

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


AT_ONCE = """
import multiprocessing, os, sys
from tests.stores import configuration, mirror

def record():
    sys.stdout = open(os.devnull, "w")
    mirror("plot", configuration())

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")  # MLflow is imported once
    import mlflow.store.tracking.sqlalchemy_store, pipeline.tracking.child
    processes = [context.Process(target=record) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
"""


@pytest.mark.stress
def test_eight_processes_open_a_fresh_store_at_once_and_a_model_has_one_run(project: Path) -> None:
    Path("mlflow.db").unlink()
    Run().journal.unlink()  # so that each makes a record of its own
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    [run] = runs(client(project))
    assert run.info.status == "FINISHED"
    assert_epochs_recorded(client(project), run)
