"""From a sweep to an answer over HTTP: promote the best run's model, serve it, ask it."""

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import mlflow
import numpy as np
import pytest
from mlflow.entities import Dataset, DatasetInput

from pipeline.errors import UserError
from pipeline.models import load_model
from pipeline.tracking.registry import Promoted, promote_best
from tests.commands import PATIENCE, TRACKED, files, made_once, run_module, wait_for
from tests.stores import answers, client, free_port, mlflow_server


@pytest.fixture(scope="module")
def swept(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which two networks were trained, the first of them hardly at all."""

    def train(folder: Path) -> None:
        (folder / "data").symlink_to(prepared / "data")
        (folder / "params.yaml").write_text((prepared / "params.yaml").read_text())
        options = ["hydra.sweep.dir=sweep", "optimizer.learning_rate=0.0001,0.3"]
        done = run_module(folder, "pipeline.train", "-m", *TRACKED, *options)
        assert done.returncode == 0, done.stderr

    trained = made_once("swept", train, tmp_path_factory)
    return shutil.copytree(trained, tmp_path_factory.mktemp("promote") / "copy", symlinks=True)


Promote = Callable[[Path, str], Promoted]


@pytest.fixture
def promote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Promote]:
    """What promotes, of an experiment in the store in a folder, the run that is best on the test images."""

    def promote(folder: Path, experiment: str) -> Promoted:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        return promote_best(experiment, "champion", "test")

    yield promote
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # which unsets it


@pytest.fixture(scope="module")
def endpoint(swept: Path) -> Iterator[str]:
    """The address at which MLflow serves what was promoted, by the command that promoting printed."""
    promoted = run_module(swept, "pipeline.promote")
    assert promoted.returncode == 0, promoted.stderr
    assert promoted.stdout.startswith("models:/strokes@champion is version 1: learning_rate 0.3, test ")
    assert "an image of 784 numbers from 0 to 1 shows; 28 rows of 28 do as well" in promoted.stdout
    again = run_module(swept, "pipeline.promote")
    assert again.stdout.startswith("models:/strokes@champion is version 1:")
    port = free_port()
    [command] = [line for line in promoted.stdout.splitlines() if "mlflow models serve" in line]
    environment, *arguments = shlex.split(command)
    name, _, address = environment.partition("=")
    arguments[arguments.index("--port") + 1] = str(port)
    server = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=swept,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            name: address,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/ping") or server.poll() is not None)
        assert server.poll() is None
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def ask(endpoint: str, images: object) -> list[dict]:
    body = json.dumps({"inputs": images}).encode()
    with urlopen(Request(endpoint, body, {"Content-Type": "application/json"}), timeout=PATIENCE) as answer:
        return json.load(answer)["predictions"]


@pytest.mark.stress
def test_it_tells_label_and_probabilities_of_flat_and_square_images(swept: Path, endpoint: str) -> None:
    images = np.load(swept / "data/processed/test_images.npy")[:5]
    outputs = load_model(swept / "sweep/1/models/model.npz").predict(images)
    flat = ask(endpoint, images.tolist())
    assert [answer["label"] for answer in flat] == [str(digit) for digit in outputs.argmax(axis=1)]
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1) for answer in flat)
    assert ask(endpoint, images.reshape(-1, 28, 28).tolist()) == flat
    for one in (images[0], images[0].reshape(28, 28)):
        [answer] = ask(endpoint, one.tolist())
        assert answer["label"] == flat[0]["label"]


@pytest.mark.stress
def test_anything_else_gets_a_400_that_says_what_is_right(endpoint: str) -> None:
    for images, told in [
        ([[0.0] * 783], "shape (1, 783); expected numbers in [0, 1] of shape (n, 784) or (n, 28, 28)"),
        ([[2.0] * 784], "values outside [0, 1] or NaN; expected"),
        ([["ink"] * 784], "; expected numbers in [0, 1]"),
        ([[0.0] * 784, [0.0]], "not an array; expected"),
    ]:
        with pytest.raises(HTTPError) as refused:
            ask(endpoint, images)
        assert refused.value.code == 400
        assert told in json.load(refused.value)["message"]


@pytest.mark.parametrize(
    ("experiment", "told"),
    [
        ("Nowhere", "there is no experiment Nowhere: the store has Strokes"),
        ("Default", "has no finished run with a test accuracy: that takes images and split.test above 0"),
    ],
)
def test_nothing_to_promote(swept: Path, promote: Promote, experiment: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        promote(swept, experiment)


def test_what_was_recorded_before_the_folder_was_moved_is_promoted_and_loaded(
    swept: Path, tmp_path: Path, promote: Promote
) -> None:
    folder = shutil.copytree(swept, tmp_path / "moved", symlinks=True)
    promoted = promote(folder, "Strokes")
    before = files(swept / "mlruns")
    model = mlflow.pyfunc.load_model(promoted.uri)
    assert model.predict(np.zeros((1, 784))).shape == (1, 2)
    assert files(swept / "mlruns") == before
    [version] = client(folder).search_model_versions("name = 'strokes'")
    assert str(folder / "mlruns") in client(folder).get_model_version_download_uri("strokes", version.version)


def test_a_model_whose_files_are_gone_is_not_promoted(swept: Path, tmp_path: Path, promote: Promote) -> None:
    folder = shutil.copytree(swept, tmp_path / "moved", symlinks=True)
    shutil.rmtree(folder / "mlruns")
    with sqlite3.connect(folder / "mlflow.db") as store:  # the original is gone, too
        store.execute("UPDATE logged_models SET artifact_location = '/gone/mlruns/1/models/m-1/artifacts'")
    with pytest.raises(UserError, match=f"learning_rate 0.3 is not in {folder}/mlruns/1/models/m-1"):
        promote(folder, "Strokes")
    assert not client(folder).search_registered_models()


def test_only_finished_runs_that_were_measured_on_the_same_images_compete(
    swept: Path, tmp_path: Path, promote: Promote
) -> None:
    """However good the others are: runs of other images or parts, one that goes on, a sweep's parent run."""
    shutil.copy(swept / "mlflow.db", tmp_path)
    store = client(tmp_path)
    experiment = store.get_experiment_by_name("Strokes").experiment_id
    [best] = store.search_runs([experiment], "attributes.run_name = 'learning_rate 0.3'")
    [images] = [used.dataset for used in best.inputs.dataset_inputs]
    others = Dataset(images.name, "others", images.source_type, images.source, profile=images.profile)
    trained = {"model_sha256": "another"}
    before, after = best.info.start_time - 60_000, best.info.start_time + 60_000
    for start, dataset, validation, tags, status in (
        (before, others, "0", trained, "FINISHED"),
        (before, images, "20", trained, "FINISHED"),
        (after, images, "0", trained, "RUNNING"),
        (after, images, "0", {"sweep": "key"}, "FINISHED"),
    ):
        run = store.create_run(experiment, start, tags).info.run_id
        store.log_inputs(run, [DatasetInput(dataset)])
        store.log_outputs(run, best.outputs.model_outputs)
        store.log_param(run, "split.validation", validation)
        store.log_metric(run, "test_accuracy", 0.99)
        store.update_run(run, status)
    assert promote(tmp_path, "Strokes").run == "learning_rate 0.3"


@pytest.mark.parametrize("alias", ["v1", "latest", "a/b"])
def test_an_alias_that_mlflow_would_refuse_is_told_before_anything_is_registered(
    prepared: Path, alias: str
) -> None:
    done = run_module(prepared, "pipeline.promote", "--alias", alias)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: --alias {alias}: should be letters, digits, _ and -")


@pytest.mark.stress
def test_a_store_under_another_name(swept: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((swept / "params.yaml").read_text())
    there = {"MLFLOW_TRACKING_URI": f"sqlite:///{swept}/mlflow.db"}
    assert run_module(tmp_path, "pipeline.promote", **there).returncode == 0
    nowhere = run_module(tmp_path, "pipeline.promote")
    assert nowhere.stderr.startswith("error: there is no mlflow.db here: run this at the repository's root")


@pytest.mark.stress
def test_the_password_of_a_server_is_not_shown(swept: Path) -> None:
    port = free_port()
    with mlflow_server(swept, port):
        server = {"MLFLOW_TRACKING_URI": f"http://me:secret@127.0.0.1:{port}"}
        done = run_module(swept, "pipeline.promote", "Strokes", **server)
    assert "\n  mlflow models serve --env-manager local" in done.stdout, done.stderr
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Teacher's shapes / 2024", "teacher-s-shapes-2024"),
        ("Fashion-MNIST", "fashion-mnist"),
        ("…", "model"),
    ],
)
def test_a_title_may_be_any_text(
    swept: Path, tmp_path: Path, promote: Promote, title: str, name: str
) -> None:
    shutil.copy(swept / "mlflow.db", tmp_path)
    experiment = client(tmp_path).get_experiment_by_name("Strokes")
    client(tmp_path).rename_experiment(experiment.experiment_id, title)
    for _ in range(2):  # the second time, it is registered already
        promoted = promote(tmp_path, title)
        assert (promoted.uri, promoted.version) == (f"models:/{name}@champion", "1")
        assert promoted.run == "learning_rate 0.3"
        aliased = client(tmp_path).get_model_version_by_alias(name, "champion")
        assert str(aliased.version) == "1"


@pytest.mark.stress
def test_what_was_chosen_on_the_validation_part_is_promoted_by_it(swept: Path) -> None:
    options = [*TRACKED, "split.validation=50", "optimizer.learning_rate=0.01"]
    trained = run_module(swept, "pipeline.train", *options)
    assert trained.returncode == 0, trained.stderr
    done = run_module(swept, "pipeline.promote", "--part", "validation", "--alias", "chosen")
    told = "models:/strokes@chosen is version "
    assert done.stdout.startswith(told), done.stderr
    assert ": relu 100, sgd 0.01, seed 0, validation " in done.stdout
