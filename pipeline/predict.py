"""What a trained network takes images for, or predicts of rows: `python -m pipeline.predict FILE…`.

An image is a PNG or JPEG, such as a photo of a digit on paper, or a CSV or NPY file of pixel values. Rows are
those of a table, CSV, TSV or Parquet, with the columns of the one that the network was trained on.
"""

from pipeline.support.program import command, program

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config.schema import GeneratedDataset
from pipeline.data.dataset import PROCESSED, Description, digest, folder_for, read_description
from pipeline.data.images import read_image
from pipeline.data.photos import read_photo
from pipeline.data.pixels import SUFFIXES, load_numbers, read_pixels
from pipeline.nn.types import Array
from pipeline.runs.answers import Answering
from pipeline.runs.models import read_made_from
from pipeline.runs.run import Run
from pipeline.runs.trained import TrainedRun, files_of
from pipeline.support.errors import UserError, warn
from pipeline.support.files import reading
from pipeline.tracking.registry import load_registered
from pipeline.tracking.store import one_line_on_failures

SHADES = " ░▒▓█"
DECIMALS = 1  # of a probability in per cent; what would be 0 is not printed


@dataclass(frozen=True)
class ImageNetwork:
    """A network that takes images.

    Attributes:
        answering: the network with what it knows of its data.
        image_shape: rows and columns of its images.
    """

    answering: Answering
    image_shape: tuple[int, int]

    def read(self, path: Path) -> Array:
        """Return the images in the file at `path` as the network takes them, (n, rows, columns) in [0, 1].

        Raises:
            UserError: if the file is missing or holds no such image.
        """
        if not path.is_file():
            raise UserError(f"{path}: there is no such file")
        data = self.answering.data
        of_bytes = data.encoding is None  # not other numbers than those of an image file
        own = of_bytes and data.prepared.get("dataset.kind") in {"images", "arrays"}  # not digits on paper
        if path.suffix.lower() in SUFFIXES:
            return read_pixels(path, self.image_shape, photos=not own) if of_bytes else self._read_raw(path)
        return self._read_like_the_training_part(path) if own else read_photo(path, self.image_shape)[None]

    def _read_like_the_training_part(self, path: Path) -> Array:
        try:
            image = read_image(path, colour=False, size=self.answering.data.prepared.get("dataset.size"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from None
        if image.shape != self.image_shape:
            of_training = "×".join(map(str, self.image_shape))
            raise UserError(f"{path}: it is of {'×'.join(map(str, image.shape))} pixels, not {of_training}")
        return image[None] / np.float32(255)

    def _read_raw(self, path: Path) -> Array:
        with reading(path, "", remedy="it should hold numbers as those that the network was trained on"):
            return self.answering.inputs(load_numbers(path)).reshape(-1, *self.image_shape)

    def describe(self, images: Array) -> list[str]:
        """Return for each of `images`, (n, rows, columns), the classes by probability."""
        flat = images.reshape(len(images), -1).astype(np.float32)
        return by_probability(self.answering.classify(flat)[1], self.answering.data.classes)


@dataclass(frozen=True)
class TableNetwork:
    """A network that takes rows of a table.

    Attributes:
        answering: the network with what it knows of its data.
    """

    answering: Answering

    def read(self, path: Path) -> Array:
        """Return the inputs of the rows in the table at `path`, (n, d).

        Raises:
            UserError: if the file is missing or holds no such rows.
        """
        try:
            return self.answering.read(path)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from None

    def describe(self, inputs: Array) -> list[str]:
        """Return for each row of `inputs` the numbers that are predicted, or the classes by probability."""
        data = self.answering.data
        if data.task == "classification":
            return by_probability(self.answering.classify(inputs)[1], data.classes)
        numbers = self.answering.answer(inputs).to_numpy()
        names = [target.name for target in data.targets]
        return [
            ", ".join(f"{name} {written(number)}" for name, number in zip(names, row, strict=True))
            for row in numbers
        ]


def written(number: float) -> str:
    """Return `number` with six digits, or with all before the point."""
    return f"{number:,.0f}" if 1e6 <= abs(number) < 1e15 else f"{number:,.6g}"


def by_probability(probabilities: Array, classes: Sequence[str]) -> list[str]:
    """Return for each row of `probabilities`, (n, k), the `classes`, the most probable first."""
    return [
        ", ".join(
            f"{classes[k]} {share} %"
            for k in np.argsort(-row, kind="stable")
            if float(share := f"{100 * row[k]:.{DECIMALS}f}")
        )
        for row in probabilities
    ]


def main() -> int:
    """Print a line for each image or row on the command line; return the program's exit status."""
    arguments = parse()
    network = registered_network(arguments.model) if arguments.model else network_of(Run(arguments.run))
    status = 0
    for path in arguments.files:
        try:
            images = network.read(path)
        except UserError as error:  # the other files do not depend on it
            warn(f"error: {error}")
            status = 1
            continue
        for number, (image, line) in enumerate(zip(images, network.describe(images), strict=True)):
            print(f"{path}{f'[{number}]' if len(images) > 1 else ''}: {line}")
            if arguments.show and isinstance(network, ImageNetwork):
                print(drawn(image))
    return status


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog=command(), description=__doc__)
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="an image: PNG, JPEG, CSV or NPY; or a table"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--run",
        type=Path,
        metavar="FOLDER",
        default=Path(),
        help="the run whose network it is: outputs/…, multirun/…/3; without it, the run of `dvc repro`",
    )
    which.add_argument("--model", metavar="URI", help="a model in MLflow, such as models:/mnist@champion")
    parser.add_argument("--show", action="store_true", help="draw each image as the network sees it")
    return parser.parse_args()


def network_of(run: Run) -> ImageNetwork | TableNetwork:
    """Return the network of `run`.

    Raises:
        UserError: if there is none, a file is damaged, or it takes neither images nor rows of a table.
    """
    with files_of(run):
        trained = TrainedRun.open(run)
    dataset, split = trained.dataset, trained.config.split
    if isinstance(trained.config.dataset, GeneratedDataset):
        data = Description(dataset.name, dataset.title, dataset.classes, image_shape=None)
    else:
        made_from = read_made_from(trained.run.model)
        if made_from and made_from.get("dataset") != digest():
            remedy = "`dvc repro train` trains on these" if run.is_dvcs() else "train that run again"
            raise UserError(f"{trained.run.model} was trained on other data than {PROCESSED} holds: {remedy}")
        data = read_description(folder_for(split.folds, split.fold), Description, "preprocess")
    return network_for(Answering(trained.model, data, trained.copies))


def registered_network(uri: str) -> ImageNetwork | TableNetwork:
    """Return the network of the model at `uri` in MLflow.

    Raises:
        UserError: if there is none, the store does not answer, or it takes neither images nor a table's rows.
    """
    with one_line_on_failures():
        answering = load_registered(uri)
    return network_for(answering)


def network_for(answering: Answering) -> ImageNetwork | TableNetwork:
    """Return the network as one that takes what it was trained on: images, or rows of a table.

    Raises:
        UserError: if that is anything else.
    """
    data = answering.data
    match data.image_shape:
        case (rows, columns) if min(rows, columns) > 1 and data.task == "classification":
            return ImageNetwork(answering, (rows, columns))
    if answering.columns:
        return TableNetwork(answering)
    raise UserError(
        f"the network was trained on {data.title}: it takes neither grey images of classes nor a table's rows"
    )


def drawn(image: Array) -> str:
    """Return `image`, numbers in [0, 1], as text: two characters for each pixel."""
    shades = np.rint(image * (len(SHADES) - 1)).astype(int)
    return "\n".join("".join(2 * SHADES[shade] for shade in row).rstrip() for row in shades)


if __name__ == "__main__":
    with program():
        raise SystemExit(main())
