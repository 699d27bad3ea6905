"""docs/add_your_own.md is followed to the letter in a copy of the repository."""

import re
import shutil
from pathlib import Path

import pytest

from pipeline.runs.history import read_history
from pipeline.runs.run import Run
from tests.commands import ROOT, run_module

PAGE = (ROOT / "docs/add_your_own.md").read_text(encoding="utf-8")
EDIT = r"^`(\S+)`(?:, (?:above `([^`]+)`|a new file))?:\n\n```(\w+)\n(.+?)```"
EDITS = re.findall(EDIT, PAGE, re.MULTILINE | re.DOTALL)  # file, above which line, language, code
COMMANDS = "".join(re.findall(r"```sh\n(.+?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with all that the page adds."""
    root = tmp_path_factory.mktemp("copy")
    for folder in ("pipeline", "conf", "tests", "benchmarks"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "dvc.yaml"):
        shutil.copy(ROOT / name, root)
    for name, above, language, code in EDITS:
        edit(root / name, above, language, code)
    return root


def edit(path: Path, above: str, language: str, code: str) -> None:
    """Write a new file, or change one: add `code` above the line that begins so, or its lines marked by +."""
    if language == "yaml":
        assert not path.exists()
        path.write_text(code, encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    if above:
        [old] = re.findall(rf"^{above}\b.*", text, re.MULTILINE)
        new = f"{code}\n\n{old}"
    else:
        lines = code.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(old) == 1, f"{path.name} has {text.count(old)} times {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_every_block_of_the_page_is_used() -> None:
    assert len(EDITS) == len(re.findall("```(?:python|diff|yaml)\n", PAGE))
    assert len(COMMANDS.splitlines()) == 8


def test_xor_is_learned_with_all_that_the_page_adds(copy: Path) -> None:
    [experiment] = set(re.findall(r"experiment=\S+", COMMANDS))
    added = re.findall(r"(?<= )(?!experiment)\S+=\S+", COMMANDS)
    assert len(added) == 5
    given = [experiment, *added, "tracking.enabled=false", "hydra.run.dir=out"]
    done = run_module(copy, "pipeline.train", *given, PYTHONPATH=str(copy))
    assert done.returncode == 0, done.stderr
    assert read_history(Run(copy / "out").history)[-1]["train_accuracy"] == 1


def test_the_tests_that_the_page_names_pass_with_all_that_it_adds(copy: Path) -> None:
    names = re.findall(r'^pytest tests/nn -k "(.+)"$', COMMANDS, re.MULTILINE)
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


def test_what_the_page_adds_is_in_the_style_of_the_project(copy: Path) -> None:
    files = sorted({name for name, *_ in EDITS if name.endswith(".py")})
    for command in (["check"], ["format", "--check"]):
        done = run_module(copy, "ruff", *command, "--no-cache", *files)
        assert done.returncode == 0, done.stdout
