import csv
import itertools
import json
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image
from sklearn.datasets import load_digits

from pipeline import evaluate, plot
from pipeline.config.reading import read_params
from pipeline.data.dataset import PROCESSED, load_dataset, write_description
from pipeline.figures import animation
from pipeline.figures import network as figures
from pipeline.figures.problems import DecisionPlane, LearnedFunction
from pipeline.nn.training import Snapshots
from pipeline.plot import FIGURES
from pipeline.problems import with_parameters
from pipeline.runs.history import HISTORY, read_history
from pipeline.runs.models import SNAPSHOTS, load_model, load_snapshots, save_snapshots
from pipeline.support.errors import UserError
from pipeline.train import CONF, train_and_record
from tests.commands import ROOT, run_module

NAMES = {"digits", "accuracy", "loss", "dead_units", "confusion_matrix", "misread", "weights"}
CLASSES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def prepare(
    classes: int = 10,
    test: int = 300,
    hidden: list[int] | None = None,
    epochs: int = 3,
    image_shape: tuple[int, int] = (8, 8),
    augmentation: str = "none",
    measure_every: int = 1,
) -> None:
    """Go through the stages before plot with scikit-learn's 8×8 digits."""
    images, labels = load_digits(n_class=classes, return_X_y=True)
    images = (images / 16).astype(np.float32)
    train = len(images) - test - 50
    ends = {"train": slice(train), "test": slice(train, train + test), "official": slice(train + test, None)}
    PROCESSED.mkdir(parents=True)
    for part, rows in ends.items():
        np.save(PROCESSED / f"{part}_images.npy", images[rows])
        np.save(PROCESSED / f"{part}_labels.npy", np.eye(classes, dtype=np.uint8)[labels[rows]])
    names = [str(digit) for digit in range(classes)]
    description = {"name": "mnist", "title": "Digits", "classes": names, "image_shape": list(image_shape)}
    write_description(PROCESSED, description)

    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["tracking"]["enabled"] = False
    params["dataset"]["classes"] = names
    params["split"] = {"train": train, "test": test}
    params["model"]["hidden"] = [20] if hidden is None else hidden
    params["training"] |= {"epochs": epochs, "measure_every": measure_every}
    choice = (CONF / f"augmentation/{augmentation}.yaml").read_text(encoding="utf-8")
    params["augmentation"] = yaml.safe_load(choice)
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    train_and_record(read_params(), Path())
    evaluate.main()


def pictures() -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in FIGURES.glob("*.png")}


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"classes": 2, "test": 100, "hidden": [], "epochs": 1},
        {"hidden": [120, 20], "test": 0},
        {"image_shape": (1, 64)},
    ],
    ids=str,
)
def test_every_figure_is_drawn(case: dict[str, Any]) -> None:
    prepare(**case)
    plot.main()
    assert set(pictures()) == NAMES
    for name in NAMES:
        pixels = imread(FIGURES / f"{name}.png")
        height, width, _ = pixels.shape
        assert 200 < height < 2000 and 500 < width < 2000, name
        assert len(np.unique(pixels.sum(axis=2))) > 20, name


@pytest.mark.parametrize("name", ["affine", "elastic", "affine_elastic"])
def test_with_augmentation_an_image_is_drawn_beside_its_distortions(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(augmentation=name)
    plot.main()
    assert set(pictures()) == NAMES | {"distortions"}
    assert "did not write" not in capsys.readouterr().err
    pixels = imread(FIGURES / "distortions.png").sum(axis=2)
    assert len(np.unique(pixels)) > 100


def test_no_figure_of_an_earlier_run_stays_and_no_other_file_goes(capsys: pytest.CaptureFixture[str]) -> None:
    prepare(epochs=1)
    save_snapshots(None, SNAPSHOTS)
    FIGURES.mkdir()
    for name in ("distortions.png", "weights.gif", ".partial-0123abcd.png"):
        (FIGURES / name).write_text("of an earlier run")
    (FIGURES / "mine.png").write_text("mine")
    plot.main()
    assert {path.name for path in FIGURES.iterdir()} == {*(f"{name}.png" for name in NAMES), "mine.png"}
    assert (FIGURES / "mine.png").read_text() == "mine"
    assert "reports/figures holds mine.png, which this stage did not write" in capsys.readouterr().err


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "weights.gif").write_text("of others")
    prepare(epochs=1)
    FIGURES.symlink_to(shared)
    with pytest.raises(UserError, match=r"^reports/figures is reached through a link"):
        plot.main()
    assert [path.name for path in shared.iterdir()] == ["weights.gif"]


def test_the_figures_show_what_was_measured_after_which_epoch_and_on_which_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(epochs=5, measure_every=2, augmentation="affine")
    drawn = figures_drawn(monkeypatch)

    metrics = json.loads(evaluate.METRICS.read_text(encoding="utf-8"))
    shares = {part: f"{100 * metrics[part]['accuracy']:.2f} %" for part in ("train", "test", "official")}
    assert len(set(shares.values())) == 3
    titles = {name: figure.texts[0].get_text() for name, figure in drawn.items()}
    assert titles.pop("distortions") == "Digits, augmentation: affine"
    assert titles.pop("digits") == "Digits"
    learned = f"Digits: test accuracy {shares['test']} after 5 epochs"
    assert titles == dict.fromkeys(NAMES - {"digits"}, learned)
    assert f"50 official test images {shares['official']}" in drawn["accuracy"].texts[1].get_text()

    history = read_history()
    train, test = drawn["accuracy"].axes[0].lines
    for line, column in ((train, "train_accuracy"), (test, "test_accuracy")):
        errors = [100 * (1 - row[column]) for row in history]
        assert np.array(line.get_xydata()) == pytest.approx(np.column_stack([[2, 4, 5], errors]))

    [line] = drawn["loss"].axes[0].lines
    losses = [row["loss"] for row in history]
    assert np.array(line.get_xydata()) == pytest.approx(np.column_stack([[2, 4, 5], losses]))

    rows = csv.DictReader(evaluate.PREDICTIONS.read_text(encoding="utf-8").splitlines())
    wrong = [row for row in rows if row["label"] != row["prediction"]]
    assert len(wrong) > plot.MISREAD
    assert f"{len(wrong)} of 300 test images" in drawn["misread"].texts[1].get_text()
    surest = sorted(wrong, key=lambda row: -float(row["confidence"]))[: plot.MISREAD]
    said = [text.get_text() for text in drawn["misread"].axes[0].texts]
    assert said[::2] == [f"{row['label']} → {row['prediction']}" for row in surest]
    assert said[1::2] == [f"{100 * float(row['confidence']):.1f} %, no. {row['index']}" for row in surest]
    dataset = load_dataset()
    images = dataset.test.images[[int(row["index"]) for row in surest]]
    np.testing.assert_array_equal(tiles(sheet(drawn["misread"])), images.reshape(-1, 8, 8))

    original, *distorted = tiles(sheet(drawn["distortions"]))
    np.testing.assert_array_equal(original, dataset.train.images[0].reshape(8, 8))
    assert not any((image == original).all() for image in distorted)


def figures_drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """Run the stage without its animation, which would take as long as all the rest; return its figures."""
    drawn: dict[str, Figure] = {}
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.update({path.stem: figure}))
    monkeypatch.setattr(plot, "animate_weights", lambda *_: None)
    plot.main()
    return drawn


def test_the_first_layer_is_shown_as_the_change_since_the_start_where_that_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare()
    model, (_, start) = load_model(), load_snapshots()[0]
    change = model.weights[0] - with_parameters(model, start).weights[0]
    for expected, what in ((change, "change of the weight"), (model.weights[0], "weight")):
        drawn = figures_drawn(monkeypatch)["weights"]
        np.testing.assert_allclose(tiles(sheet(drawn)), expected.reshape(-1, 8, 8), rtol=1e-6)
        assert drawn.axes[1].get_ylabel() == what
        assert ("how far training moved them" in drawn.texts[1].get_text()) == (what != "weight")
        save_snapshots(None, SNAPSHOTS)


def test_class_names_that_the_font_lacks_are_told_in_one_line_and_drawn_by_number(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    prepare(hidden=[])
    names = ["おき", "ಕ", "2", "÷", *"456789"]
    description = json.loads((PROCESSED / "dataset.json").read_text(encoding="utf-8"))
    write_description(PROCESSED, {**description, "title": "くずし字 MNIST", "classes": names})
    evaluate.main()
    capfd.readouterr()
    drawn = figures_drawn(monkeypatch)
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(said) == 1 and "#0 for おき, #1 for ಕ" in said[0] and "÷" not in said[0]
    with figures.style():
        for figure in drawn.values():
            FigureCanvasAgg(figure).draw()
    assert not recwarn.list
    assert drawn["digits"].texts[0].get_text() == "???? MNIST"
    labels = [label.get_text() for label in drawn["confusion_matrix"].axes[0].get_yticklabels()]
    assert labels == ["#0", "#1", *names[2:]]


def test_the_animation_shows_the_units_that_move_most_as_they_were_after_each_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(hidden=[30])
    frames: list[tuple[str, np.ndarray]] = []
    told = "The 20 units whose weights change most, after {} of 3 epochs"

    def keep(_: Path, moving: Iterator[Figure]) -> None:
        frames.extend((figure.texts[1].get_text(), tiles(sheet(figure))) for figure in moving)

    monkeypatch.setattr(animation, "save_gif", keep)
    model, snapshots = load_model(), load_snapshots()
    plot.animate_weights(FIGURES, load_dataset(), model, snapshots)
    assert [subtitle for subtitle, _ in frames] == [told.format(epoch) for epoch in range(4)]
    layers = [with_parameters(model, vector).weights[0] for _, vector in snapshots]
    most = np.argsort(-np.linalg.norm(layers[-1] - layers[0], axis=1))[:20]
    for layer, (_, shown) in zip(layers, frames, strict=True):
        np.testing.assert_array_equal(shown, layer[most].reshape(-1, 8, 8))


def sheet(figure: Figure) -> np.ndarray:
    """Return the image of images that `figure` shows."""
    [image] = figure.axes[0].images
    return np.asarray(np.ma.filled(np.ma.asarray(image.get_array()), np.nan))


def tiles(sheet: np.ndarray) -> np.ndarray:
    """Return the images that stand on `sheet`, (n, height, width), in the order of reading."""
    rows, columns = (bands(~np.isnan(sheet).all(axis=axis)) for axis in (1, 0))
    found = [sheet[row, column] for row in rows for column in columns]
    return np.array([tile for tile in found if not np.isnan(tile).all()])


def bands(filled: np.ndarray) -> list[slice]:
    """Return where `filled`, (n,), is true, from each beginning to the end."""
    edges = np.flatnonzero(np.diff(filled, prepend=False, append=False))
    return [slice(start, end) for start, end in edges.reshape(-1, 2)]


USERS_SETTINGS = {
    "matplotlibrc": b"font.size: 20\nsavefig.dpi: 60\nsavefig.bbox: tight\nno.such.key: 1\n",
    "settings/matplotlibrc": "# où\n".encode("latin-1"),  # not UTF-8
    "settings/stylelib/mine.mplstyle": "# où\n".encode("latin-1"),
}


@pytest.mark.parametrize("backend", ["svg", "module://matplotlib_inline.backend_inline"])
def test_bytes_depend_neither_on_the_run_nor_on_time_zone_locale_and_settings(backend: str) -> None:
    prepare()
    plot.main()
    before = pictures()
    for name, content in USERS_SETTINGS.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if backend != "svg":
        Path("matplotlibrc").unlink()  # so that the one in settings/ counts
    environment = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "7", "MPLBACKEND": backend}
    done = run_module(Path(), "pipeline.plot", MPLCONFIGDIR="settings", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert pictures() == before


DRAWING = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "pipeline").rglob("*.py"))
    if re.search(r"^(import|from) (matplotlib|pipeline.*figures)", path.read_text("utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("module", DRAWING)
def test_a_module_that_draws_is_imported_whatever_the_users_settings_are(module: str) -> None:
    Path("matplotlibrc").write_bytes("# où\n".encode("latin-1"))
    done = run_module(Path(), module, MPLBACKEND="no such backend")
    assert (done.returncode, done.stderr) == (0, "")


def remove_history() -> None:
    HISTORY.unlink()


def empty_history() -> None:
    HISTORY.write_text("epoch,loss\n")


def write_words_into_history() -> None:
    HISTORY.write_text(HISTORY.read_text().replace("0.", "zero point "))


def remove_metrics() -> None:
    evaluate.METRICS.unlink()


def truncate_metrics() -> None:
    evaluate.METRICS.write_text("{")


def forget_a_number_of_history() -> None:
    HISTORY.write_text(re.sub(r"(\n1,)[^,]+", r"\1nan", HISTORY.read_text()))


def add_a_row_with_less_to_history() -> None:
    HISTORY.write_text(HISTORY.read_text() + "2,0.5,0.5,,\n")


def add_a_quote_to_history() -> None:
    HISTORY.write_text(HISTORY.read_text().replace("\n1,", '\n"1"2,'))  # it could be taken for 12


def swap_snapshots() -> None:
    save_snapshots(Snapshots(every=1, epochs=[0, 1], vectors=[np.zeros(3), np.ones(3)]), SNAPSHOTS)


def cut_a_row_of_predictions() -> None:
    evaluate.PREDICTIONS.write_text(evaluate.PREDICTIONS.read_text().rpartition("\n299,")[0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_history, "reports/history.csv is not there"),
        (empty_history, "reports/history.csv is not what this pipeline wrote"),
        (write_words_into_history, "reports/history.csv is not what this pipeline wrote"),
        (remove_metrics, "reports/metrics.json is not there"),
        (truncate_metrics, "reports/metrics.json is not what this pipeline wrote"),
        (forget_a_number_of_history, "reports/history.csv is not what this pipeline wrote"),
        (add_a_row_with_less_to_history, "reports/history.csv is not what this pipeline wrote"),
        (add_a_quote_to_history, "reports/history.csv is not what this pipeline wrote"),
        (swap_snapshots, "models/snapshots.npz is of another network than models/model.npz"),
        (cut_a_row_of_predictions, "reports/predictions.csv is not what this pipeline wrote"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(damage: Callable[[], None], message: str) -> None:
    prepare(epochs=1)
    damage()
    with pytest.raises(UserError, match=message) as raised:
        plot.main()
    assert "\n" not in str(raised.value)
    assert not FIGURES.exists()


ENDS_TOGETHER = {"train": np.array([0.3, 0.9, 0.97]), "test": np.array([0.2, 0.91, 0.9699])}
NO_ERRORS = {"train": np.array([0.5, 1.0]), "test": np.array([0.75, 1.0])}
LAYERS = {f"hidden layer {i}": np.array([0.5, 0.25 * (i > 2)]) for i in range(1, 6)}
RNG = np.random.default_rng(0)
IMAGES = RNG.random((24, 28, 28))
CONFUSION = np.diag(RNG.integers(1000, 3000, 10)) + RNG.integers(0, 100, (10, 10))
PAIRS = list(itertools.islice(itertools.permutations(CLASSES, 2), 60, 84))
NOTES = [f"100.0 %, no. {i}" for i in range(19_000, 19_024)]
TITLE = "A dataset with a title of some length: official test accuracy 97.25 % after 20 epochs"


def by_epoch(lines: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the `lines` and the epochs of their values: 1, 2, …."""
    return lines, np.arange(1, max(map(len, lines.values()), default=0) + 1)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.digits(TITLE, list(IMAGES[:20].reshape(10, 2, 28, 28)), CLASSES),
        lambda: figures.accuracy(TITLE, "Accuracy", *by_epoch(ENDS_TOGETHER)),
        lambda: figures.accuracy(TITLE, "Accuracy", *by_epoch(NO_ERRORS)),
        lambda: figures.accuracy(TITLE, "Accuracy", *by_epoch({"train": np.array([0.1])})),
        lambda: figures.loss(TITLE, "Loss", np.array([2.0, 0.3, 0.02]), np.arange(1, 4)),
        lambda: figures.loss(TITLE, "Loss", np.array([-0.3, -0.4]), np.arange(1, 3)),
        lambda: figures.loss(TITLE, "Loss", np.zeros(1), np.ones(1)),
        lambda: figures.dead_units(TITLE, *by_epoch(LAYERS)),
        lambda: figures.dead_units(TITLE, *by_epoch({})),
        lambda: figures.confusion_matrix(TITLE, "Labels", CONFUSION, CLASSES),
        lambda: figures.confusion_matrix("Bits", "Labels", CONFUSION[:2, :2], ["0", "1"]),
        lambda: figures.misread(TITLE, "Misread", IMAGES, PAIRS, NOTES),
        lambda: figures.misread("Bits", "Misread", IMAGES, [("7", "1")] * 24, NOTES),
        lambda: figures.misread("Bits", "Misread", IMAGES[:1], [("7", "1")], NOTES[:1]),
        lambda: figures.Weights.draw(TITLE, "Weights", RNG.normal(size=(100, 784)), (28, 28), []).figure,
        lambda: figures.Weights.draw(TITLE, "Weights", RNG.normal(size=(10, 784)), (28, 28), CLASSES).figure,
        lambda: figures.Weights.draw(TITLE, "Weights", RNG.normal(size=(50, 2)), (1, 2), []).figure,
    ],
)
def test_texts_lie_within_the_picture_and_not_on_one_another(draw: Callable[[], Figure]) -> None:
    boxes = text_boxes(draw)
    assert {TITLE, "Bits"} & {text for text, _ in boxes}
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 1 and box.y1 <= 1, f"{text} is cut off"
    for (one, box), (other, another) in itertools.combinations(boxes, 2):
        assert not box.overlaps(another), f"{one} and {other} overlap"


def text_boxes(draw: Callable[[], Figure]) -> list[tuple[str, Bbox]]:
    """Return each text with its box, as shares of the figure; slanted ones are left out."""
    with figures.style():
        figure = draw()
        FigureCanvasAgg(figure).draw()
        beyond = {
            label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in undrawn(axis)
        }
        texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text not in beyond]
        to_shares = figure.transFigure.inverted()
        return [
            (text.get_text(), to_shares.transform_bbox(text.get_window_extent()))
            for text in texts
            if text.get_visible() and text.get_text() and text.get_rotation() in {0, 90}
        ]


def undrawn(axis: Axis) -> list[Text]:
    """Return the labels of the ticks that lie beyond the axis's ends."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    beyond = [tick for tick in ticks if not low <= tick.get_loc() <= high]
    return [label for tick in beyond for label in (tick.label1, tick.label2)]


def test_the_value_after_the_last_epoch_is_written_beside_its_line() -> None:
    texts = dict(text_boxes(lambda: figures.accuracy("Digits", "Accuracy", *by_epoch(ENDS_TOGETHER))))
    assert {"train 97.00 %", "test 96.99 %", "90 %", "95 %"} <= set(texts)
    assert texts["train 97.00 %"].y0 > texts["test 96.99 %"].y0
    texts = dict(text_boxes(lambda: figures.dead_units("Digits", *by_epoch(LAYERS))))
    assert {"hidden layer 1: 0 %", "hidden layer 3: 25 %"} <= set(texts)


def test_perfect_accuracy_is_drawn_though_its_error_has_no_logarithm() -> None:
    texts = dict(text_boxes(lambda: figures.accuracy("Digits", "Accuracy", *by_epoch(NO_ERRORS))))
    assert {"train 100.00 %", "test 100.00 %", "100 %"} <= set(texts)


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: figures.dead_units("Digits", *by_epoch({})), "This network has no hidden layer."),
        (
            lambda: figures.dead_units("Digits", *by_epoch({"hidden layer 1": np.zeros(5)})),
            "No unit was dead after any epoch.",
        ),
        (lambda: figures.misread("Digits", "0 of 9", IMAGES[:0], [], []), "No image was misread."),
    ],
)
def test_where_nothing_can_be_shown_the_picture_says_so(draw: Callable[[], Figure], sentence: str) -> None:
    assert sentence in dict(text_boxes(draw))


def test_the_confusion_matrix_gives_counts_recall_and_precision() -> None:
    counts = np.array([[1500, 500], [0, 100]])
    texts = dict(text_boxes(lambda: figures.confusion_matrix("Bits", "Labels", counts, ["0", "1"])))
    assert {"1,500", "500", "100", "75.0 %", "100.0 %", "16.7 %"} <= set(texts)
    assert texts["500"].x0 > texts["1,500"].x0  # a column a prediction
    assert texts["500"].y0 > texts["100"].y0  # a row a label


def test_misread_images_are_told_the_surest_first() -> None:
    predictions = evaluate.Predictions(
        labels=np.array([0, 1, 2, 3, 4]),
        classes=np.array([0, 0, 0, 3, 0]),
        confidence=np.array([1.0, 0.5, 0.9, 1.0, 0.9]),
    )
    assert plot.misread_rows(predictions).tolist() == [2, 4, 1]


def test_weights_have_one_scale_with_0_in_its_middle() -> None:
    matrix = RNG.normal(1, 0.1, size=(9, 784))
    figure = figures.Weights.draw("Digits", "Weights", matrix, (28, 28), []).figure
    low, high = figure.axes[0].images[0].get_clim()
    assert low == -high
    assert high == pytest.approx(matrix.max(), rel=0.1)


def test_digits_are_drawn_in_the_row_of_their_class() -> None:
    zeros, ones = IMAGES[:3], IMAGES[3:5]
    figure = figures.digits("Bits", [zeros, ones], ["0", "1"])
    upper, lower = np.array_split(sheet(figure), 2)
    np.testing.assert_array_equal(tiles(upper), zeros)
    np.testing.assert_array_equal(tiles(lower), ones)


def weights_that_change() -> Iterator[Figure]:
    weights = figures.Weights.draw(TITLE, "after 1", np.eye(9, 12), (4, 3), [])
    for epoch in (0, 1):
        yield weights.show(f"after {epoch}", np.eye(9, 12, epoch))


def function_that_changes() -> Iterator[Figure]:
    x = np.linspace(0, 1, 9)
    function = LearnedFunction.draw("Points", x[::2], np.arange(5) % 2, x)
    for power in (2, 3):
        yield function.show(f"power {power}", x**power, x[::2] ** power)


def plane_that_changes() -> Iterator[Figure]:
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    plane = DecisionPlane.draw("XOR", corners, np.array([0, 1, 1, 0]), -0.25, 1.25)
    rising = np.linspace(0, 1, 25).reshape(5, 5)
    for power in (2, 3):
        yield plane.show(f"power {power}", rising**power)


@pytest.mark.parametrize("picture", [weights_that_change, function_that_changes, plane_that_changes])
def test_a_frame_is_what_the_whole_figure_would_be(picture: Callable[[], Iterator[Figure]]) -> None:
    with figures.style():
        *_, figure = picture()
        file = BytesIO()
        figure.savefig(file, dpi=animation.DPI)
        *_, last = animation.pictures(picture())
    np.testing.assert_array_equal(np.array(last), np.array(Image.open(file).convert("RGB")))
