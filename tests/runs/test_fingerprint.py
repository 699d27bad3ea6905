"""The fingerprint of a training: what makes another training of it, and what does not."""

from pathlib import Path

import pytest
import yaml

import pipeline.runs.fingerprint
from pipeline.data.dataset import PROCESSED
from pipeline.problems import read_experiment
from pipeline.runs.fingerprint import CODE, digest_code, fingerprint
from tests.commands import ROOT, SMALL, copy_code


def of(*options: str) -> str:
    """Return the fingerprint of a small training with `options`, on the data in the current folder."""
    return fingerprint(read_experiment("sheet_mnist", *SMALL, *options))


@pytest.mark.parametrize(
    ("option", "another"),
    [
        ("training.epochs=1", True),
        ("model.bias=true", True),
        ("split.validation=50", True),
        ("tracking.patience=5", False),
        ("training.checkpoint=1.0", False),
        ("training.threads=2", False),
        ("dataset.title=T", False),
        ("sweep.resume=false", False),
    ],
)
def test_what_the_model_is_made_from_makes_another_training(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, option: str, another: bool
) -> None:
    monkeypatch.chdir(prepared)
    assert (of(option) != of()) is another


def test_the_content_of_the_data_makes_another_training(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    before = of()
    (PROCESSED / ".DS_Store").touch()
    assert of() == before
    labels = PROCESSED / "train_labels.npy"
    labels.write_bytes(labels.read_bytes()[:-20] + labels.read_bytes()[-10:] + labels.read_bytes()[-20:-10])
    assert of() != before


@pytest.mark.parametrize("changed", ["pipeline/nn/losses.py", "pipeline/data/generated.py"])
def test_the_code_that_computes_the_model_makes_another_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    before = digest_code()
    monkeypatch.setattr(pipeline.runs.fingerprint, "ROOT", copy_code(tmp_path))
    assert digest_code.__wrapped__() == before  # it does not matter where the code is
    with (tmp_path / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert digest_code.__wrapped__() != before


def test_another_version_of_numpy_makes_another_training(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_code()
    monkeypatch.setattr(pipeline.runs.fingerprint, "version", {"numpy": "1.0"}.__getitem__)
    assert digest_code.__wrapped__() != before


def test_the_code_that_counts_is_what_the_train_stage_depends_on() -> None:
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["train"]
    code = {path for path in stage["deps"] if path.startswith("pipeline/")}
    assert {*CODE} == code
    assert all((ROOT / path).exists() for path in CODE)
