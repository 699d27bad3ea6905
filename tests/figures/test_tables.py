"""The figures of tables: a regression's numbers, the calibration of two classes, nothing of images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline import plot
from pipeline.figures.mistakes import calibration
from pipeline.figures.numbers import MOST_PANELS, MOST_POINTS, Panel, predicted, residuals
from pipeline.figures.style import style
from pipeline.runs.evaluation import read_predicted_numbers
from pipeline.runs.run import Run
from pipeline.runs.snapshots import evenly_spaced
from pipeline.runs.trained import TrainedRun
from tests.pictures import TITLE, assert_legible
from tests.tables import Table, breast_cancer, diabetes, linnerud, prepare

RNG = np.random.default_rng(0)
CURVES = {"loss", "dead_units"}
OF_A_REGRESSION = CURVES | {"rmse", "predicted", "residuals"}


def panels(count: int, rows: int = 200, scale: float = 1e5) -> list[Panel]:
    true = scale * RNG.normal(size=(count, rows))
    return [Panel(f"target {i}", y, y + scale / 3 * RNG.normal(size=rows)) for i, y in enumerate(true)]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: predicted(TITLE, "Predicted", panels(1)),
        lambda: predicted(TITLE, "Predicted", panels(4, scale=1e-7)),
        lambda: residuals(TITLE, "Residuals", panels(1)),
        lambda: residuals(TITLE, "Residuals", panels(3, rows=2)),
        lambda: residuals(TITLE, "Residuals", [Panel("constant", np.ones(5), np.ones(5))]),
        lambda: predicted(TITLE, "Predicted", [Panel("constant", np.ones(5), np.ones(5))]),
        lambda: calibration(TITLE, "Calibration", RNG.random(500), RNG.random(500) < 0.5, "Ankle boot"),
    ],
)
def test_texts_lie_within_the_picture_and_not_on_one_another(draw: Callable[[], Figure]) -> None:
    assert_legible(draw)


def test_of_many_targets_the_first_ones_are_drawn_and_of_many_rows_some_from_all_over() -> None:
    with style():
        assert len(predicted("title", "subtitle", panels(MOST_PANELS + 3)).axes) == MOST_PANELS
    assert evenly_spaced(range(100), MOST_POINTS) == list(range(100))
    rows = evenly_spaced(range(1_000_000), MOST_POINTS)
    assert (len(rows), rows[0], rows[-1]) == (MOST_POINTS, 0, 999_999)


def test_calibration_shows_the_share_of_each_bin_and_the_distance_in_the_mean() -> None:
    probabilities = np.array([0.05, 0.05, 0.92, 0.96, 1.0, 0.92])
    there = np.array([False, True, True, True, True, True])
    with style():
        figure = calibration("title", "Calibration", probabilities, there, "yes")
    [axes] = figure.axes
    _, line = axes.lines
    assert line.get_xydata() == pytest.approx(np.array([[0.05, 0.5], [0.95, 1]]))
    assert figure.texts[1].get_text() == "Calibration: 18.3 % from the diagonal in the mean"  # (2·45 + 4·5)/6


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return Run()


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (diabetes(), OF_A_REGRESSION),
        (linnerud(), OF_A_REGRESSION),
        (breast_cancer(), CURVES | {"accuracy", "confusion_matrix", "calibration"}),
    ],
    ids=["a regression", "three targets", "two classes"],
)
def test_what_is_drawn_fits_the_task_and_what_does_not_goes(
    table: Table, names: set[str], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(table)
    run.figures.mkdir(parents=True)
    for name in (
        "digits.png",
        "weights.gif",
        "accuracy.png",
        "rmse.png",
        "mine.png",
    ):  # of MNIST, and the user's
        (run.figures / name).write_text("of an earlier run")
    plot.main(run)
    assert {path.name for path in run.figures.iterdir()} == {*(f"{name}.png" for name in names), "mine.png"}
    warned = [line for line in capsys.readouterr().err.splitlines() if "did not write" in line]
    assert len(warned) == 1 and "mine.png" in warned[0]


def test_a_regressions_figures_show_what_was_predicted_in_the_targets_own_unit(run: Run) -> None:
    from pipeline.figures.results import read_results
    from pipeline.figures.training import figures_of

    prepare(diabetes())
    trained = TrainedRun.open(run)
    numbers = read_predicted_numbers(run.predictions, trained.dataset)
    with style():
        figures = figures_of(read_results(trained))
    [axes] = figures["predicted"].axes
    [dots] = axes.collections
    assert np.asarray(dots.get_offsets()).tolist() == np.hstack([numbers.true, numbers.predicted]).tolist()
    assert axes.get_xlabel() == "true progression"
    title = figures["predicted"].texts[0].get_text()
    assert (
        title.startswith("Diabetes: test RMSE 5") and "R² 0." in title and title.endswith("after 20 epochs")
    )
    lines = figures["rmse"].axes[0].lines
    history = trained.history()
    assert np.asarray(lines[1].get_ydata()).tolist() == [row["test_rmse"] for row in history]
    assert figures["rmse"].texts[1].get_text() == "RMSE on 309 training and 133 test rows after each epoch"
