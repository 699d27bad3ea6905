import csv
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import precision_recall_fscore_support

from pipeline.data.dataset import PROCESSED, Description, load_dataset, write_description
from pipeline.evaluate import main, measure_classes, predict_classes
from pipeline.nn.mlp import MLP
from pipeline.runs.answers import Answering
from pipeline.runs.evaluation import Predictions, read_predictions
from pipeline.runs.models import load_model, save_model
from pipeline.runs.run import Run
from pipeline.support.errors import UserError
from pipeline.support.files import PARAMS
from tests.commands import ROOT, run_module

RUN = Run()
MODEL, METRICS, CLASSES, PREDICTIONS = RUN.model, RUN.metrics, RUN.classes, RUN.predictions
NAMES = ["cat", "dog", "Ankle boot"]

# The network of these tests hands its input on, so an image is what the network makes of it.
IMAGES: list[list[float]] = [
    [0.75, 0.25, 0],
    [0.25, 0.75, 0],
    [0, 1, 0],
    [0, 1, 1 / 3],
    [1, 0, 0],
    [0.5, 0, 0.25],
]
LABELS = [0, 0, 1, 1, 2, 2]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params, data and a model, which is the current one."""
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["tracking"]["enabled"] = False
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    write_data("train", IMAGES[:1], LABELS[:1])
    write_data("test", IMAGES, LABELS)
    write_data("official", IMAGES[2:5], LABELS[2:5])
    write_description(PROCESSED, {"name": "toys", "title": "Toys", "classes": NAMES, "image_shape": [1, 3]})
    save_model(identity(3, 3), MODEL)
    return tmp_path


def write_data(part: str, images: list[list[float]], labels: list[int]) -> None:
    PROCESSED.mkdir(parents=True, exist_ok=True)
    np.save(PROCESSED / f"{part}_images.npy", np.array(images, np.float32).reshape(-1, 3))
    np.save(PROCESSED / f"{part}_labels.npy", np.eye(3, dtype=np.uint8)[np.array(labels, int)])


def identity(inputs: int, outputs: int) -> MLP:
    mlp = MLP((inputs, outputs), activation="relu", output="identity", bias=False)
    mlp.weights[0][:] = np.eye(outputs, inputs)
    return mlp


def read_metrics() -> dict:
    return json.loads(METRICS.read_text(encoding="utf-8"))


def test_metrics_are_those_computed_by_hand() -> None:
    main(RUN)
    assert read_metrics() == {
        "train": {"accuracy": 1.0},
        "test": {"accuracy": 0.5},
        "official": {"accuracy": 0.666667},
    }
    assert CLASSES.read_text(encoding="utf-8").splitlines() == [
        "class,images,precision,recall,f1",
        "cat,2,0.333333,0.5,0.4",
        "dog,2,0.666667,1.0,0.8",
        "Ankle boot,2,0.0,0.0,0.0",  # never predicted
    ]


def test_classes_may_have_any_names() -> None:
    names = ["÷", 'a,"b"', "×"]
    write_description(PROCESSED, {"name": "toys", "title": "Toys", "classes": names, "image_shape": [1, 3]})
    main(RUN)
    with CLASSES.open(encoding="utf-8", newline="") as file:
        assert {row["class"]: row["recall"] for row in csv.DictReader(file)} == {
            "÷": "0.5",
            'a,"b"': "1.0",
            "×": "0.0",
        }


def test_predictions_have_a_row_an_image() -> None:
    main(RUN)
    assert PREDICTIONS.read_text(encoding="utf-8").splitlines() == [
        "index,label,prediction,confidence",
        "0,cat,cat,0.750000",
        "1,cat,dog,0.750000",
        "2,dog,dog,1.000000",
        "3,dog,dog,0.750000",
        "4,Ankle boot,cat,1.000000",
        "5,Ankle boot,cat,0.583333",
    ]


def test_without_a_test_part_the_official_images_are_reported() -> None:
    write_data("test", [], [])
    main(RUN)
    assert set(read_metrics()) == {"train", "official"}
    assert "dog,2,1.0,1.0,1.0" in CLASSES.read_text(encoding="utf-8").splitlines()
    with PREDICTIONS.open(encoding="utf-8") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["dog", "dog", "Ankle boot"]


@pytest.mark.parametrize("seed", range(5))
def test_numbers_by_class_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 12))
    labels, classes = rng.integers(0, k, 40), rng.integers(0, max(k - 1, 1), 40)
    predictions = Predictions(labels, classes, np.ones(40))
    names = [f"class {i}" for i in range(k)]
    rows = measure_classes(predictions, names, "images")
    expected = precision_recall_fscore_support(labels, classes, labels=range(k), zero_division=0)
    for name, row, *shares, images in zip(names, rows, *expected, strict=True):
        assert (row.pop("class"), row.pop("images")) == (name, images)
        assert list(row.values()) == pytest.approx(shares, abs=1e-6)


def test_predictions_are_read_back_as_they_were_written() -> None:
    main(RUN)
    predictions = read_predictions(PREDICTIONS, load_dataset())
    assert predictions.labels.tolist() == LABELS
    assert predictions.classes.tolist() == [0, 1, 1, 1, 0, 0]
    assert predictions.confidence.tolist() == [0.75, 0.75, 1, 0.75, 1, 0.583333]


def test_bytes_depend_neither_on_the_run_nor_on_time_zone_and_locale() -> None:
    main(RUN)
    before = [path.read_bytes() for path in (METRICS, CLASSES, PREDICTIONS)]
    elsewhere = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONHASHSEED": "7"}
    done = run_module(Path(), "pipeline.evaluate", **elsewhere)
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in (METRICS, CLASSES, PREDICTIONS)] == before


def test_bytes_do_not_depend_on_the_kernels_that_the_environment_asks_for() -> None:
    rng = np.random.default_rng(0)
    model = MLP((3, 50, 3), activation="tanh", output="softmax", bias=True)
    model.parameters.vector[:] = rng.normal(size=len(model.parameters.vector))
    save_model(model, MODEL)
    write_data("test", rng.random((1000, 3)).tolist(), [0] * 1000)
    main(RUN)
    before = [path.read_bytes() for path in (METRICS, CLASSES, PREDICTIONS)]
    other_kernels = {"OPENBLAS_CORETYPE": "Sandybridge", "OPENBLAS_NUM_THREADS": "2"}
    done = run_module(Path(), "pipeline.evaluate", **other_kernels)
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in (METRICS, CLASSES, PREDICTIONS)] == before


def remove_model() -> None:
    MODEL.unlink()


def truncate_model() -> None:
    MODEL.write_bytes(MODEL.read_bytes()[:200])


def replace_model_by_one_of_more_inputs() -> None:
    save_model(identity(4, 3), MODEL)


def replace_model_by_one_of_more_classes() -> None:
    save_model(identity(3, 5), MODEL)


def remove_images() -> None:
    (PROCESSED / "test_images.npy").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_model, "models/model.npz is not there"),
        (truncate_model, "models/model.npz is not what this pipeline wrote"),
        (replace_model_by_one_of_more_inputs, "takes 4 values and tells 3 classes apart, .* have 3 and 3"),
        (replace_model_by_one_of_more_classes, "takes 3 values and tells 5 classes apart, .* have 3 and 3"),
        (remove_images, "data/processed/test_images.npy is not there"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(damage: Callable[[], None], message: str) -> None:
    damage()
    with pytest.raises(UserError, match=message) as raised:
        main(RUN)
    assert "\n" not in str(raised.value)
    assert not METRICS.parent.exists()


def test_the_program_ends_with_status_1_and_no_traceback() -> None:
    remove_model()
    done = run_module(Path(), "pipeline.evaluate")
    assert done.returncode == 1
    assert done.stderr.startswith("error: models/model.npz") and done.stderr.count("\n") == 1


def test_a_folder_where_a_file_should_be_is_named() -> None:
    PARAMS.unlink()
    PARAMS.mkdir()
    done = run_module(Path(), "pipeline.evaluate")
    assert (done.returncode, done.stderr) == (1, "error: params.yaml: Is a directory\n")


def test_a_model_of_which_any_byte_has_changed_is_refused_unless_that_changes_nothing() -> None:
    model, whole = load_model(MODEL), MODEL.read_bytes()
    rng = np.random.default_rng(0)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= rng.integers(1, 256)
        MODEL.write_bytes(damaged)
        with suppress(UserError):
            assert_same(load_model(MODEL), model)


def assert_same(one: MLP, other: MLP) -> None:
    np.testing.assert_array_equal(one.parameters.vector, other.parameters.vector)
    for part in ("widths", "activation", "output", "bias", "arithmetic"):
        assert getattr(one, part) == getattr(other, part)


def test_the_served_model_names_the_class_that_is_evaluated() -> None:
    """Also where all outputs are below 0, so that no probability tells the classes apart."""
    from mlflow.pyfunc import PythonModelContext

    from pipeline.tracking.served import Served

    model, served = identity(3, 3), Served()
    model.weights[0][:] = np.diag([-1, -0.5, -1])
    served.answering = Answering(model, Description("toys", "Toys", NAMES, (1, 3)))
    part = load_dataset().test
    labels = served.predict(PythonModelContext({}, {}), part.inputs)["label"]
    assert [NAMES.index(label) for label in labels] == predict_classes(model, part).classes.tolist()


def remove_predictions() -> None:
    PREDICTIONS.unlink()


def open_a_quote_in_predictions() -> None:
    lines = PREDICTIONS.read_text(encoding="utf-8").splitlines(keepends=True)
    PREDICTIONS.write_text("".join([lines[0], '"', *lines[1:] * 5000]), encoding="utf-8")


def prepare_other_images() -> None:
    write_data("test", IMAGES[:4], LABELS[:4])


def rename_a_class() -> None:
    path = PROCESSED / "dataset.json"
    path.write_text(path.read_text(encoding="utf-8").replace("dog", "wolf"), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_predictions, "reports/predictions.csv is not there: `dvc repro evaluate`"),
        (open_a_quote_in_predictions, "reports/predictions.csv is not what this pipeline wrote"),
        (prepare_other_images, r"reports/predictions.csv is not .* \(it has 6 predictions, of 4 images"),
        (rename_a_class, r"reports/predictions.csv is not .* \(there is no 'dog'"),
    ],
)
def test_predictions_that_are_not_of_these_images_and_classes_are_refused(
    damage: Callable[[], None], message: str
) -> None:
    main(RUN)
    damage()
    with pytest.raises(UserError, match=message):
        read_predictions(PREDICTIONS, load_dataset())
