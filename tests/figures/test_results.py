"""The figures of a training show what was trained and measured."""

import csv
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline import evaluate
from pipeline.data.dataset import PROCESSED, load_dataset, write_description
from pipeline.figures import of_images, results
from pipeline.figures.problems import with_parameters
from pipeline.figures.style import style
from pipeline.figures.training import figures_of
from pipeline.nn.callbacks import Snapshots
from pipeline.runs.evaluation import Predictions
from pipeline.runs.history import read_history
from pipeline.runs.models import load_model
from pipeline.runs.run import Run
from pipeline.runs.snapshots import load_snapshots, save_snapshots
from pipeline.runs.trained import TrainedRun
from tests.digits import prepare
from tests.pictures import sheet, tiles

RUN = Run()
EPOCHS = [2, 4, 5]  # that are measured


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, before = tmp_path_factory.mktemp("digits"), Path.cwd()
    os.chdir(folder)
    prepare(epochs=5, measure_every=2, hidden=[30], augmentation="affine")
    os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def in_a_copy(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(trained, tmp_path / "run"))


def read_results() -> results.Results:
    return results.read_results(TrainedRun.open(RUN))


@pytest.fixture
def drawn() -> Iterator[dict[str, Figure]]:
    """The figures of the run, by the name of the file."""
    with style():
        yield figures_of(read_results())


def test_titles_say_how_well_it_does_on_which_images(drawn: dict[str, Figure]) -> None:
    metrics = json.loads(RUN.metrics.read_text(encoding="utf-8"))
    shares = {part: f"{100 * metrics[part]['accuracy']:.2f} %" for part in ("train", "test", "official")}
    assert len(set(shares.values())) == 3
    titles = {name: figure.texts[0].get_text() for name, figure in drawn.items()}
    assert titles.pop("distortions") == "Digits, augmentation: affine"
    assert titles.pop("digits") == "Digits"
    assert set(titles.values()) == {f"Digits: test accuracy {shares['test']} after 5 epochs"}
    assert f"50 official test images {shares['official']}" in drawn["accuracy"].texts[1].get_text()


def test_curves_go_through_what_was_measured_after_each_epoch(drawn: dict[str, Figure]) -> None:
    history = read_history(RUN.history)
    train, test = drawn["accuracy"].axes[0].lines
    for line, column in ((train, "train_accuracy"), (test, "test_accuracy")):
        errors = [100 * (1 - row[column]) for row in history]
        assert np.array(line.get_xydata()) == pytest.approx(np.column_stack([EPOCHS, errors]))
    [line] = drawn["loss"].axes[0].lines
    losses = [row["loss"] for row in history]
    assert np.array(line.get_xydata()) == pytest.approx(np.column_stack([EPOCHS, losses]))


def test_misread_images_are_drawn_the_surest_first(drawn: dict[str, Figure]) -> None:
    rows = csv.DictReader(RUN.predictions.read_text(encoding="utf-8").splitlines())
    wrong = [row for row in rows if row["label"] != row["prediction"]]
    assert len(wrong) > of_images.MISREAD
    assert f"{len(wrong)} of 300 test images" in drawn["misread"].texts[1].get_text()
    surest = sorted(wrong, key=lambda row: -float(row["confidence"]))[: of_images.MISREAD]
    said = [text.get_text() for text in drawn["misread"].axes[0].texts]
    assert said[::2] == [f"{row['label']} → {row['prediction']}" for row in surest]
    assert said[1::2] == [f"{100 * float(row['confidence']):.1f} %, no. {row['index']}" for row in surest]
    images = load_dataset().test.inputs[[int(row["index"]) for row in surest]]
    np.testing.assert_array_equal(tiles(sheet(drawn["misread"])), images.reshape(-1, 8, 8))


def test_of_equally_sure_mistakes_the_first_comes_first() -> None:
    predictions = Predictions(
        labels=np.array([0, 1, 2, 3, 4]),
        classes=np.array([0, 0, 0, 3, 0]),
        confidence=np.array([1.0, 0.5, 0.9, 1.0, 0.9]),
    )
    assert of_images.misread_rows(predictions).tolist() == [2, 4, 1]


def test_an_image_is_drawn_beside_what_augmentation_makes_of_it(drawn: dict[str, Figure]) -> None:
    original, *distorted = tiles(sheet(drawn["distortions"]))
    np.testing.assert_array_equal(original, load_dataset().train.inputs[0].reshape(8, 8))
    assert not any((image == original).all() for image in distorted)


def test_the_first_layer_is_shown_as_the_change_since_the_start_where_that_is_known() -> None:
    model, (_, start) = load_model(RUN.model), load_snapshots(RUN.snapshots)[0]
    change = model.weights[0] - with_parameters(model, start).weights[0]
    for expected, what in ((change, "change of the weight"), (model.weights[0], "weight")):
        figure = of_images.draw_weights(read_results())
        np.testing.assert_allclose(tiles(sheet(figure)), expected.reshape(-1, 8, 8), rtol=1e-6)
        assert figure.axes[1].get_ylabel() == what
        assert ("how far training moved them" in figure.texts[1].get_text()) == (what != "weight")
        save_snapshots(Snapshots(None), RUN.snapshots)


def test_the_animation_shows_the_units_that_move_most_as_they_were_after_each_epoch() -> None:
    model, snapshots = load_model(RUN.model), load_snapshots(RUN.snapshots)
    layers = [with_parameters(model, vector).weights[0] for _, vector in snapshots]
    most = np.argsort(-np.linalg.norm(layers[-1] - layers[0], axis=1))[:20]
    frames = zip(range(6), layers, of_images.moving_weights(read_results()), strict=True)
    for epoch, layer, frame in frames:
        told = f"The 20 units whose weights change most, after {epoch} of 5 epochs"
        assert frame.texts[1].get_text() == told
        np.testing.assert_array_equal(tiles(sheet(frame)), layer[most].reshape(-1, 8, 8))


def test_class_names_that_the_font_lacks_are_told_in_one_line_and_drawn_by_number(
    capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    names = ["おき", "ಕ", "2", "÷", *"456789"]
    description = json.loads((PROCESSED / "dataset.json").read_text(encoding="utf-8"))
    write_description(PROCESSED, {**description, "title": "くずし字 MNIST", "classes": names})
    evaluate.main(RUN)
    capfd.readouterr()
    with style():
        drawn = figures_of(read_results())
        for figure in drawn.values():
            FigureCanvasAgg(figure).draw()
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(said) == 1 and "#0 for おき, #1 for ಕ" in said[0] and "÷" not in said[0]
    assert not recwarn.list
    assert drawn["digits"].texts[0].get_text() == "???? MNIST"
    labels = [label.get_text() for label in drawn["confusion_matrix"].axes[0].get_yticklabels()]
    assert labels == ["#0", "#1", *names[2:]]
