"""docs/make-it-yours.md is followed to the letter in a fresh clone."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.rename import PACKAGE, PROJECT, refusal, renamed
from tests.commands import ROOT
from tests.pages import actions, commands

NAME = "sentiment_analysis"  # longer than the old name, and later in the order of imports
PAGE = "docs/make-it-yours.md"
BIN = Path(sys.executable).parent
STEPS = re.compile(r"^(?=## )", re.MULTILINE)


def run(clone: Path, *command: str, status: int = 0) -> str:
    """Run a command in `clone` as a user would in the project's environment, and return what it said."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    told = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == status, told
    return told


def follow(clone: Path, step: str) -> None:
    """Do all that `step` of the page in `clone` tells of, but for the stages and commands at its end."""
    [text] = [part for part in STEPS.split((clone / PAGE).read_text(encoding="utf-8")) if step in part[:30]]
    for action in actions(text):
        if not isinstance(action, str):
            action.make(clone)
        elif not action.startswith(("make", "python")):
            run(clone, "bash", "-c", action)


def commit(clone: Path) -> None:
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
    run(clone, "git", "add", "--all")
    run(clone, "git", *identity, "commit", "--quiet", "--message=tests")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this one's files as they are now, in which the package has been renamed."""
    folder = tmp_path_factory.mktemp("yours") / "clone"
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").strip()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    commit(folder)
    run(folder, "python", "docs/rename.py", NAME)
    commit(folder)
    return folder


@pytest.fixture
def yours(clone: Path, tmp_path: Path) -> Path:
    """A copy of `clone` that a test may change."""
    return shutil.copytree(clone, tmp_path / "yours", symlinks=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python -m pipeline.train", "python -m wine.train"),
        ("import pipeline", "import wine"),
        ("from pipeline import plot", "from wine import plot"),
        ("from pipeline.nn.mlp import MLP", "from wine.nn.mlp import MLP"),
        ("a pipeline/nn", "a wine/nn"),
        ('["pipeline", "tests"]', '["wine", "tests"]'),
        ('startswith("pipeline.")', 'startswith("wine.")'),
        (r"(?:pipeline|benchmarks)\. pipeline\.train", r"(?:wine|benchmarks)\. wine\.train"),
        ('f"pipeline.{stage}", `python -m pipeline.…`', 'f"wine.{stage}", `python -m wine.…`'),
        (
            f'name = "{PROJECT}"\n# via {PROJECT} (pyproject.toml)',
            'name = "wine"\n# via wine (pyproject.toml)',
        ),
        ("A pipeline to trust. The pipeline's own, pipelines", None),
        ("[a day](docs/pipeline.md#a-day), (pipeline.md), tests/test_pipeline.py", None),
    ],
)
def test_references_are_renamed_and_sentences_are_not(text: str, expected: str | None) -> None:
    assert renamed(text, "wine") == (expected or text)


@pytest.mark.parametrize(
    "name",
    ["", "Wine", "2nd", "my-wine", "class", "tests", "docs", "data", "models", "json", "numpy", PACKAGE],
)
def test_a_bad_name_is_refused(name: str) -> None:
    assert refusal(name)


def test_good_names_are_not_refused() -> None:
    assert [refusal(name) for name in ("grape", NAME, "w2")] == [None] * 3


def test_a_refusal_is_one_line_and_changes_nothing(yours: Path) -> None:
    before = run(yours, "git", "rev-parse", "HEAD")
    for arguments in ([], ["json"], ["one", "two"]):
        told = run(yours, "python", "docs/rename.py", *arguments, status=1).strip()
        assert told.startswith("error: ") and len(told.splitlines()) == 1
    assert run(yours, "git", "status", "--porcelain").strip() == ""
    (yours / "README.md").write_text("mine", encoding="utf-8")
    told = run(yours, "python", "docs/rename.py", "wine", status=1).strip()
    assert told.startswith("error: not a clean Git clone: commit or stash") and len(told.splitlines()) == 1
    assert run(yours, "git", "status", "--porcelain").strip() == "M README.md"
    assert run(yours, "git", "rev-parse", "HEAD") == before


def mentions(clone: Path) -> Iterator[str]:
    """Yield each word in `clone` that names the package as it was, and is no word of a sentence."""
    name = re.compile(rf"(?<!\w){PACKAGE}(?!\w)")
    for path in run(clone, "git", "ls-files", "-z").strip().split("\0"):
        if path.endswith((".png", ".gif", "test_make_it_yours.py")) or not path.strip():
            continue
        for word in filter(name.search, (clone / path).read_text(encoding="utf-8").split()):
            bare = word.strip(".,;:)(*\"'`#|\\n").removeprefix("NAME=").removesuffix("'s")
            if bare != PACKAGE and f"{PACKAGE}.md" not in word:
                yield f"{path}: {word}"


def test_after_renaming_nothing_refers_to_the_old_name_and_the_style_is_right(clone: Path) -> None:
    assert list(mentions(clone)) == []
    assert not (clone / PACKAGE).exists()
    assert (clone / NAME / "train.py").exists()
    assert 'name = "sentiment-analysis"' in (clone / "pyproject.toml").read_text(encoding="utf-8")
    run(clone, "ruff", "check", "--no-cache", ".")
    run(clone, "ruff", "format", "--no-cache", "--check", ".")
    run(clone, "python", "-m", f"{NAME}.evaluate", "--help")


@pytest.mark.stress
def test_the_types_are_right_after_renaming(clone: Path) -> None:
    run(clone, "mypy")


@pytest.fixture
def swapped(yours: Path) -> Path:
    """A clone in which all of the page has been followed, but for the commands at its end."""
    follow(yours, "2. Your data")
    follow(yours, "3. Your model")
    return yours


def reproduce(clone: Path, *options: str) -> str:
    """Do `make params` with `options` and `make repro`, in the environment that is there."""
    composed = run(clone, "python", "-m", f"{NAME}.train", "--cfg", "job", "--resolve", *options)
    (clone / "params.yaml").write_text(composed, encoding="utf-8")
    return run(clone, "dvc", "repro")


def test_another_model_on_other_data_is_trained_measured_and_drawn_by_the_page(swapped: Path) -> None:
    run(swapped, "ruff", "check", "--no-cache", NAME)
    run(swapped, "ruff", "format", "--no-cache", "--check", NAME)
    told = reproduce(swapped, "tracking.enabled=false")
    assert "Digits: accuracy 98.49% (train), 95.91% (validation), 96.67% (test)" in told
    figures = {path.stem for path in (swapped / "reports/figures").iterdir()}
    assert {"accuracy", "confusion_matrix", "misread", "weights"} <= figures
    assert "up to date" in run(swapped, "dvc", "status")
    run(swapped, "pytest", "-p", "no:cacheprovider", "tests/test_dvc_yaml.py")


@pytest.mark.stress
def test_another_model_is_recorded_swept_promoted_and_served_by_the_page(swapped: Path) -> None:
    reproduce(swapped)
    sweep, promote = commands((swapped / PAGE).read_text(encoding="utf-8"))[-2:]
    told = run(swapped, *sweep.split())
    assert "job 0: C 0.01: validation error" in told and "job 1: C 0.1: validation error" in told
    [table] = (swapped / "multirun").glob("*/*/sweep.csv")
    assert len(table.read_text(encoding="utf-8").splitlines()) == 3
    jobs = [path.as_posix() for path in sorted(table.parent.glob("[01]"))]
    assert "committee of 2: accuracy" in run(swapped, "python", "-m", f"{NAME}.evaluate", *jobs)
    told = run(swapped, *promote.split())
    assert re.search(r"models:/digits@champion is version 1: .*\bC 1, seed 0, .* 95\.91%", told)
    program = (
        "import json, mlflow, numpy as np; mlflow.set_tracking_uri('sqlite:///mlflow.db');"
        "images = 16 * np.load('data/processed/test_images.npy');"  # as they are raw, from 0 to 16
        "answer = mlflow.pyfunc.load_model('models:/digits@champion').predict(images);"
        "names = mlflow.search_runs(search_all_experiments=True)['tags.mlflow.runName'];"
        "print(json.dumps([list(answer.label), sorted(names)]))"
    )
    served, names = json.loads(run(swapped, "python", "-c", program).strip().splitlines()[0])
    predictions = (swapped / "reports/predictions.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert served == [row.split(",")[2] for row in predictions]
    assert names == ["C 0.01", "C 0.1", "C 1, seed 0", "sweep of C, 2 jobs"]


@pytest.mark.stress
def test_the_types_are_right_with_another_model(swapped: Path) -> None:
    run(swapped, "mypy", NAME)
