"""Any run's folder, whatever trained it, can be measured and drawn."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.dataset import load_dataset
from pipeline.runs.history import read_history
from pipeline.runs.models import classify, load_model
from pipeline.runs.run import Run
from tests.commands import SMALL, UNDER_DVC, files, made_once, run_module
from tests.stores import client

MEASURED = {"metrics.json", "classes.csv", "predictions.csv"}
CURVES = {"accuracy.png", "loss.png", "dead_units.png"}


def command(folder: Path, *arguments: str) -> str:
    """Run a command that ends well in `folder`, and return what it printed."""
    done = run_module(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with DVC's run, a single training, a sweep of two jobs, and two small problems."""

    def train(folder: Path) -> None:
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        command(folder, "pipeline.train", *UNDER_DVC)
        command(folder, "pipeline.train", *SMALL, "hydra.run.dir=outputs/one")
        command(folder, "pipeline.train", "-m", *SMALL, "seed=1,0", "hydra.sweep.dir=multirun/seeds")
        for problem in ("xor", "alternating_solved"):
            options = ["tracking.enabled=false", "training.epochs=20", f"hydra.run.dir=outputs/{problem}"]
            command(folder, "pipeline.train", f"experiment={problem}", *options)

    return made_once("runs of each kind", train, tmp_path_factory)


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy of `trained` that a test may change."""
    return shutil.copytree(trained, tmp_path / "project")


def reports(run: Path) -> dict[str, str]:
    """Return the hashes of what is below the reports of the run in that folder."""
    return files(run / "reports")


def test_a_run_is_measured_and_drawn_in_its_folder_as_dvcs_is_at_the_root(project: Path) -> None:
    before = reports(project)
    for folder in ("outputs/one", "multirun/seeds/1"):  # of the same configuration as DVC's
        assert "accuracy" in command(project, "pipeline.evaluate", folder)
        assert reports(project) == before
    command(project, "pipeline.plot", "multirun/seeds/1")
    assert reports(project) == before

    command(project, "pipeline.evaluate")
    assert set(reports(project)) - set(before) == MEASURED
    assert reports(project / "outputs/one") == reports(project)
    command(project, "pipeline.plot")
    assert reports(project / "multirun/seeds/1") == reports(project)


def test_several_runs_are_measured_each_and_as_a_committee(project: Path) -> None:
    folders = ["outputs/held_out", "multirun/seeds/0", "multirun/seeds/1"]
    command(project, "pipeline.train", *SMALL, "split.validation=50", f"hydra.run.dir={folders[0]}")
    *each, committee = command(project, "pipeline.evaluate", *folders).splitlines()
    assert [line.split(":")[0] for line in each] == ["Strokes"] * 3
    dataset = load_dataset(project / "data/processed")
    models = [load_model(Run(project / folder).model) for folder in folders]
    logarithms = sum(np.log(classify(model, dataset.test.inputs)[1] + 1e-30) for model in models)
    right = (np.argmax(logarithms, axis=1) == dataset.test.targets.argmax(axis=1)).mean()
    assert f"committee of 3: accuracy {right:.2%} (test)" in committee
    assert "(validation)" in each[0] and "(validation)" not in committee  # others were trained on it


def test_what_cannot_be_a_committee_is_refused_before_anything_is_measured(project: Path) -> None:
    before = reports(project / "multirun/seeds/0")
    for folders, reason in {
        ("multirun/seeds/0", "outputs/xor"): "only of networks that tell the same classes apart",
        ("multirun/seeds/0", "multirun/../multirun/seeds/0"): "is there twice",
        ("multirun/seeds/0", "outputs/nothing"): "outputs/nothing should be the folder of a training",
    }.items():
        done = run_module(project, "pipeline.evaluate", *folders)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
        assert reason in done.stderr
    assert reports(project / "multirun/seeds/0") == before


def test_the_network_of_a_job_that_its_sweep_skipped_is_the_one_that_it_has(project: Path) -> None:
    again = ["-m", *SMALL, "seed=1,0", "hydra.sweep.dir=multirun/again"]
    assert "skipped" in command(project, "pipeline.train", *again)
    assert not Run(project / "multirun/again/0").model.exists()
    told = command(project, "pipeline.evaluate", "multirun/again/0", "multirun/again/1")
    assert told == command(project, "pipeline.evaluate", "multirun/seeds/0", "multirun/seeds/1")
    first, job = Run(project / "multirun/seeds/0"), "multirun/again/0"
    assert "multirun/seeds/0/reports/figures" in command(project, "pipeline.plot", job)
    assert "multirun/seeds/0/reports/page.html" in command(project, "pipeline.page", job)
    assert first.figures.exists() and first.page.exists()


def test_copies_of_a_network_that_has_learned_from_no_distorted_images_are_refused(project: Path) -> None:
    other = ["augmentation=affine", "evaluation.copies=4"]
    params = command(project, "pipeline.train", "--cfg", "job", "--resolve", *SMALL, *other)
    (project / "params.yaml").write_text(params, encoding="utf-8")
    done = run_module(project, "pipeline.evaluate")
    assert done.returncode == 1
    assert done.stderr == (
        "error: params.yaml: evaluation.copies = 4: should be 1, since models/model.npz was trained with"
        " augmentation = none\n"
    )


def test_predictions_averaged_over_copies_are_a_metric_of_their_own(project: Path) -> None:
    folder, single = "outputs/elastic", ["augmentation=affine_elastic", "hydra.run.dir=outputs/elastic"]
    command(project, "pipeline.train", *SMALL, *single, "evaluation.copies=3")
    assert "accuracy averaged over copies" in command(project, "pipeline.evaluate", folder)
    run = Run(project / folder)
    measured = json.loads(run.metrics.read_text(encoding="utf-8"))
    last = read_history(run.history)[-1]
    assert measured["test"]["accuracy"] == last["test_accuracy"]
    assert {part: "averaged_accuracy" in values for part, values in measured.items()} == {
        "train": False,
        "test": True,
        "official": True,
    }
    assert measured["test"]["averaged_accuracy"] != measured["test"]["accuracy"]


def test_a_folder_is_measured_by_its_own_configuration_not_by_the_one_at_the_root(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("seed: 0", "seed: 7"), encoding="utf-8")
    command(project, "pipeline.evaluate", "multirun/seeds/0")
    run = Run(project / "multirun/seeds/0")
    measured = json.loads(run.metrics.read_text(encoding="utf-8"))
    last = read_history(run.history)[-1]
    assert measured["test"]["accuracy"] == last["test_accuracy"]
    assert measured["train"]["accuracy"] == last["train_accuracy"]


@pytest.mark.parametrize(
    ("problem", "points", "learned"),
    [
        ("xor", 4, {"learned.png", "learned.gif", "learned_3d.png"}),
        ("alternating_solved", 8, {"learned.png", "learned.gif"}),
    ],
)
def test_a_small_problem_is_measured_on_its_points_and_what_it_learned_is_drawn(
    project: Path, problem: str, points: int, learned: set[str]
) -> None:
    shutil.rmtree(project / "data")
    run = Run(project / "outputs" / problem)
    command(project, "pipeline.evaluate", f"outputs/{problem}")
    last = read_history(run.history)[-1]
    measured = json.loads(run.metrics.read_text(encoding="utf-8"))
    assert measured.keys() == {"train"}
    assert measured["train"]["accuracy"] == last["train_accuracy"]
    with run.predictions.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == points
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert right == last["train_accuracy"]
    assert all(0.5 <= float(row["confidence"]) <= 1 for row in rows)
    told = command(project, "pipeline.plot", f"outputs/{problem}")
    assert told.split() == ["figures:", str(Path("outputs", problem, "reports/figures"))]
    assert {path.name for path in run.figures.iterdir()} == CURVES | learned


def test_a_run_in_mlflow_gets_what_is_measured_and_drawn_in_its_folder(tracked: Path) -> None:
    folder = "outputs/xor"
    command(tracked, "pipeline.train", "experiment=xor", "training.epochs=10", f"hydra.run.dir={folder}")
    for stage in ("evaluate", "plot"):
        assert "MLflow: " in command(tracked, f"pipeline.{stage}", folder)
    store = client(tracked)
    experiment = store.get_experiment_by_name("XOR")
    assert experiment
    [run] = store.search_runs([experiment.experiment_id])
    recorded = {
        file.path for place in (None, "figures") for file in store.list_artifacts(run.info.run_id, place)
    }
    assert {*MEASURED, *(f"figures/{name}" for name in CURVES), "figures/learned.gif"} <= recorded


def remove_model(project: Path) -> None:
    (project / "outputs/one/models/model.npz").unlink()


def damage_model(project: Path) -> None:
    (project / "outputs/one/models/model.npz").write_bytes(b"PK")


def swap_snapshots(project: Path) -> None:
    shutil.copy(project / "outputs/xor/models/snapshots.npz", project / "outputs/one/models")
    command(project, "pipeline.evaluate", "outputs/one")


def change_data(project: Path) -> None:
    path = project / "data/processed/test_images.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")


def remove_data(project: Path) -> None:
    shutil.rmtree(project / "data/processed")


def ask_for_other_data(project: Path) -> None:
    change_data(project)
    params = project / "outputs/one/params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("test: 95", "test: 90"), encoding="utf-8")


def damage_snapshots(project: Path) -> None:
    (project / "outputs/xor/models/snapshots.npz").write_bytes(b"PK")


def damage_nothing(project: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("command", "damage", "message"),
    [
        (
            "evaluate outputs/one",
            remove_model,
            "outputs/one/models/model.npz is not there: outputs/one should be the",
        ),
        (
            "plot outputs/one",
            remove_model,
            "outputs/one/models/model.npz is not there: outputs/one should be the",
        ),
        (
            "evaluate outputs/one",
            damage_model,
            "outputs/one/models/model.npz is not what this pipeline wrote",
        ),
        (
            "plot outputs/one",
            swap_snapshots,
            "outputs/one/models/snapshots.npz is of another network than outputs/one/",
        ),
        (
            "evaluate outputs/one",
            change_data,
            "outputs/one/models/model.npz was trained on other data than data/processed holds: prepare",
        ),
        ("evaluate outputs/one", ask_for_other_data, "split.test = 90, but data/processed holds 95 images"),
        (
            "evaluate outputs/one",
            remove_data,
            "data/processed/dataset.json is not there: `dvc repro preprocess`",
        ),
        (
            "plot outputs/xor",
            damage_snapshots,
            "outputs/xor/models/snapshots.npz is not what this pipeline wro",
        ),
        (
            "plot outputs/one",
            damage_nothing,
            "outputs/one/reports/metrics.json is not there: `python -m pipeline.evalua",
        ),
    ],
)
def test_what_keeps_a_folder_from_being_measured_or_drawn_is_said_in_one_line(
    project: Path, command: str, damage: Callable[[Path], None], message: str
) -> None:
    damage(project)
    before = files(project)
    done = run_module(project, *f"pipeline.{command}".split())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1
    assert "dvc repro train" not in done.stderr and "dvc repro -f train" not in done.stderr
    assert files(project) == before
