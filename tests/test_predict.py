"""What the command says of images: photos, pictures and pixel values, good ones and bad ones."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.dataset import PROCESSED, Description
from pipeline.data.photos import in_data_form
from pipeline.data.strokes import choose_digits, draw
from pipeline.nn.batches import MiniBatches
from pipeline.nn.fast import predict
from pipeline.nn.initialisers import He
from pipeline.nn.losses import Canonical
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import SGD
from pipeline.nn.training import Trainer
from pipeline.nn.types import Part
from pipeline.predict import ImageNetwork, written
from pipeline.runs.answers import Answering
from pipeline.runs.models import load_model
from pipeline.runs.run import Run
from tests.commands import SMALL, UNDER_DVC, made_once, run_module
from tests.photos import write_photo

TENS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="session")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with DVC's run, trained on a few drawn digits, and XOR's."""

    def train(folder: Path) -> None:
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        for options in (UNDER_DVC, ["experiment=xor", "training.epochs=5", *SMALL[-1:], "hydra.run.dir=xor"]):
            done = run_module(folder, "pipeline.train", *options)
            assert done.returncode == 0, done.stderr

    return made_once("predicting", train, tmp_path_factory)


@pytest.fixture(scope="module")
def reader() -> ImageNetwork:
    """A network that has learned drawn digits in MNIST's form."""
    labels = choose_digits(6000, "train")
    images = np.concatenate(list(draw(labels, "train"))) / 255
    inputs = np.array([in_data_form(image, (28, 28)).ravel() for image in images], np.float32)
    part = Part(inputs, np.eye(10, dtype=np.uint8)[labels])
    network, rng = (
        MLP((784, 100, 10), activation="relu", output="softmax", bias=True),
        np.random.default_rng(0),
    )
    He().initialise(network, rng)
    Trainer(network, Canonical(), SGD(learning_rate=0.2)).fit(MiniBatches(part, 20, rng), epochs=4)
    return ImageNetwork(Answering(network, Description("strokes", "Strokes", TENS, (28, 28))), (28, 28))


def test_nine_of_ten_photos_are_read(reader: ImageNetwork, tmp_path: Path) -> None:
    [digits] = draw(labels := choose_digits(200, "official"), "official")
    read = []
    for digit, width in enumerate([60, 90, 150, 240, 400, 600, 800, 1000, 1200, 1600]):
        path = tmp_path / f"{digit}.jpg"
        write_photo(path, digits[labels.tolist().index(digit)], digit, width, light=digit % 2 == 1)
        [line] = reader.describe(reader.read(path))
        read.append(line[0])
    assert sum(np.array(read) == TENS) >= 9, read


def test_every_image_has_a_line_and_a_bad_one_stops_no_other(trained: Path, tmp_path: Path) -> None:
    images = np.load(trained / PROCESSED / "official_images.npy")[:3]
    np.save(tmp_path / "three.npy", images)
    np.savetxt(tmp_path / "one.csv", images[:1], delimiter=",")
    names = [str(tmp_path / name) for name in ("three.npy", "none.png", "one.csv")]
    done = run_module(trained, "pipeline.predict", *names)
    assert (done.returncode, done.stderr) == (1, f"error: {names[1]}: there is no such file\n")
    lines = done.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [*(f"{names[0]}[{k}]" for k in range(3)), names[2]]
    best = predict(load_model(trained / Run().model), images).argmax(axis=1)
    assert [int(line.partition(": ")[2][0]) for line in lines] == [*best, best[0]]
    shares = [float(share) for share in re.findall(r" ([\d.]+) %", lines[0])]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(100, abs=0.6)


def test_what_the_network_sees_can_be_shown(trained: Path, tmp_path: Path) -> None:
    pixels = np.zeros((28, 28))
    pixels[4:24, 13:15] = 1
    np.save(tmp_path / "one.npy", pixels)
    done = run_module(trained, "pipeline.predict", "--show", str(tmp_path / "one.npy"))
    assert done.stdout.split("\n")[1:] == [*[""] * 4, *[" " * 26 + "████"] * 20, *[""] * 5]
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "xor"], "the network was trained on XOR: it takes neither grey images of classes nor"),
        (["--run", "nowhere"], "nowhere/models/model.npz is not there: nowhere should be the folder of a"),
        (["--model", "models:/mnist@champion"], "there is no mlflow.db here: run this at the repository's"),
        (["--model", "outputs/mine"], "--model outputs/mine: should be such as models:/mnist@champion or"),
    ],
    ids=str,
)
def test_a_network_that_cannot_be_had_is_said_in_one_line(
    arguments: list[str], message: str, trained: Path, tmp_path: Path
) -> None:
    done = run_module(trained, "pipeline.predict", *arguments, "photo.jpg")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1


def test_a_network_of_other_data_than_are_prepared_now_is_refused(trained: Path, tmp_path: Path) -> None:
    """Since it would be asked with the other data's encoding, and answer with their classes."""
    folder = tmp_path / "changed"
    shutil.copytree(trained, folder)
    about = folder / PROCESSED / "dataset.json"
    about.write_text(about.read_text(encoding="utf-8").replace('"0"', '"nought"'), encoding="utf-8")
    done = run_module(folder, "pipeline.predict", "photo.jpg")
    assert done.stderr == (
        "error: models/model.npz was trained on other data than data/processed holds: `dvc repro train`"
        " trains on these\n"
    )


@pytest.mark.parametrize(
    ("number", "told"), [(0.12345678, "0.123457"), (-152300.0, "-152,300"), (1523456.4, "1,523,456")]
)
def test_a_number_is_written_with_its_digits(number: float, told: str) -> None:
    assert written(number) == told


def test_a_registered_model_reads_without_the_data_that_it_was_trained_on(
    swept: Path, tmp_path: Path
) -> None:
    promoted = run_module(swept, "pipeline.promote")
    assert promoted.returncode == 0, promoted.stderr
    [digit, *_] = np.load(swept / PROCESSED / "official_images.npy")
    Image.fromarray((255 * digit).astype(np.uint8).reshape(28, 28)).save(tmp_path / "digit.png")
    (swept / "data").unlink()
    command = ["pipeline.predict", f"{tmp_path}/digit.png", "--model"]
    done = run_module(swept, *command, "models:/strokes@champion")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"{tmp_path}/digit.png: \d [\d.]+ %(, \d [\d.]+ %)*\n", done.stdout)
    done = run_module(swept, *command, "models:/strokes@nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the tracking store sqlite:///mlflow.db: Registered model alias")
