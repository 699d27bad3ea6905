"""Where the repository is."""

from pathlib import Path

import pytest

from pipeline.support.files import find_root


@pytest.mark.parametrize(
    "folder",
    [
        "/repository",
        "/repository/.dvc/tmp/exps/tmpabc",
        "/repository/.dvc/tmp/exps/standalone/tmpabc",
    ],
)
def test_the_copies_that_dvc_makes_for_experiments_belong_to_the_repository(folder: str) -> None:
    assert find_root(Path(folder)) == Path("/repository")
