"""The sweeps' experiments, shortened, and their figures."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from pipeline.experiments import Trained, depth_width, dying_relu, read_jobs
from pipeline.figures import experiments as experiment_figures
from pipeline.figures.style import style
from pipeline.problems import read_experiment
from pipeline.support.errors import UserError
from tests.commands import run_module

UNTRACKED = "tracking.enabled=false"
FEW = {
    "depth_width": [UNTRACKED, "dataset.n=2", "model.hidden=[4],[4,4]", "seed=0", "training.epochs=50"],
    "dying_relu": [
        *(UNTRACKED, "dataset=xor", "model.hidden=[5]"),
        *("optimizer.learning_rate=0.1", "training.epochs=5"),
    ],
}


@pytest.mark.parametrize("experiment", ["depth_width", pytest.param("dying_relu", marks=pytest.mark.stress)])
def test_a_sweep_is_trained_and_drawn_by_its_name(tmp_path: Path, experiment: str) -> None:
    trained = run_module(tmp_path, "pipeline.train", f"experiment={experiment}", *FEW[experiment])
    assert trained.returncode == 0, trained.stderr
    drawn = run_module(tmp_path, "pipeline.experiments", experiment)
    assert drawn.returncode == 0, drawn.stderr
    figure = tmp_path / drawn.stdout.strip()
    height, width, _ = imread(figure).shape
    assert height > 300 and width > 700

    shutil.rmtree(figure.parent / "0")  # and it is not drawn as if that job had never been
    refused = run_module(tmp_path, "pipeline.experiments", experiment)
    assert refused.returncode == 1
    assert re.match(
        rf"error: 1 of \d jobs in multirun/{experiment} have no result: the same sweep, ", refused.stderr
    )
    assert refused.stderr.count("\n") == 1


@pytest.mark.stress
@pytest.mark.parametrize("experiment", FEW)
def test_a_sweep_that_was_finished_before_is_drawn_alike(tmp_path: Path, experiment: str) -> None:
    run_module(tmp_path, "pipeline.train", f"experiment={experiment}", *FEW[experiment])
    figure = tmp_path / run_module(tmp_path, "pipeline.experiments", experiment).stdout.strip()
    options = [*FEW[experiment], "hydra.sweep.dir=again"]
    again = run_module(tmp_path, "pipeline.train", f"experiment={experiment}", *options)
    assert "(finished before, skipped)" in again.stdout
    drawn_again = run_module(tmp_path, "pipeline.experiments", experiment, "--folder", "again")
    assert (tmp_path / drawn_again.stdout.strip()).read_bytes() == figure.read_bytes()


@pytest.mark.stress
def test_a_job_that_failed_is_not_drawn_from_what_another_left_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for change in ("model.activation=relu,elu", "optimizer.learning_rate=0.1,1e300"):
        sweep = ["experiment=dying_relu", *FEW["dying_relu"], "model.activation=relu", change]
        run_module(tmp_path, "pipeline.train", *sweep)
    (good, history), (failed, nothing) = read_jobs(Path("multirun/dying_relu"), "dying_relu")
    assert (good.optimizer.learning_rate, failed.optimizer.learning_rate) == (0.1, 1e300)
    assert good.model.activation == failed.model.activation == "relu"
    assert history and not nothing


@pytest.mark.stress
def test_a_job_that_diverged_is_a_gap_in_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = [*FEW["dying_relu"], "model.activation=relu,elu", "optimizer.learning_rate=0.1,0.2,1e300"]
    run_module(tmp_path, "pipeline.train", "experiment=dying_relu", *options)
    jobs = read_jobs(Path("multirun/dying_relu"), "dying_relu")
    jobs[1] = jobs[1][0], []  # as if relu had diverged at 0.2, too
    with style():
        above, below = dying_relu(jobs).axes
    for axes in (above, below):
        relu, elu = (np.isnan(np.array(line.get_ydata())).tolist() for line in axes.lines)
        assert (relu, elu) == ([False, True, True], [False, False, True])
    assert below.get_xticks().tolist() == [0.1, 0.2, 1e300]
    assert below.get_xlim()[1] > 1e300


@pytest.mark.stress
def test_a_network_that_diverged_has_not_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = [*FEW["depth_width"], "optimizer=sgd", "optimizer.learning_rate=0.1,1e300"]
    run_module(tmp_path, "pipeline.train", "experiment=depth_width", *options)
    jobs = read_jobs(Path("multirun/depth_width"), "depth_width")
    assert not all(history for _, history in jobs)
    with style():
        assert not any(np.size(line.get_ydata()) for line in depth_width(jobs).axes[0].lines)


@pytest.mark.stress
def test_another_sweep_than_the_experiments_is_not_drawn(tmp_path: Path) -> None:
    run_module(tmp_path, "pipeline.train", "experiment=dying_relu", *FEW["dying_relu"])
    drawn = run_module(tmp_path, "pipeline.experiments", "depth_width", "--folder", "multirun/dying_relu")
    assert drawn.returncode == 1
    told = "error: XOR, model.hidden = [5]: not a sweep of the experiment depth_width\n"
    assert drawn.stderr == told


@pytest.mark.parametrize(
    ("draw", "experiment", "options", "jobs", "told"),
    [
        (depth_width, "depth_width", ["model.hidden=[]"], 1, "Alternating points, model.hidden = []"),
        (depth_width, "depth_width", ["model.hidden=[4,8]"], 1, "Alternating points, model.hidden = [4, 8]"),
        (dying_relu, "depth_width", ["model.hidden=[4]"], 2, "two jobs of sigmoid at the rate 0.01"),
        (dying_relu, "dying_relu", ["model.hidden=[5]"], 2, "two jobs of relu at the rate 0.1"),
        (dying_relu, "dying_relu", ["model.hidden=[]"], 1, "model.hidden = []"),
        (dying_relu, "dying_relu", ["model.hidden=[5,5]"], 1, "model.hidden = [5, 5]"),
    ],
)
def test_jobs_that_an_experiment_has_not_are_named(
    draw: Callable[[list[Trained]], Figure], experiment: str, options: list[str], jobs: int, told: str
) -> None:
    config = read_experiment(experiment, *options)
    with pytest.raises(UserError, match=re.escape(f"{told}: not a sweep of the experiment {draw.__name__}")):
        draw([(config, [])] * jobs)


def test_the_narrowest_network_counts_that_fits_every_point_with_one_of_the_seeds() -> None:
    config = read_experiment("depth_width", "model.hidden=[8]")
    trained = [([8], 1.0), ([4], 1.0), ([16], 1.0), ([4, 4], 0.75), ([8, 8], 0.75), ([8, 8], 1.0)]
    jobs = [
        (replace(config, model=replace(config.model, hidden=hidden)), [{"train_accuracy": share}])
        for hidden, share in trained
    ]
    with style():
        widths = [np.array(line.get_ydata()).tolist() for line in depth_width(jobs).axes[0].lines]
    assert widths == [[4], [8]]


def test_dead_units_and_test_accuracy_are_those_after_the_last_epoch() -> None:
    config = read_experiment("dying_relu", "model.hidden=[5]")
    jobs = [
        (
            replace(config, optimizer=replace(config.optimizer, learning_rate=rate)),
            [
                {"dead_1": 0.125, "train_accuracy": 0.375, "test_accuracy": 0.25},
                {"dead_1": rate, "train_accuracy": 1.0, "test_accuracy": 1 - rate},
            ],
        )
        for rate in (0.75, 0.5)
    ]
    with style():
        above, below = (np.array(axes.lines[0].get_xydata()).tolist() for axes in dying_relu(jobs).axes)
    assert (above, below) == ([[0.5, 50], [0.75, 75]], [[0.5, 50], [0.75, 25]])


def test_there_are_looks_for_any_number_of_lines() -> None:
    depths = range(1, 9)
    with style():
        figure = experiment_figures.smallest_networks([2], dict.fromkeys(depths, 4), {(2, 1): 4}, "relu", 1)
        assert len(figure.axes[0].lines) == 8
        points = {f"activation {i}": {0.1: (0.0, 1.0)} for i in depths}
        figure = experiment_figures.dying_units(points, "MNIST", 5)
        assert len(figure.axes[0].lines) == 8


def test_an_outcome_that_is_none_is_refused(tmp_path: Path) -> None:
    outcome = tmp_path / "multirun/depth_width/jobs/0.json"
    outcome.parent.mkdir(parents=True)
    outcome.write_text('{"key": "of an earlier version"}', encoding="utf-8")
    drawn = run_module(tmp_path, "pipeline.experiments", "depth_width")
    assert drawn.returncode == 1
    told = "error: multirun/depth_width/jobs/0.json: there is no 'overrides': the same sweep again writes it"
    assert drawn.stderr.startswith(told) and drawn.stderr.count("\n") == 1


def test_a_sweep_that_has_not_been_trained(tmp_path: Path) -> None:
    drawn = run_module(tmp_path, "pipeline.experiments", "depth_width")
    assert drawn.returncode == 1
    assert drawn.stderr.startswith(
        "error: no job in multirun/depth_width has ended well: `python -m pipeline.train"
    )
