"""Which commit is named, and when it counts as changed."""

from pathlib import Path

import pytest

from pipeline.support.git import describe_commit
from tests.commands import git


@pytest.mark.parametrize("below", ["", "course/project"])
def test_the_commit_is_named_and_whether_the_code_is_still_its(tmp_path: Path, below: str) -> None:
    project = tmp_path / below
    (project / "reports").mkdir(parents=True)
    assert describe_commit(project) == {}
    git(tmp_path, "init", "--quiet")
    assert describe_commit(project) == {}
    for name in ("train.py", "dvc.lock", "reports/metrics.json"):
        (project / name).write_text("before")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    clean = {"commit": git(tmp_path, "rev-parse", "HEAD"), "dirty": "false"}
    for change, dirty in (
        ("report.png", "false"),
        ("dvc.lock", "false"),
        ("reports/metrics.json", "false"),
        ("train.py", "true"),
    ):
        assert describe_commit(project).items() >= clean.items()
        (project / change).write_text("after")
        assert describe_commit(project)["dirty"] == dirty, change
