"""The plot stage: every figure is drawn, with the same bytes everywhere, or what is wrong is said."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from pipeline import plot
from pipeline.nn.callbacks import Snapshots
from pipeline.runs.run import Run
from pipeline.runs.snapshots import save_snapshots
from pipeline.support.errors import UserError
from tests.commands import run_module
from tests.digits import prepare

RUN = Run()
NAMES = {"digits", "accuracy", "loss", "dead_units", "confusion_matrix", "misread", "weights"}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, before = tmp_path_factory.mktemp("digits"), Path.cwd()
    os.chdir(folder)
    prepare(epochs=1)
    os.chdir(before)
    return folder


@pytest.fixture
def in_a_copy(digits: Path, empty_folder: None) -> None:
    """Go to a copy of `digits`, a run that has been trained and measured."""
    shutil.copytree(digits, Path.cwd(), dirs_exist_ok=True)


def pictures() -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in RUN.figures.glob("*.png")}


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"classes": 2, "test": 100, "hidden": [], "epochs": 1},
        {"hidden": [120, 20], "test": 0},
        {"image_shape": (1, 64)},
        {"augmentation": "affine_elastic"},
    ],
    ids=str,
)
def test_every_figure_is_drawn(case: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    prepare(**case)
    plot.main(RUN)
    names = NAMES | {"distortions"} if "augmentation" in case else NAMES
    names = names | {"calibration"} if case.get("classes") == 2 else names
    assert set(pictures()) == names
    assert "did not write" not in capsys.readouterr().err
    for name in names:
        pixels = imread(RUN.figures / f"{name}.png")
        height, width, _ = pixels.shape
        assert 200 < height < 2000 and 300 < width < 2000, name
        assert len(np.unique(pixels.sum(axis=2))) > 20, name


@pytest.mark.usefixtures("in_a_copy")
def test_no_figure_of_an_earlier_run_stays_and_no_other_file_goes(capsys: pytest.CaptureFixture[str]) -> None:
    save_snapshots(Snapshots(None), RUN.snapshots)
    RUN.figures.mkdir()
    for name in ("distortions.png", "weights.gif", ".partial-0123abcd.png"):
        (RUN.figures / name).write_text("of an earlier run")
    (RUN.figures / "mine.png").write_text("mine")
    plot.main(RUN)
    assert {path.name for path in RUN.figures.iterdir()} == {*(f"{name}.png" for name in NAMES), "mine.png"}
    assert (RUN.figures / "mine.png").read_text() == "mine"
    assert "reports/figures holds mine.png, which this stage did not write" in capsys.readouterr().err


@pytest.mark.usefixtures("in_a_copy")
def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "weights.gif").write_text("of others")
    RUN.figures.symlink_to(shared)
    with pytest.raises(UserError, match=r"^reports/figures is reached through a link"):
        plot.main(RUN)
    assert [path.name for path in shared.iterdir()] == ["weights.gif"]


USERS_SETTINGS = {
    "matplotlibrc": b"font.size: 20\nsavefig.dpi: 60\nsavefig.bbox: tight\nno.such.key: 1\n",
    "settings/stylelib/mine.mplstyle": "# où\n".encode("latin-1"),  # not UTF-8
}


@pytest.mark.usefixtures("in_a_copy")
def test_bytes_depend_neither_on_the_run_nor_on_time_zone_locale_and_settings() -> None:
    plot.main(RUN)
    before = pictures()
    for name, content in USERS_SETTINGS.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    environment = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    notebooks = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "MPLCONFIGDIR": "settings"}
    done = run_module(Path(), "pipeline.plot", **environment, **notebooks)
    assert (done.returncode, done.stderr) == (0, "")
    assert pictures() == before


@pytest.mark.parametrize("module", ["pipeline.figures.style", "pipeline.sweeps.ranking"])
def test_what_draws_is_imported_whatever_backend_a_notebook_has_set(module: str) -> None:
    Path("program.py").write_text(f"import {module}, os; print(os.environ['MPLBACKEND'])")
    done = run_module(Path(), "program", MPLBACKEND="no such backend")
    assert (done.returncode, done.stdout, done.stderr) == (0, "no such backend\n", "")


DAMAGED = "{} is not what this pipeline wrote"


def change(path: Path, pattern: str, replacement: str) -> Callable[[], None]:
    """Return a function that replaces what fits `pattern` in the file at `path`."""

    def damage() -> None:
        before = path.read_text(encoding="utf-8")
        after = re.sub(pattern, replacement, before)
        assert after != before
        path.write_text(after, encoding="utf-8")

    return damage


def swap_snapshots() -> None:
    snapshots = Snapshots(every=1)
    snapshots.restore([0, 1], [np.zeros(3), np.ones(3)])
    save_snapshots(snapshots, RUN.snapshots)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (RUN.history.unlink, "reports/history.csv is not there: `dvc repro train`"),
        (RUN.metrics.unlink, "reports/metrics.json is not there: `dvc repro evaluate`"),
        (change(RUN.history, r"\n.*", ""), DAMAGED.format("reports/history.csv")),
        (change(RUN.history, r"0\.", "zero point "), DAMAGED.format("reports/history.csv")),
        (change(RUN.history, r"(\n1,)[^,]+", r"\1nan"), DAMAGED.format("reports/history.csv")),
        (change(RUN.history, r"\Z", "2,0.5,0.5,,\n"), DAMAGED.format("reports/history.csv")),
        (change(RUN.history, r"\n1,", '\n"1"2,'), DAMAGED.format("reports/history.csv")),
        (change(RUN.metrics, r"}", ""), DAMAGED.format("reports/metrics.json")),
        (change(RUN.predictions, r"\n299,.*", ""), DAMAGED.format("reports/predictions.csv")),
        (swap_snapshots, "models/snapshots.npz is of another network than models/model.npz"),
    ],
)
@pytest.mark.usefixtures("in_a_copy")
def test_what_is_wrong_is_said_in_one_line(damage: Callable[[], None], message: str) -> None:
    damage()
    with pytest.raises(UserError, match=message) as raised:
        plot.main(RUN)
    assert "\n" not in str(raised.value)
    assert not RUN.figures.exists()
