"""A trained network as a file: its parameters and what is needed to rebuild it."""

import json
import zipfile
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.files import replacing
from pipeline.nn.mlp import MLP

MODEL = Path("models/model.npz")


def save_model(mlp: MLP, path: Path) -> None:
    """Write `mlp` to an npz file without pickled objects; equal networks give equal bytes.

    It holds `parameters`, the vector of every weight and then every bias, and `architecture`, the rest, in
    JSON.
    """
    architecture = {
        "widths": mlp.widths,
        "activation": mlp.activation,
        "output": mlp.output,
        "bias": mlp.bias,
    }
    with replacing(path) as temporary:
        np.savez(temporary, architecture=json.dumps(architecture), parameters=mlp.parameters.vector)


def load_model(path: Path = MODEL) -> MLP:
    """Rebuild the network that `save_model` wrote to `path`.

    Raises:
        UserError: if the file is missing, damaged, or not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            architecture = json.loads(str(file["architecture"]))
            parameters = file["parameters"]
        mlp = MLP(**architecture, dtype=str(parameters.dtype))
        if parameters.shape != mlp.parameters.vector.shape:
            raise ValueError(f"{parameters.size} parameters, not {mlp.parameters.vector.size}")
    except FileNotFoundError:
        raise UserError(f"{path} is not there: `dvc repro train` makes it") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is not a model that this pipeline wrote ({error}): `dvc repro -f train` trains it anew"
        ) from None
    mlp.parameters.vector[:] = parameters
    return mlp
