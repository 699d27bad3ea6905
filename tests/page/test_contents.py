"""The page is one small file, a function of the run, and holds what the run says."""

import json
import os
import re
import shutil
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.dataset import PROCESSED, load_dataset
from pipeline.nn.fast import predict
from pipeline.nn.types import Part
from pipeline.page.__main__ import main
from pipeline.page.contents import MOST_IMAGES, chosen_images, sprite
from pipeline.runs.evaluation import Predictions
from pipeline.runs.models import load_model
from pipeline.runs.run import Run
from pipeline.runs.snapshots import load_snapshots
from pipeline.support.errors import UserError
from tests.commands import SMALL, run_module
from tests.digits import prepare

RUN = Run()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, before = tmp_path_factory.mktemp("digits"), Path.cwd()
    os.chdir(folder)
    try:
        prepare(epochs=1)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def run(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that has been trained and measured, in the working folder."""
    monkeypatch.chdir(shutil.copytree(digits, tmp_path / "copy"))
    return RUN


def contents(page: Path) -> dict[str, Any]:
    """Return what the page holds as JSON."""
    [found] = re.findall(r'id="contents">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    held: dict[str, Any] = json.loads(found)
    return held


def test_the_page_is_one_file_without_any_address(run: Run) -> None:
    main(run)
    page = run.page.read_text(encoding="utf-8")
    assert (
        re.findall(
            r"{{|<link rel=.stylesheet|<script src|https?://(?!www\.w3\.org/2000/svg)|@import|url\(", page
        )
        == []
    )
    assert len(re.findall(r"</script>", page)) == len(re.findall(r"<script", page))


def test_the_same_run_gives_the_same_bytes_wherever_and_whenever(run: Run) -> None:
    main(run)
    before = run.page.read_bytes()
    environment = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    done = run_module(Path(), "pipeline.page", **environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"page: {run.page}\n", "")
    assert run.page.read_bytes() == before


def test_it_holds_the_network_the_measurements_and_the_images(run: Run) -> None:
    main(run)
    held, dataset, model = contents(run.page), load_dataset(), load_model(run.model)
    parameters = np.frombuffer(b64decode(held["network"]["parameters"]), "<f4")
    np.testing.assert_array_equal(parameters, model.parameters.vector.astype(np.float32))
    images = held["images"]
    pixels = np.frombuffer(b64decode(images["pixels"]), np.uint8).reshape(-1, 64)
    rows = np.array(images["index"])
    np.testing.assert_allclose(pixels / 255, dataset.test.inputs[rows], atol=0.5 / 255)
    np.testing.assert_array_equal(images["label"], dataset.test.targets[rows].argmax(axis=1))
    taken = predict(model, dataset.test.inputs).argmax(axis=1)
    np.testing.assert_array_equal(images["prediction"], taken[rows])
    assert sorted(rows) == list(range(300))


def test_any_class_name_is_text_and_nothing_else(run: Run) -> None:
    path = PROCESSED / "dataset.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    names = ["</script><b>", "<!--", "&amp;", '"', "'", "\\", "{{title}}", "\u2028", "é", "<"]
    title = "<script>alert(1)</script>"
    path.write_text(json.dumps({**description, "classes": names, "title": title}), encoding="utf-8")
    done = run_module(Path(), "pipeline.evaluate")
    assert done.returncode == 0, done.stderr
    main(run)
    page = run.page.read_text(encoding="utf-8")
    assert contents(run.page)["classes"] == names
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;: test accuracy" in page


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (RUN.model, "models/model.npz is not there: `dvc repro train` makes it"),
        (RUN.history, "reports/history.csv is not there: `dvc repro train` makes it"),
        (RUN.predictions, "reports/predictions.csv is not there: `dvc repro evaluate` makes it"),
        (RUN.metrics, "reports/metrics.json is not there: `dvc repro evaluate` makes it"),
    ],
    ids=str,
)
def test_what_is_missing_is_said_in_one_line(missing: Path, message: str, run: Run) -> None:
    missing.unlink()
    with pytest.raises(UserError, match=f"^{message}$"):
        main(run)
    assert not run.page.exists()


def test_the_page_of_dvcs_run_has_the_small_networks_too(run: Run) -> None:
    options = ["training.epochs=20", "tracking.enabled=false", "hydra.run.dir=models/problems/xor"]
    done = run_module(Path(), "pipeline.train", "experiment=xor", *options)
    assert done.returncode == 0, done.stderr
    main(run)
    [problem] = contents(run.page)["problems"]
    assert problem["title"] == "XOR, 2–8–1, tanh"
    parameters = np.frombuffer(b64decode(problem["parameters"]), "<f4").reshape(len(problem["epochs"]), -1)
    trained = load_model(Run(Path("models/problems/xor")).model)
    np.testing.assert_array_equal(parameters[-1], trained.parameters.vector.astype(np.float32))
    Path("models/problems/xor/models/model.npz").write_bytes(b"damaged")
    told = r"^models/problems/xor/models/model\.npz is not what .*: train that run again$"
    with pytest.raises(UserError, match=told):
        main(run)


def test_the_weights_over_training_are_those_of_the_snapshots(run: Run) -> None:
    main(run)
    held, snapshots = contents(run.page)["firstLayer"], load_snapshots(run.snapshots)
    assert held["epochs"] == [epoch for epoch, _ in snapshots]
    step = held["weights"]["step"]
    found = step * np.frombuffer(b64decode(held["weights"]["values"]), np.int8).reshape(2, 20, 64)
    layers = np.array([vector[: 20 * 64].reshape(20, 64) for _, vector in snapshots])
    np.testing.assert_allclose(found, layers[:, held["units"]], atol=step / 2 + 1e-7)


def test_any_folder_of_a_run_gets_its_page(workspace: Path) -> None:
    folder = "hydra.run.dir=outputs/mine"
    for arguments in (
        ["pipeline.train", *SMALL, folder],
        [
            "pipeline.train",
            "experiment=xor",
            "training.epochs=20",
            "tracking.enabled=false",
            "hydra.run.dir=outputs/xor",
        ],
        ["pipeline.page", "outputs/xor"],
    ):
        done = run_module(workspace, *arguments)
        assert done.returncode == 0, done.stderr
    assert "A network 2–" in (workspace / "outputs/xor/reports/page.html").read_text(encoding="utf-8")
    done = run_module(workspace, "pipeline.page", "outputs/mine")
    assert (done.returncode, done.stderr) == (
        1,
        "error: outputs/mine/reports/predictions.csv is not there: `python -m pipeline.evaluate outputs/mine`"
        " writes it\n",
    )


def test_what_is_brighter_than_all_training_images_is_white_and_what_is_darker_black() -> None:
    part = Part(np.array([[1.02, -0.01, 0.5]], np.float32), np.ones((1, 1), np.uint8))
    zero = np.zeros(1, np.int64)
    pixels = sprite(part, Predictions(zero, zero, np.ones(1)), 1)["pixels"]
    assert [*b64decode(pixels)] == [255, 0, 128]


@given(st.data(), st.integers(1, 5), st.sampled_from([0, 3, 40, 3 * MOST_IMAGES]))
def test_every_pair_of_label_and_prediction_has_its_surest_images(
    data: st.DataObject, k: int, n: int
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    labels, classes = rng.integers(0, k, n), rng.integers(0, k, n)
    predictions = Predictions(labels, classes, rng.random(n).round(2))
    rows = chosen_images(predictions, k)
    assert len(set(rows.tolist())) == len(rows) <= MOST_IMAGES
    confidence = predictions.confidence[rows]
    assert (np.diff(confidence) <= 0).all()
    kept = np.zeros(n, dtype=bool)
    kept[rows] = True
    counts = [
        (kept & of_pair, of_pair)
        for a in range(k)
        for b in range(k)
        if (of_pair := (labels == a) & (classes == b)).any()
    ]
    most = max((there.sum() for there, _ in counts), default=0)
    for there, of_pair in counts:
        assert there.sum() == min(most, of_pair.sum())
        if not there.all() and (of_pair & ~kept).any():
            assert predictions.confidence[there].min() >= predictions.confidence[of_pair & ~kept].max()
