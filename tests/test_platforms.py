"""What make does, and what macOS and Windows need of the repository."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common import machine
from tests.commands import ROOT, files

TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_program_that_make_starts_is_found_without_the_path_that_the_makefile_exports() -> None:
    """GNU make 3.81, as Apple ships it, looks for a program by the PATH that it was itself started with."""
    synced = [option for folder in (".venv", ".venv-scaling") for option in ("-o", f"{folder}/.synced")]
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *synced, *TARGETS],  # make may run these tests itself
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    programs = {shlex.split(line)[0] for line in done.stdout.replace("\\\n", " ").splitlines()}
    assert {".venv/bin/dvc", ".venv/bin/pytest", ".venv/bin/uv", "git"} <= programs
    for program in programs:
        assert program.startswith(".venv") or shutil.which(program, path="/usr/bin:/bin"), program


def test_make_repro_works_although_a_kill_has_cut_off_the_file_in_which_dvc_notes_its_locks(
    tmp_path: Path,
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "dvc.yaml").write_text("stages: {greet: {cmd: echo hello}}")
    dvc = tmp_path / ".venv/bin/dvc"
    subprocess.run([dvc, "init", "--quiet", "--no-scm"], cwd=tmp_path, check=True)
    locks = tmp_path / ".dvc/tmp/rwlock"
    locks.parent.mkdir(exist_ok=True)
    locks.write_text('{"read": {"conf": [{"pid": 7')
    refused = subprocess.run([dvc, "repro"], cwd=tmp_path, capture_output=True, text=True)
    assert "JSON structure is corrupted" in refused.stderr
    make = ["make", "-o", ".venv/.synced", "repro"]
    done = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "hello" in done.stdout


def test_a_clone_has_the_same_bytes_where_git_is_set_up_to_write_windows_line_ends(tmp_path: Path) -> None:
    clones = {}
    for autocrlf in ("true", "false"):
        folder = tmp_path / autocrlf
        subprocess.run(["git", "clone", "-qc", f"core.autocrlf={autocrlf}", ROOT, folder], check=True)
        clones[autocrlf] = {name: sha for name, sha in files(folder).items() if not name.startswith(".git/")}
    assert "dvc.lock" in clones["true"]
    assert clones["true"] == clones["false"]


NO_FILES_OF_TEXT = {
    "os.fdopen(os.dup(1), 'w', encoding='utf-8')",  # a pipe between two of our processes
    "owner.open('x', encoding='utf-8')",  # which process is at work: a line that only we read
    "archive.open(member, 'w', force_zip64=array.nbytes > LARGEST_MEMBER_BYTES)",  # bytes, in a ZIP file
}


def writes_text(call: ast.Call) -> bool:
    """Return whether `call` writes a text, or opens a file for one."""
    match call.func:
        case ast.Attribute(attr="write_text"):
            return True
        case ast.Attribute(attr="open" | "fdopen") | ast.Name(id="open" | "fdopen"):
            given = [*call.args, *(each.value for each in call.keywords if each.arg == "mode")]
            constants = [
                node.value for each in given for node in ast.walk(each) if isinstance(node, ast.Constant)
            ]
            modes = [text for text in map(str, constants) if re.fullmatch(r"[rwaxbt+]+", text)]
            return any(set("wax+") & set(mode) and "b" not in mode for mode in modes)
        case _:
            return False


def test_no_text_is_written_with_the_line_ends_of_the_system() -> None:
    """DVC hashes what the stages write, and Windows would have other line ends."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "pipeline").rglob("*.py")]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    writing = [node for node in nodes if isinstance(node, ast.Call) and writes_text(node)]
    assert len(writing) > 5
    left_to_the_system = [call for call in writing if "newline" not in {each.arg for each in call.keywords}]
    assert {ast.unparse(call) for call in left_to_the_system} == NO_FILES_OF_TEXT


def test_the_machine_is_described_where_threadpoolctl_does_not_know_the_blas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as Apple's Accelerate, which NumPy's wheels for new Macs use."""
    monkeypatch.setattr("benchmarks.common.threadpool_info", lambda: [])
    name = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    assert machine().endswith(f"NumPy {np.__version__}, {name}")
