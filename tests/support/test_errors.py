"""What the operating system refuses is told as that, not as damage."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.nn.mlp import MLP
from pipeline.runs.models import load_model, save_model
from pipeline.support.errors import UserError, one_line_errors
from tests.commands import ROOT

SAYS_MUCH = """
from pipeline.support.errors import one_line_errors
with one_line_errors():
    for _ in range(10_000):
        print("28×28")
"""


def start(program: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_end_of_its_reader_ends_a_program_without_a_traceback() -> None:
    """As in `python -m pipeline.train | head -1`."""
    with start(SAYS_MUCH) as program:
        assert program.stdout and program.stderr
        assert program.stdout.readline() == "28×28\n"
        program.stdout.close()
        assert program.stderr.read() == "error: nobody reads the output any more (broken pipe)\n"
    assert program.returncode == 1


def test_output_that_takes_only_ascii_does_not_end_a_program() -> None:
    with start(SAYS_MUCH, PYTHONIOENCODING="ascii") as program:
        stdout, stderr = program.communicate()
    assert set(stdout.splitlines()) == {r"28\xd728"}
    assert stderr == ""
    assert program.returncode == 0


@contextmanager
def few_open_files(more: int) -> Iterator[None]:
    """Let this process open no more than so many files."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.dup(0)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + more, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))


def test_too_many_open_files_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    save_model(MLP((2, 1), activation="relu", output="identity", bias=True), path)
    load_model(path)
    with few_open_files(0), pytest.raises(UserError) as caught:
        load_model(path)
    assert str(caught.value) == f"{path}: Too many open files"


def test_what_no_reader_tells_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "params.yaml"
    path.touch()
    with pytest.raises(SystemExit), few_open_files(0), one_line_errors():
        path.read_text(encoding="utf-8")
    assert capsys.readouterr().err == f"error: {path}: Too many open files\n"


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (OSError(errno.ENOSPC, "Full"), 1, "error: a file cannot be written (Full): make room, then"),
        (OSError(errno.EDQUOT, "Too much"), 1, "error: a file cannot be written (Too much): make room, then"),
        (OSError(errno.EIO, "Defect", "model.npz"), 1, "error: model.npz: Defect\n"),
        (OSError(errno.EIO, "Defect"), None, ""),
    ],
    ids=["interrupted", "full disk", "full quota", "defective disk", "no file"],
)
def test_what_a_user_can_cause_ends_in_one_line_and_nothing_else_does(
    error: BaseException, status: int | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((SystemExit, KeyboardInterrupt, OSError)) as ended, one_line_errors():
        raise error
    assert getattr(ended.value, "code", None) == status
    lines = capsys.readouterr().err
    assert lines.startswith(told) and lines.count("\n") == bool(told)
