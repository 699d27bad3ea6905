"""Small real surroundings: a folder in which the stages have run on a few drawn images."""

import os
import shutil
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.browser import Browser, is_there
from tests.commands import SMALL, TRACKED, made_once, run_module
from tests.stores import client

NO_BROWSER = "THE PAGES WERE NOT TESTED: there is no browser. Debian: apt install chromium chromium-driver"

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would compile the pipeline each
os.environ |= {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}  # no test takes MNIST from the package index
os.environ.pop("MLFLOW_TRACKING_URI", None)  # no test's run lands in the store of whoever runs the tests
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or what tests interrupt ignores it, too


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `params.yaml`, `data/raw` and `data/processed` of 300 + 60 drawn digits."""

    def prepare(folder: Path) -> None:
        composed = run_module(folder, "pipeline.train", "--cfg", "job", "--resolve", *SMALL)
        (folder / "params.yaml").write_text(composed.stdout, encoding="utf-8")
        for stage in ("download", "preprocess"):
            done = run_module(folder, f"pipeline.{stage}")
            assert done.returncode == 0, done.stderr

    return made_once("prepared", prepare, tmp_path_factory)


@pytest.fixture
def workspace(prepared: Path, tmp_path: Path) -> Path:
    """A copy of `prepared` that a test may change."""
    return shutil.copytree(prepared, tmp_path / "workspace")


@pytest.fixture(scope="session")
def store_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, migrated once for all tests, which takes seconds."""
    folder = made_once("store", lambda folder: client(folder).search_experiments(), tmp_path_factory)
    return folder / "mlflow.db"


@pytest.fixture
def tracked(workspace: Path, store_template: Path) -> Path:
    """A workspace with an empty store."""
    shutil.copy(store_template, workspace / "mlflow.db")
    return workspace


@pytest.fixture(scope="module")
def swept(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which two networks were trained, the first of them hardly at all."""

    def train(folder: Path) -> None:
        (folder / "data").symlink_to(prepared / "data")
        (folder / "params.yaml").write_text((prepared / "params.yaml").read_text())
        options = ["hydra.sweep.dir=sweep", "optimizer.learning_rate=0.0001,0.3"]
        done = run_module(folder, "pipeline.train", "-m", *TRACKED, *options)
        assert done.returncode == 0, done.stderr

    trained = made_once("swept", train, tmp_path_factory)
    return shutil.copytree(trained, tmp_path_factory.mktemp("promote") / "copy", symlinks=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Where there is none the test is skipped, and a warning at pytest's end says so."""
    if not is_there():
        warnings.warn(NO_BROWSER, stacklevel=1)
        pytest.skip(NO_BROWSER)
    browser = Browser()
    browser.prefer("light")
    yield browser
    browser.close()
