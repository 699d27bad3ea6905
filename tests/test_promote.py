"""Which run's model is promoted, and what the registry says of it."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from pipeline.support.errors import UserError
from pipeline.tracking.registry import Promoted, promote_best
from tests.commands import files, run_module
from tests.stores import client, free_port, mlflow_server


def copy_of(swept: Path, folder: Path) -> Path:
    """Copy the swept store with its files to `folder`, to be changed there, and return `folder`."""
    shutil.copy(swept / "mlflow.db", folder)
    shutil.copytree(swept / "mlruns", folder / "mlruns")
    return folder


Promote = Callable[[Path, str], Promoted]


@pytest.fixture
def promote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Promote]:
    """What promotes, of an experiment in the store in a folder, the run that is best on the test images."""

    def promote(folder: Path, experiment: str) -> Promoted:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        return promote_best(experiment, "champion", "test")

    yield promote
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # which unsets it


@pytest.mark.parametrize(
    ("experiment", "told"),
    [
        ("Nowhere", "there is no experiment Nowhere: the store has Strokes"),
        ("Default", "has no finished run with a test accuracy or RMSE: that takes data and split.test above"),
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
    with pytest.raises(UserError, match=f"learning_rate 0.3 is not in file://{folder}/mlruns/models/m-"):
        promote(folder, "Strokes")
    assert not client(folder).search_registered_models()

    experiments = {each.name: each.experiment_id for each in client(folder).search_experiments()}
    for model in client(folder).search_logged_models([experiments["Strokes"]]):
        client(folder).delete_logged_model(model.model_id)
    with pytest.raises(UserError, match=r"learning_rate 0\.3 was deleted in MLflow: `python -m"):
        promote(folder, "Strokes")


@dataclass(frozen=True)
class Recorded:
    """A run to be added to a copy of the swept store, whose best run has test images of the digest `swept`.

    Attributes:
        tags: its tags, without those that say that it ended with a model.
        metrics: its accuracies.
        status: how it ended.
        later: minutes by which it began after the best of the sweep.
    """

    tags: dict[str, str]
    metrics: dict[str, float]
    status: str = "FINISHED"
    later: int = 1

    def add(self, store: Any, like: Any) -> None:
        start = like.info.start_time + 60_000 * self.later
        run = store.create_run(like.info.experiment_id, start, self.tags, run_name="other").info.run_id
        store.log_inputs(run, like.inputs.dataset_inputs)
        store.log_outputs(run, like.outputs.model_outputs)
        for key, value in self.metrics.items():
            store.log_metric(run, key, value)
        store.update_run(run, self.status)


TRAINED = {"model_sha256": "another"}
ON_TEST = TRAINED | {"images.test": "swept"}
ON_BOTH = ON_TEST | {"images.validation": "held out"}


@pytest.mark.parametrize(
    ("others", "part", "chosen"),
    [
        # What is measured on the same images competes, however the others are split, and whenever it ran.
        ([Recorded(ON_BOTH, {"test_accuracy": 0.99}, later=-1)], "test", "other, test accuracy 99.00%"),
        ([Recorded(ON_TEST, {"test_accuracy": 0.99}, later=-1)], None, "other, test accuracy 99.00%"),
        ([Recorded(ON_TEST, {"test_accuracy": 0.01})], None, "learning_rate 0.3"),
        # Nothing else does: other images, no model, a sweep's parent run, one that goes on.
        ([Recorded(TRAINED | {"images.test": "?"}, {"test_accuracy": 0.99}, later=-1)], "test", "learning_"),
        ([Recorded({"images.test": "swept"}, {"test_accuracy": 0.99})], "test", "learning_rate 0.3"),
        ([Recorded(TRAINED, {"test_accuracy": 0.99})], "test", "learning_rate 0.3"),
        ([Recorded(ON_TEST, {"test_accuracy": 0.99}, "RUNNING")], "test", "learning_rate 0.3"),
        # A validation part is what is chosen by, where there is one.
        (
            [
                Recorded(ON_BOTH, {"validation_accuracy": 0.9, "test_accuracy": 0.8}, later=-1),
                Recorded(ON_BOTH, {"validation_accuracy": 0.7, "test_accuracy": 0.99}, later=-2),
            ],
            None,
            "other, validation accuracy 90.00%",
        ),
        ([Recorded(ON_BOTH, {"validation_accuracy": 0.9, "test_accuracy": 0.01})], "test", "learning_rate"),
    ],
)
def test_the_best_of_all_runs_that_were_measured_on_the_same_images_is_promoted(
    swept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    others: list[Recorded],
    part: str | None,
    chosen: str,
) -> None:
    folder = copy_of(swept, tmp_path)
    store = client(folder)
    for run in store.search_runs([store.get_experiment_by_name("Strokes").experiment_id]):
        if "images.test" in run.data.tags:
            store.set_tag(run.info.run_id, "images.test", "swept")
        if run.info.run_name == "learning_rate 0.3":
            best = run
    for other in others:
        other.add(store, best)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    promoted = promote_best("Strokes", "champion", part)
    assert promoted.description.startswith(f"Strokes: {chosen}")


def test_a_given_run_is_promoted_and_the_version_says_what_it_is(swept: Path, tmp_path: Path) -> None:
    folder = copy_of(swept, tmp_path)
    store = client(folder)
    [worse] = store.search_runs(
        [store.get_experiment_by_name("Strokes").experiment_id],
        "attributes.run_name = 'learning_rate 0.0001'",
    )
    store.set_tag(worse.info.run_id, "git.commit", "0123456789abcdef")
    store.set_tag(worse.info.run_id, "git.dirty", "true")
    done = run_module(folder, "pipeline.promote", "--run", worse.info.run_id)
    accuracy = worse.data.metrics["test_accuracy"]
    described = f"Strokes: learning_rate 0.0001, test accuracy {accuracy:.2%}"
    described += ", commit 0123456 with uncommitted changes"
    assert done.stdout.startswith(f"models:/strokes@champion is version 1: {described}\n"), done.stderr
    version = store.get_model_version_by_alias("strokes", "champion")
    assert version.run_id == worse.info.run_id
    assert version.description == described


def test_the_best_on_a_part_that_no_run_has_is_refused_with_what_gives_it_one(swept: Path) -> None:
    done = run_module(swept, "pipeline.promote", "--part", "validation")
    assert done.stderr == (
        "error: the experiment Strokes has no finished run with a validation accuracy or RMSE: that takes"
        " data and split.validation above 0\n"
    )


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ("0" * 32, "sqlite:///mlflow.db: Run with id=0+ not found"),
        ("sweep", "--run .*: sweep of learning_rate, 2 jobs is no finished training, so it has no model"),
    ],
)
def test_a_run_without_a_model_is_not_promoted(swept: Path, run: str, told: str) -> None:
    if run == "sweep":
        store = client(swept)
        [parent] = store.search_runs(
            [store.get_experiment_by_name("Strokes").experiment_id], "tags.sweep != ''"
        )
        run = parent.info.run_id
    done = run_module(swept, "pipeline.promote", "--run", run)
    [error] = done.stderr.splitlines()
    assert re.match(f"error: .*{told}", error)


def test_runs_that_do_not_say_which_images_they_were_measured_on_do_not_compete(
    swept: Path, tmp_path: Path, promote: Promote
) -> None:
    folder = copy_of(swept, tmp_path)
    store = client(folder)
    for run in store.search_runs([store.get_experiment_by_name("Strokes").experiment_id]):
        if "images.test" in run.data.tags:
            store.delete_tag(run.info.run_id, "images.test")
    with pytest.raises(UserError, match="has no finished run with a test accuracy"):
        promote(folder, "Strokes")


@pytest.mark.parametrize("alias", ["v1", "latest", "a/b"])
def test_an_alias_that_mlflow_refuses_is_told_in_one_line(swept: Path, alias: str) -> None:
    done = run_module(swept, "pipeline.promote", "Strokes", "--alias", alias)
    assert done.returncode == 1
    [told] = done.stderr.splitlines()
    assert told.startswith("error: the tracking store sqlite:///mlflow.db: ")
    assert alias in told


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
    copy_of(swept, tmp_path)
    experiment = client(tmp_path).get_experiment_by_name("Strokes")
    client(tmp_path).rename_experiment(experiment.experiment_id, title)
    for _ in range(2):  # the second time, it is registered already
        promoted = promote(tmp_path, title)
        assert (promoted.uri, promoted.version) == (f"models:/{name}@champion", "1")
        assert promoted.description.startswith(f"{title}: learning_rate 0.3, ")
        aliased = client(tmp_path).get_model_version_by_alias(name, "champion")
        assert str(aliased.version) == "1"
