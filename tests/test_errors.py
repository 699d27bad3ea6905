"""What the operating system refuses is told as that, not as damage."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.dataset import load_dataset
from pipeline.data.idx import read_idx
from pipeline.errors import UserError, one_line_errors
from pipeline.models import load_model, save_model
from pipeline.nn.mlp import MLP


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


def read_images(path: Path) -> Any:
    return read_idx(path, 3)


@pytest.mark.parametrize(
    ("read", "path", "named"),
    [
        (read_images, "data/raw/train-images-idx3-ubyte.gz", ""),
        (load_dataset, "data/processed", "/train_images.npy"),
        (load_model, "models/model.npz", ""),
    ],
)
def test_too_many_open_files_are_no_damage(
    workspace: Path, read: Callable[[Path], Any], path: str, named: str
) -> None:
    mlp = MLP((2, 1), activation="relu", output="identity", bias=True)
    save_model(mlp, workspace / "models/model.npz")
    read(workspace / path)
    one_at_a_time = 1 if read == load_dataset else 0  # a folder's description first, then an array, twice
    with few_open_files(one_at_a_time), pytest.raises(UserError) as caught:
        read(workspace / path)
    assert str(caught.value) == f"{workspace / path}{named}: Too many open files"


def test_what_no_reader_tells_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "params.yaml"
    path.touch()
    with pytest.raises(SystemExit), few_open_files(0), one_line_errors():
        path.read_text(encoding="utf-8")
    assert capsys.readouterr().err == f"error: {path}: Too many open files\n"
