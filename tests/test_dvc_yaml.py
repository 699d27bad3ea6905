"""dvc.yaml names all that a stage's outputs depend on: modules and libraries.

DVC follows no import and knows no installed version (treeverse/dvc.org#2502, treeverse/dvc.org#4868).
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from tests.commands import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
VERSIONS = yaml.safe_load((ROOT / "versions.yaml").read_text(encoding="utf-8"))

CHANGES_NO_OUTPUT = {
    "pipeline.config": "reads and checks the values, and those on which an output depends are params",
    "pipeline.nn.types": "names types",
    "pipeline.support.bounds": "refuses values, which are params",
    "pipeline.support.cores": "the number of threads changes no bit of exact arithmetic",
    "pipeline.support.errors": "words errors",
    "pipeline.support.files": "writes and hashes the bytes that others make",
    "pipeline.support.program": "reads arguments and ends the program",
    "pipeline.sweeps": "a sweep trains in folders of its own",
    "pipeline.tracking": "copies the files that a stage has written into MLflow",
}
"""Modules and packages that a stage may import without naming them in its deps, each with the reason."""

LIBRARIES = {
    "numpy": ["numpy"],
    "PIL": ["pillow"],
    "pyarrow": ["pyarrow"],
    "sklearn": ["scikit-learn"],
    "matplotlib": ["matplotlib", "contourpy", "kiwisolver", "pillow"],  # with what it draws and writes with
}
"""The libraries whose version can change an output: what is imported, and the names in versions.yaml."""

CHANGES_NO_BYTE = {
    "hydra": "composes the configuration, whose values are params",
    "omegaconf": "reads the configuration, whose values are params",
    "pydantic": "checks values",
    "requests": "fetches files whose hashes are params",
    "tqdm": "shows progress",
}
"""Other libraries that a stage may import, each with the reason why it needs no version in its params."""


def find_module(name: str) -> Path | None:
    """Return the file of the project's module `name`, if there is one."""
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.exists()), None)


@cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Yield all that the module at `path` imports, anywhere in it, with the packages around that."""
    for node in ast.walk(syntax(path)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path} imports relative to itself"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [ast.literal_eval(node.args[0])]  # an error if the name is not written there
        for name in names:
            steps = name.split(".")
            yield from (".".join(steps[:end]) for end in range(1, len(steps) + 1))


def import_closure(stage: str) -> tuple[set[Path], set[str]]:
    """Return the files of the project that `stage` runs and the libraries that these import.

    What `CHANGES_NO_OUTPUT` names is left out, with all that only it imports.
    """
    files: set[Path] = set()
    libraries: set[str] = set()
    waiting = [f"pipeline.{stage}", f"pipeline.{stage}.__main__"]  # a module, or a package
    while waiting:
        name = waiting.pop()
        package, *_ = name.split(".")
        if package != "pipeline":
            libraries |= {package} - set(sys.stdlib_module_names)
        elif not any(f"{name}.".startswith(f"{left_out}.") for left_out in CHANGES_NO_OUTPUT):
            path = find_module(name)
            if path and path not in files:
                files.add(path)
                waiting += imports(path)
    return files, libraries


def does_something(path: Path) -> bool:
    """Return whether there is more in a module than its docstring."""
    return any(not isinstance(node, ast.Expr) for node in syntax(path).body)


def versions_in(entry: str | dict[str, list[str]]) -> list[str]:
    """Return the libraries that an entry of a stage's params names."""
    return entry.get("versions.yaml", []) if isinstance(entry, dict) else []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_module_that_can_change_its_outputs(stage: str) -> None:
    files, _ = import_closure(stage)
    run = {path.relative_to(ROOT).as_posix() for path in files if does_something(path)}
    code = [path for path in STAGES[stage]["deps"] if path.startswith("pipeline/")]
    assert code[0] in (f"pipeline/{stage}.py", f"pipeline/{stage}")
    covered = {name for name in run for path in code if f"{name}/".startswith(f"{path}/")}
    assert run - covered == set(), "dvc.yaml's deps lack these"
    unused = {path for path in code if not any(f"{name}/".startswith(f"{path}/") for name in run)}
    assert unused == set(), "nothing of these is imported"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_version_of_every_library_that_can_change_its_outputs(stage: str) -> None:
    _, libraries = import_closure(stage)
    assert libraries <= LIBRARIES.keys() | CHANGES_NO_BYTE.keys()
    named = {name for entry in STAGES[stage]["params"] for name in versions_in(entry)}
    assert named == {name for library in libraries for name in LIBRARIES.get(library, ())}


def test_every_exception_is_of_something_that_a_stage_imports() -> None:
    imported = {name for stage in STAGES for path in import_closure(stage)[0] for name in imports(path)}
    assert CHANGES_NO_OUTPUT.keys() | CHANGES_NO_BYTE.keys() <= imported


def test_the_versions_are_those_that_are_locked_and_installed() -> None:
    named = {name for stage in STAGES.values() for entry in stage["params"] for name in versions_in(entry)}
    assert VERSIONS.keys() == named
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    assert VERSIONS == {name: locked[name] for name in VERSIONS} == {name: version(name) for name in VERSIONS}


def test_make_lock_copies_the_versions_from_the_lock_file(tmp_path: Path) -> None:
    make = ["make", "--dry-run", "--no-print-directory", "-o", ".venv/.synced", "lock"]
    printed = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    expected = (ROOT / "versions.yaml").read_text(encoding="utf-8")
    outdated = re.sub(r'"(.+)"', '"0.1"', expected)
    assert outdated != expected
    (tmp_path / "versions.yaml").write_text(outdated, encoding="utf-8")
    subprocess.run(printed[printed.index("awk ") :], shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / "versions.yaml").read_text(encoding="utf-8") == expected
