"""The whole pipeline as its users run it: `dvc repro` in a fresh clone, on a few drawn images."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.data.idx import write_idx
from pipeline.runs.history import read_history
from pipeline.support.files import sha256
from tests.commands import (
    ROOT,
    SMALL,
    TRACKED,
    freezing,
    kill,
    kill_in_training,
    made_once,
    run_module,
    wait_for,
    wait_until_frozen,
)

CHAIN = ["download", "preprocess", "train", "evaluate", "plot", "page"]
STAGES = [*CHAIN, "problems"]


def run(clone: Path, *command: str, **environment: str) -> str:
    """Run `command` in `clone`, which must succeed, and return its standard output."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    done = subprocess.run(command, cwd=clone, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def make_clone(folder: Path, *options: str, without: str = " ") -> Path:
    """Return a repository at `folder` with this one's files as they are now and small `params.yaml`.

    Of what makes it small, options that begin with `without` are left out.
    """
    small = [option for option in TRACKED if not option.startswith(without)]
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for name in ("dvc.lock", "reports/metrics.json", "reports/problems.json"):  # of another dataset
        (folder / name).unlink(missing_ok=True)
    order = run_module(folder, "pipeline.train", "--cfg", "job", "--resolve", *small, *options)
    (folder / "params.yaml").write_text(order.stdout, encoding="utf-8")
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


def commit(clone: Path) -> None:
    run(clone, "git", "add", "--all")
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
    run(clone, "git", *identity, "commit", "--quiet", "--message=tests")


def ran(output: str) -> list[str]:
    """Return the stages that `dvc repro` says it ran."""
    return [stage for stage in STAGES if f"Running stage '{stage}'" in output]


def set_param(clone: Path, key: str, value: object) -> object:
    """Change a value in `params.yaml`, and return what it was."""
    path = clone / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    *groups, last = key.split(".")
    group = params
    for name in groups:
        group = group[name]
    before, group[last] = group[last], value
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    return before


def runs(clone: Path) -> list[dict[str, str]]:
    """Return the runs in the clone's MLflow store, the oldest first, with all that is known of each."""
    program = (
        "import json, mlflow; mlflow.set_tracking_uri('sqlite:///mlflow.db');"
        "runs = mlflow.search_runs(search_all_experiments=True, order_by=['attributes.start_time']);"
        "print(runs.to_json(orient='records', default_handler=str))"
    )
    return json.loads(run(clone, "python", "-c", program).splitlines()[-1])


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which the pipeline has run once, without MLflow; its results are committed."""

    def reproduce(clone: Path) -> None:
        make_clone(clone, "tracking.enabled=false")
        assert ran(run(clone, "dvc", "repro")) == STAGES
        commit(clone)

    return made_once("untracked", reproduce, tmp_path_factory)


@pytest.fixture
def clone(untracked: Path, tmp_path: Path) -> Path:
    """A copy of `untracked` that a test may change."""
    return shutil.copytree(untracked, tmp_path / "clone", symlinks=True)


def test_every_stage_leaves_what_the_next_one_reads(clone: Path) -> None:
    figures = {"digits", "accuracy", "loss", "dead_units", "confusion_matrix", "misread", "weights"}
    assert {path.stem for path in (clone / "reports/figures").glob("*.png")} == figures
    assert (clone / "reports/figures/weights.gif").stat().st_size < 2_000_000
    problems = json.loads((clone / "reports/problems.json").read_text(encoding="utf-8"))
    assert problems["xor"]["largest_error"] < 0.05
    metrics = json.loads((clone / "reports/metrics.json").read_text(encoding="utf-8"))
    last = read_history(clone / "reports/history.csv")[-1]
    assert metrics["train"]["accuracy"] == last["train_accuracy"]
    assert metrics["test"]["accuracy"] == last["test_accuracy"]
    with (clone / "reports/predictions.csv").open(encoding="utf-8") as file:
        predictions = list(csv.DictReader(file))
    right = sum(row["label"] == row["prediction"] for row in predictions)
    assert right / len(predictions) == pytest.approx(metrics["test"]["accuracy"], abs=1e-6)
    assert run(clone, "git", "status", "--porcelain") == ""


def test_measuring_and_drawing_a_small_problem_changes_nothing_that_dvc_keeps(clone: Path) -> None:
    for command in ("evaluate", "plot"):
        run(clone, "python", "-m", f"pipeline.{command}", "models/problems/xor")
    assert (clone / "models/problems/xor/reports/figures/learned.gif").exists()
    assert "up to date" in run(clone, "dvc", "status", "problems")


def test_a_second_run_does_nothing(clone: Path) -> None:
    output = run(clone, "dvc", "repro")
    assert ran(output) == []
    assert "Data and pipelines are up to date." in output


@pytest.mark.stress
def test_another_clone_elsewhere_gives_the_same_lock(untracked: Path, tmp_path: Path) -> None:
    other = make_clone(tmp_path / "a folder of another name", "tracking.enabled=false")
    surroundings = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "USER": "somebody", "PYTHONHASHSEED": "7"}
    kernels = {"OPENBLAS_CORETYPE": "Sandybridge", "OPENBLAS_NUM_THREADS": "2"}
    run(other, "dvc", "repro", **surroundings, **kernels)
    assert (other / "dvc.lock").read_text() == (untracked / "dvc.lock").read_text()


@pytest.mark.stress
def test_verify_tells_whether_the_committed_results_are_reproduced(clone: Path) -> None:
    told = run(clone, "python", "-m", "benchmarks.verify")
    assert "outputs have the committed bits" in told and "different" not in told
    lock = clone / "dvc.lock"
    stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
    digest = next(out["md5"] for out in stages["train"]["outs"] if out["path"] == "models/model.npz")
    lock.write_text(lock.read_text(encoding="utf-8").replace(digest, "f" * 32), encoding="utf-8")
    commit(clone)
    done = run_module(clone, "benchmarks.verify", PYTHONPATH=str(clone))
    assert done.returncode == 1
    assert done.stderr.endswith("the first stage with another output than the committed one is train\n")
    assert done.stdout.count("different") == 1


@pytest.mark.stress
@pytest.mark.parametrize(
    ("key", "value", "stages"),
    [
        ("optimizer.learning_rate", 0.05, ["train", "evaluate", "plot", "page"]),
        ("seed", 1, ["train", "evaluate", "plot", "page"]),
        ("split.validation", 50, ["preprocess", "train", "evaluate", "plot", "page"]),
        ("split.test", 90, ["preprocess", "train", "evaluate", "plot", "page"]),
        ("dataset.official", 61, CHAIN),
    ],
)
def test_a_changed_value_runs_the_stages_that_read_it(
    clone: Path, key: str, value: object, stages: list[str]
) -> None:
    set_param(clone, key, value)
    assert ran(run(clone, "dvc", "repro")) == stages


def test_another_version_of_a_library_runs_again_what_it_can_change(clone: Path) -> None:
    pinned = yaml.safe_load((clone / "versions.yaml").read_text(encoding="utf-8"))
    for library, stages in {"numpy": STAGES, "matplotlib": ["plot", "problems"]}.items():
        (clone / "versions.yaml").write_text(yaml.safe_dump({**pinned, library: "1.0"}), encoding="utf-8")
        changed = json.loads(run(clone, "dvc", "status", "--json"))
        of_libraries = {
            stage
            for stage, reasons in changed.items()
            for reason in reasons
            if isinstance(reason, dict) and "versions.yaml" in reason.get("changed deps", {})
        }
        assert of_libraries == set(stages)


def test_no_file_is_lost_that_somebody_put_into_the_folders_of_a_stage(clone: Path) -> None:
    stages = ["download", "preprocess", "plot", "problems"]
    mine = [
        clone / "data/raw/photos.zip",
        clone / "data/processed/thesis/chapter.tex",
        clone / "reports/figures/mine.png",
        clone / "reports/problems/notes.txt",
        clone / "models/problems/mine/model.npz",
    ]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    assert ran(run(clone, "dvc", "repro", "--single-item", *stages)) == stages
    assert all(path.read_text() == "mine" for path in mine)


def test_each_folder_that_a_stage_writes_is_left_in_place_by_dvc(untracked: Path) -> None:
    for stage in yaml.safe_load((untracked / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values():
        for out in stage["outs"]:
            path, options = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            assert options.get("persist", False) == (untracked / path).is_dir(), path


def test_stand_ins_are_told_of_each_time_and_heal_once_a_source_is_reached(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    shapes = {
        "train_images": (9, 4, 3),
        "train_labels": (9,),
        "official_images": (2, 4, 3),
        "official_labels": (2,),
    }
    for role, shape in shapes.items():
        write_idx(mirror / f"{role}.gz", shape, [np.zeros(shape, np.uint8)])
    pinned = {
        role: {"name": f"{role}.gz", "hash": f"sha256:{sha256(path)}", "size": path.stat().st_size}
        for role in shapes
        for path in [mirror / f"{role}.gz"]
    }
    clone = make_clone(tmp_path / "clone", "dataset=mnist", without="dataset.")
    set_param(clone, "dataset.files", pinned)
    set_param(clone, "dataset.mirrors", [str(tmp_path / "unplugged")])
    commit(clone)

    def reproduce(**environment: str) -> str:
        command = ["dvc", "repro", "download"]
        settings = {name: value for name, value in os.environ.items() if name != "DATA_MIRROR"} | environment
        done = subprocess.run(command, cwd=clone, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    for _ in range(2):
        assert "NOTHING IS ABOUT MNIST" in reproduce()
    assert "look_again.yaml" in run(clone, "git", "status", "--porcelain")
    assert "NOTHING IS ABOUT" not in reproduce(DATA_MIRROR=str(mirror))
    assert "Data and pipelines are up to date." in reproduce()
    assert {path.name for path in (clone / "data/raw").glob("*.gz")} == {
        path.name for path in mirror.iterdir()
    }
    assert "look_again.yaml" not in run(clone, "git", "status", "--porcelain")


def test_the_project_runs_as_a_folder_of_another_repository(tmp_path: Path) -> None:
    project = make_clone(tmp_path / "monorepo/project", "tracking.enabled=false")
    shutil.rmtree(project / ".git")
    run(project.parent, "git", "init", "--quiet")
    run(project, "dvc", "init", "--subdir", "--force")  # removes all that is in .dvc
    assert ran(run(project, "dvc", "repro", "download")) == ["download"]


def test_dvc_tells_what_changed_and_takes_back_what_was_from_its_cache(clone: Path) -> None:
    model = clone / "models/model.npz"
    trained = model.read_bytes()
    assert "accuracy" in run(clone, "dvc", "metrics", "show")
    rate = set_param(clone, "optimizer.learning_rate", 0.3)
    assert "optimizer.learning_rate" in run(clone, "dvc", "params", "diff")
    assert ran(run(clone, "dvc", "repro")) == ["train", "evaluate", "plot", "page"]
    assert model.read_bytes() != trained
    changed = json.loads(run(clone, "dvc", "metrics", "diff", "--json"))
    assert {path: set(metrics) for path, metrics in changed.items()} == {
        "reports/metrics.json": {"train.accuracy", "test.accuracy", "official.accuracy"}
    }
    run(clone, "dvc", "plots", "show", "--out", "plots")
    page = (clone / "plots/index.html").read_text(encoding="utf-8")
    assert all(title in page for title in ("Accuracy by epoch", "Labels and predictions", "weights.png"))
    first = ["Experiment", "Created", "train.accuracy", "test.accuracy", "official.accuracy"]
    _, header, *_ = run(clone, "dvc", "exp", "show").splitlines()
    assert header[:100].split()[: len(first)] == first
    _, header, *_ = run(clone, "dvc", "exp", "show", "--only-changed").splitlines()
    assert header[:120].split()[: len(first) + 1] == [*first, "optimizer.learning_rate"]
    assert "preprocess" in run(clone, "dvc", "dag", "--dot")

    set_param(clone, "optimizer.learning_rate", rate)
    output = run(clone, "dvc", "repro")
    assert ran(output) == ["plot"] and output.count("is cached") == len(["train", "evaluate", "page"])
    assert model.read_bytes() == trained


@pytest.mark.stress
def test_params_that_are_changed_while_a_stage_runs_are_not_noted_for_its_outputs(clone: Path) -> None:
    set_param(clone, "training.checkpoint", 0.0)
    set_param(clone, "optimizer.learning_rate", 0.2)
    noted = (clone / "dvc.lock").read_bytes()
    with freezing(checkpoint=1) as (frozen, environment):
        repro = subprocess.Popen(["dvc", "repro"], cwd=clone, env={**os.environ, **environment})
        pid = wait_until_frozen(repro, frozen)
        set_param(clone, "seed", 1)
        os.kill(pid, signal.SIGCONT)
        assert repro.wait() != 0
    assert (clone / "dvc.lock").read_bytes() == noted
    assert ran(run(clone, "dvc", "repro")) == ["train", "evaluate", "plot", "page"]


def experiment(clone: Path, name: str, *options: str, rate: float) -> None:
    """Run, or queue, the experiment `name`."""
    changes = [*TRACKED, f"optimizer.learning_rate={rate}"]  # `-S` composes from conf/, not from params.yaml
    run(clone, "dvc", "exp", "run", "--name", name, *options, *(f"--set-param={key}" for key in changes))


def experiments(clone: Path) -> set[str]:
    """Return the names of the experiments that have ended well."""
    references = run(clone, "git", "for-each-ref", "refs/exps", "--format=%(refname)").splitlines()
    return {Path(name).name for name in references if not name.startswith("refs/exps/exec")}


@pytest.mark.stress
def test_experiments_and_repro_record_their_runs_in_one_store(clone: Path) -> None:
    rates = {"plain": 0.2, "temporary": 0.01, "queued-1": 0.02, "queued-2": 0.03}
    set_param(clone, "tracking.enabled", True)
    set_param(clone, "seed", 1)
    run(clone, "dvc", "repro")
    commit(clone)
    experiment(clone, "temporary", "--temp", rate=rates["temporary"])
    for name in ("queued-1", "queued-2"):
        experiment(clone, name, "--queue", rate=rates[name])
    try:  # its workers hold on to its output, and one of two may miss the message that the queue is empty
        run(clone, "sh", "-c", "dvc queue start --jobs 2 > /dev/null 2>&1")
        wait_for(lambda: run(clone, "dvc", "queue", "status").count("Success") == 2)
    finally:
        run(clone, "dvc", "queue", "stop", "--kill")
        kill(*(int(path.read_text()) for path in (clone / ".dvc/tmp/exps/celery").glob("*.pid")))
    assert experiments(clone) == {"temporary", "queued-1", "queued-2"}
    experiment(clone, "plain", rate=rates["plain"])

    repro, *others = runs(clone)
    assert repro["params.seed"] == "1"
    assert repro["tags.dvc.experiment"] is None
    recorded = {other["tags.dvc.experiment"]: other for other in others}
    assert len(others) == len(rates)
    table = csv.DictReader(run(clone, "dvc", "exp", "show", "--csv").splitlines())
    shown = {row["Experiment"]: row for row in table if row["Experiment"]}
    assert recorded.keys() == shown.keys() == rates.keys()
    for name, rate in rates.items():
        assert recorded[name]["status"] == "FINISHED"
        assert float(recorded[name]["params.optimizer.learning_rate"]) == rate
        assert float(shown[name]["optimizer.learning_rate"]) == rate
        for part in ("train", "test", "official"):
            assert recorded[name][f"metrics.{part}_accuracy"] == float(shown[name][f"{part}.accuracy"])
    model = (clone / "models/model.npz").read_bytes()
    assert recorded["plain"]["tags.model_sha256"] == hashlib.sha256(model).hexdigest()
    metrics = json.loads((clone / "reports/metrics.json").read_text(encoding="utf-8"))
    assert recorded["plain"]["metrics.test_accuracy"] == metrics["test"]["accuracy"]


@pytest.mark.stress
@pytest.mark.parametrize("where", [[], ["--temp"]], ids=["here", "temp"])
def test_an_experiment_that_was_killed_goes_on_when_it_is_run_again(clone: Path, where: list[str]) -> None:
    changes = [*SMALL, "training.epochs=8", "training.checkpoint=0.0"]
    command = ["dvc", "exp", "run", "--name", "long", *where, *(f"--set-param={key}" for key in changes)]
    kill_in_training(clone, *command)
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "training goes on after epoch " in done.stderr + done.stdout
    undisturbed = run_module(clone, "pipeline.train", *changes, "hydra.run.dir=undisturbed")
    assert undisturbed.returncode == 0, undisturbed.stderr
    [reference] = run(clone, "git", "for-each-ref", "refs/exps/*/*/long", "--format=%(refname)").splitlines()
    lock = yaml.safe_load(run(clone, "git", "show", f"{reference}:dvc.lock"))
    made = {out["path"]: out["md5"] for out in lock["stages"]["train"]["outs"]}
    assert "models/model.npz" in made
    for path, md5 in made.items():
        assert hashlib.md5((clone / "undisturbed" / path).read_bytes()).hexdigest() == md5
