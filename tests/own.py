"""Data of your own, brought and prepared in a test's folder."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from pipeline.data.dataset import Dataset, load_dataset
from pipeline.data.own import AnyOwnDataset
from pipeline.data.splitting import Split
from pipeline.download import bring_own
from pipeline.preprocess import preprocess

HALVES = Split(train=0.5, test=0.5)


def bring(folder: Path, values: dict[str, Any]) -> Path:
    """Bring the data that the configuration `values` names to `folder`, and return where they are."""
    named = {"name": values["kind"], **values}
    bring_own(TypeAdapter(AnyOwnDataset).validate_python(named), folder / "data/raw")
    return folder / "data/raw"


def prepare(folder: Path, values: dict[str, Any], split: Split = HALVES) -> Dataset:
    """Bring and prepare the data that the configuration `values` names, and open them."""
    raw = bring(folder, values)
    preprocess(raw, folder / "data/processed", split)
    return load_dataset(folder / "data/processed/folds/0" if split.folds else folder / "data/processed")


def table(folder: Path, content: str | bytes, name: str = "table.csv", **values: Any) -> dict[str, Any]:
    """Write a table with this `content`, and return the configuration that names it."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return {"kind": "table", "path": str(folder / name), "target": "y", **values}


def arrays(folder: Path, x: np.ndarray, y: np.ndarray, **values: Any) -> dict[str, Any]:
    """Write the arrays, and return the configuration that names them."""
    np.savez(folder / "arrays.npz", x=x, y=y)
    return {"kind": "arrays", "path": str(folder / "arrays.npz"), **values}


def images(folder: Path, files: dict[str, bytes], **values: Any) -> dict[str, Any]:
    """Write images, `CLASS/FILE` by name, and return the configuration that names them."""
    for name, content in files.items():
        (folder / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "photos" / name).write_bytes(content)
    return {"kind": "images", "path": str(folder / "photos"), **values}


def picture(pixels: np.ndarray, form: str = "PNG", mode: str | None = None) -> bytes:
    """Return a file of the image of `pixels` in a `form` of Pillow's."""
    image = Image.fromarray(pixels)
    content = io.BytesIO()
    (image.convert(mode) if mode else image).save(content, form)
    return content.getvalue()


Maker = Callable[[Path], dict[str, Any]]
