"""A run in the working folder on a table of scikit-learn's: trained, and measured."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn.datasets import load_breast_cancer, load_diabetes, load_linnerud

from pipeline import evaluate
from pipeline.data.dataset import PROCESSED, Dataset, Target, load_dataset, write_description
from pipeline.nn.measurement import Measurement
from pipeline.nn.training import Callback
from pipeline.runs.build import build_training
from pipeline.runs.callbacks import as_row
from pipeline.runs.history import Row, write_history
from pipeline.runs.models import save_model
from pipeline.runs.run import Run
from pipeline.runs.snapshots import save_snapshots
from tests.commands import ROOT
from tests.nn.configurations import ADAM, configuration


@dataclass(frozen=True)
class Table:
    """Numbers with what is to be predicted of them: classes or, where there are none, numbers."""

    title: str
    inputs: np.ndarray
    targets: np.ndarray
    names: list[str]
    classes: list[str]


def diabetes() -> Table:
    x, y = load_diabetes(return_X_y=True)
    return Table("Diabetes", x, y[:, None], ["progression"], [])


def linnerud() -> Table:
    """20 rows with three targets."""
    data = load_linnerud()
    return Table("Linnerud", data.data, data.target, list(data.target_names), [])


def breast_cancer() -> Table:
    data = load_breast_cancer()
    return Table("Breast cancer", data.data, data.target, [], list(data.target_names))


def write(table: Table, folder: Path = PROCESSED) -> Dataset:
    """Write `table` as the preprocess stage does, 70 % of it for training, and return it as that is read."""
    rows, train = len(table.inputs), int(0.7 * len(table.inputs))
    mean, deviation = table.inputs[:train].mean(axis=0), table.inputs[:train].std(axis=0)
    inputs = ((table.inputs - mean) / deviation).astype(np.float32)
    description: dict[str, Any] = {
        "name": "mnist",
        "title": table.title,
        "classes": table.classes,
        "image_shape": None,
    }
    if table.classes:
        targets = np.eye(len(table.classes), dtype=np.uint8)[table.targets]
    else:
        centre, spread = table.targets[:train].mean(axis=0), table.targets[:train].std(axis=0)
        targets = ((table.targets - centre) / spread).astype(np.float32)
        found = [Target(*each) for each in zip(table.names, centre.tolist(), spread.tolist(), strict=True)]
        description |= {"task": "regression", "targets": [asdict(target) for target in found]}
    folder.mkdir(parents=True, exist_ok=True)
    ends = {"train": slice(train), "test": slice(train, rows), "official": slice(0)}
    for part, where in ends.items():
        np.save(folder / f"{part}_images.npy", inputs[where])
        np.save(folder / f"{part}_labels.npy", targets[where])
    write_description(folder, description)
    return load_dataset(folder)


class Rows(Callback):
    """Keeps the rows of the history."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def on_measured(self, measurement: Measurement) -> None:
        self.rows.append(as_row(measurement))


def prepare(table: Table, **model: Any) -> Run:
    """Go through the stages before plot."""
    dataset, run, kept = write(table), Run(), Rows()
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["tracking"]["enabled"] = False
    run.params.write_text(yaml.safe_dump(params), encoding="utf-8")
    model = {"hidden": [20], "output": None, "bias": True, "initialiser": {"name": "he"}, **model}
    config = configuration(model=model, optimizer={**ADAM, "learning_rate": 0.01}, training={"epochs": 20})
    training = build_training(config, dataset)
    training.fit(kept)
    save_model(training.mlp, run.model)
    save_snapshots(training.snapshots, run.snapshots)
    write_history(kept.rows, run.history)
    evaluate.main(run)
    return run
