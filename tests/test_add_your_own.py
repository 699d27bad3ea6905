"""docs/add_your_own.md is followed to the letter in a copy of the repository."""

import re
import shutil
from pathlib import Path

import pytest

from pipeline.runs.history import read_history
from pipeline.runs.run import Run
from tests import browser
from tests.commands import ROOT, run_module
from tests.pages import commands, edits

PAGE = (ROOT / "docs/add_your_own.md").read_text(encoding="utf-8")
EDITS = edits(PAGE)
COMMANDS = commands(PAGE)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with all that the page adds."""
    root = tmp_path_factory.mktemp("copy")
    for folder in ("pipeline", "conf", "tests", "benchmarks"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "dvc.yaml"):
        shutil.copy(ROOT / name, root)
    for edit in EDITS:
        edit.make(root)
    return root


def test_xor_is_learned_with_all_that_the_page_adds(copy: Path) -> None:
    [experiment] = set(re.findall(r"experiment=\S+", " ".join(COMMANDS)))
    added = re.findall(r"(?<= )(?!experiment)\S+=\S+", " ".join(COMMANDS))
    assert len(added) == 5
    given = [experiment, *added, "tracking.enabled=false", "hydra.run.dir=out"]
    done = run_module(copy, "pipeline.train", *given, PYTHONPATH=str(copy))
    assert done.returncode == 0, done.stderr
    assert read_history(Run(copy / "out").history)[-1]["train_accuracy"] == 1


def test_the_tests_that_the_page_names_pass_with_all_that_it_adds(copy: Path) -> None:
    names = [match[1] for line in COMMANDS if (match := re.match(r'pytest tests/nn -k "(.+)"$', line))]
    assert len(names) == 4
    done = run_module(
        copy,
        "pytest",
        "tests/nn",
        "-k",
        " or ".join(names),
        "-q",
        "-p",
        "no:cacheprovider",
        PYTHONPATH=str(copy),
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not browser.is_there(), reason="there is no Chromium, or nothing that drives it")
def test_the_page_in_the_browser_knows_what_is_added(copy: Path) -> None:
    [name] = [match[1] for line in COMMANDS if (match := re.match(r"pytest (tests/page/\S+)$", line))]
    done = run_module(copy, "pytest", name, "-q", "-p", "no:cacheprovider", PYTHONPATH=str(copy))
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


def test_what_the_page_adds_is_in_the_style_of_the_project(copy: Path) -> None:
    files = sorted({edit.file for edit in EDITS if edit.file.endswith(".py")})
    for command in (["check"], ["format", "--check"]):
        done = run_module(copy, "ruff", *command, "--no-cache", *files)
        assert done.returncode == 0, done.stdout
