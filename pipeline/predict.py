"""What a trained network takes images for: `python -m pipeline.predict IMAGE…`.

An image is a PNG or JPEG, such as a photo of a digit on paper, or a CSV or NPY file of pixel values.
"""

from pipeline.support.program import command, program

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.dataset import Dataset, Description
from pipeline.data.photos import read_photo
from pipeline.data.pixels import SUFFIXES, read_pixels
from pipeline.nn.types import Array
from pipeline.runs.models import TrainedModel, classify
from pipeline.runs.run import Run
from pipeline.runs.trained import TrainedRun, files_of
from pipeline.support.errors import UserError, warn
from pipeline.tracking.registry import load_registered
from pipeline.tracking.store import check_server, one_line_on_failures

SHADES = " ░▒▓█"
DECIMALS = 1  # of a probability in per cent; what would be 0 is not printed


@dataclass(frozen=True)
class ImageNetwork:
    """A network that takes images.

    Attributes:
        model: the network.
        classes: their names, in the order of its outputs.
        image_shape: rows and columns of its images.
    """

    model: TrainedModel
    classes: Sequence[str]
    image_shape: tuple[int, int]

    def read(self, path: Path) -> Array:
        """Return the images in the file at `path` as the network takes them, (n, rows, columns) in [0, 1].

        Raises:
            UserError: if the file is missing or holds no such image.
        """
        if not path.is_file():
            raise UserError(f"{path}: there is no such file")
        if path.suffix.lower() in SUFFIXES:
            return read_pixels(path, self.image_shape)
        return read_photo(path, self.image_shape)[None]

    def describe(self, images: Array) -> list[str]:
        """Return for each of `images`, (n, rows, columns), the classes by probability."""
        _, probabilities = classify(self.model, images.reshape(len(images), -1).astype(np.float32))
        return [
            ", ".join(
                f"{self.classes[k]} {share} %"
                for k in np.argsort(-row, kind="stable")
                if float(share := f"{100 * row[k]:.{DECIMALS}f}")
            )
            for row in probabilities
        ]


def main() -> int:
    """Print a line for each image on the command line; return the program's exit status."""
    arguments = parse()
    network = registered_network(arguments.model) if arguments.model else network_of(Run(arguments.run))
    status = 0
    for path in arguments.images:
        try:
            images = network.read(path)
        except UserError as error:  # the other images do not depend on it
            warn(f"error: {error}")
            status = 1
            continue
        for number, (image, line) in enumerate(zip(images, network.describe(images), strict=True)):
            print(f"{path}{f'[{number}]' if len(images) > 1 else ''}: {line}")
            if arguments.show:
                print(drawn(image))
    return status


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog=command(), description=__doc__)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="PNG, JPEG, CSV or NPY")
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


def network_of(run: Run) -> ImageNetwork:
    """Return the network of `run`.

    Raises:
        UserError: if there is none, a file is damaged, or it takes no images.
    """
    with files_of(run):
        trained = TrainedRun.open(run)
    return of_images(trained.model, trained.dataset)


def registered_network(uri: str) -> ImageNetwork:
    """Return the network of the model at `uri` in MLflow.

    Raises:
        UserError: if there is none, the store does not answer, or it takes no images.
    """
    check_server()
    with one_line_on_failures():
        model, description = load_registered(uri)
    return of_images(model, description)


def of_images(model: TrainedModel, data: Dataset | Description) -> ImageNetwork:
    """Return `model` as a network that takes images, as it does if it was trained on such `data`.

    Raises:
        UserError: if it takes anything else, or tells no classes apart.
    """
    match data.image_shape:
        case (rows, columns) if min(rows, columns) > 1 and data.task == "classification":
            return ImageNetwork(model, data.classes, (rows, columns))
    raise UserError(f"the network was trained on {data.title}: it does not tell grey images apart")


def drawn(image: Array) -> str:
    """Return `image`, numbers in [0, 1], as text: two characters for each pixel."""
    shades = np.rint(image * (len(SHADES) - 1)).astype(int)
    return "\n".join("".join(2 * SHADES[shade] for shade in row).rstrip() for row in shades)


if __name__ == "__main__":
    with program():
        raise SystemExit(main())
