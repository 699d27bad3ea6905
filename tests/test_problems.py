import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageSequence

from pipeline import problems
from pipeline.config.reading import read_params
from pipeline.config.schema import flat
from pipeline.data.generated import xor
from pipeline.figures.problems import ALONG, DecisionPlane
from pipeline.nn.callbacks import Snapshots
from pipeline.nn.mlp import MLP
from pipeline.runs.run import PROBLEMS, Run
from pipeline.runs.snapshots import save_snapshots
from pipeline.runs.trained import TrainedRun
from tests.commands import ROOT, files, made_once, run_module

FIGURES = {"alternating_points", "sheet_alternating", "alternating_solved", "xor", "xor_3d"}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stage has run, without MLflow."""

    def run(folder: Path) -> None:
        params = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("enabled: true", "enabled: false")
        (folder / "params.yaml").write_text(params, encoding="utf-8")
        stage = run_module(folder, "pipeline.problems")
        assert stage.returncode == 0, stage.stderr
        assert "did not write" not in stage.stderr

    return made_once("problems", run, tmp_path_factory)


THE_SHEETS = [0.016, 0.959, 0.052, 0.817, 0.550, 0.508, 0.503, 0.501]  # the problem sheet's predictions


def test_the_sheets_network_fails_where_the_other_fits(done: Path) -> None:
    metrics = json.loads((done / "reports/problems.json").read_text(encoding="utf-8"))
    for experiment, labels in (("alternating_solved", [0, 1] * 4), ("xor", [0, 1, 1, 0])):
        errors = np.abs(np.subtract(list(metrics[experiment]["predictions"].values()), labels))
        assert metrics[experiment]["largest_error"] == pytest.approx(errors.max(), abs=1e-4)
        assert metrics[experiment]["largest_error"] < 0.05
    sheet = list(metrics["sheet_alternating"]["predictions"].values())
    np.testing.assert_allclose(sheet, THE_SHEETS, atol=0.15)
    assert metrics["sheet_alternating"]["accuracy"] < 1
    largest = max(abs(prediction - i % 2) for i, prediction in enumerate(sheet))
    assert metrics["sheet_alternating"]["largest_error"] == pytest.approx(largest, abs=2e-4)


def test_a_network_that_cannot_decide_says_the_first_class_of_every_point() -> None:
    undecided = MLP((2, 1), activation="relu", output="sigmoid", bias=False)
    measured = problems.measure(xor(), undecided)
    assert set(measured["predictions"].values()) == {0.5}
    assert measured["accuracy"] == 0.5


def test_every_figure_is_drawn_and_those_over_training_move(done: Path) -> None:
    folder = done / "reports/problems"
    assert {path.stem for path in folder.glob("*.png")} == FIGURES
    for experiment in problems.EXPERIMENTS:
        path = folder / f"{experiment}.gif"
        assert path.stat().st_size < 2_000_000
        with Image.open(path) as animation:
            frames = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]
            durations = [frame.info["duration"] for frame in ImageSequence.Iterator(animation)]
        assert durations[-1] > max(durations[:-1])
        assert len(frames) > 10
        assert (frames[0] != frames[-1]).any()
        below_title = [frame[80:] for frame in frames]
        assert (below_title[0] != below_title[-1]).any()


def test_no_animation_of_an_earlier_run_stays_and_no_other_file_goes(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(done, tmp_path / "copy")
    monkeypatch.chdir(folder)
    mine = [PROBLEMS / "mine/model.npz", problems.FIGURES / "mine.gif"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    runs = {experiment: Run(PROBLEMS / experiment) for experiment in problems.EXPERIMENTS}
    for run in runs.values():
        save_snapshots(Snapshots(None), run.snapshots)
    problems.draw({experiment: TrainedRun.open(run) for experiment, run in runs.items()})
    assert [path.name for path in problems.FIGURES.glob("*.gif")] == ["mine.gif"]
    assert all(path.read_text() == "mine" for path in mine)
    told = capsys.readouterr().err
    assert "models/problems holds mine, which" in told and "reports/problems holds mine.gif, which" in told


def test_the_plane_has_the_first_input_from_left_to_right_and_the_second_upwards() -> None:
    network = MLP((2, 1), activation="relu", output="identity", bias=False, arithmetic="float64")
    network.weights[0][:] = [[1, 10]]
    [image] = DecisionPlane.draw("XOR", xor()).show("x₁ + 10 x₂", network).axes[0].images
    assert np.array(image.get_array()) == pytest.approx(ALONG + 10 * ALONG[:, None])
    assert image.origin == "lower"


def test_the_stage_depends_on_those_files_of_the_menu_that_it_reads(tmp_path: Path) -> None:
    """So a change elsewhere in conf/ trains nothing again. What conf/tracking says, params.yaml overrules."""
    program = """
import sys
from pipeline import problems
sys.addaudithook(lambda event, arguments: event == "open" and print(arguments[0]))
for experiment in problems.EXPERIMENTS:
    problems.read_experiment(experiment)
"""
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    opened = {Path(line) for line in run_module(tmp_path, "program").stdout.splitlines()}
    conf = ROOT / "conf"
    read = {path.relative_to(ROOT).as_posix() for path in opened if path.is_relative_to(conf)}
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["problems"]
    assert {path for path in stage["deps"] if path.startswith("conf")} == read - {"conf/tracking/mlflow.yaml"}


@pytest.mark.stress
def test_bytes_do_not_depend_on_the_run(done: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((done / "params.yaml").read_bytes())
    elsewhere = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    other_kernels = {"OPENBLAS_CORETYPE": "Sandybridge"}
    again = run_module(tmp_path, "pipeline.problems", **elsewhere, **other_kernels)
    assert again.returncode == 0, again.stderr
    ours, theirs = (
        {name: sha for name, sha in files(folder).items() if "journal" not in name}
        for folder in (tmp_path, done)
    )
    assert ours == theirs  # a journal holds times


def test_the_default_by_name_is_the_default() -> None:
    assert flat(problems.read_experiment("sheet_mnist")) == flat(read_params(ROOT / "params.yaml"))
