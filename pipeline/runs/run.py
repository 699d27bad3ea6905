"""A run is a folder: where in it each file of a training and of what was made from it is."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.config.reading import read_params
from pipeline.config.schema import Config
from pipeline.support.files import PARAMS

PROBLEMS = Path("models/problems")  # the folder of the small problems' runs


@dataclass(frozen=True)
class Run:
    """A run's folder.

    DVC's run is the one at the repository's root, and its files are the outputs of dvc.yaml. A single
    training, a job of a sweep and a small problem have a folder of their own, with the same files in it.

    Attributes:
        folder: relative to the repository's root, or absolute.
    """

    folder: Path = Path()

    @property
    def params(self) -> Path:
        """The configuration."""
        return self.folder / PARAMS

    @property
    def model(self) -> Path:
        """The trained network."""
        return self.folder / "models/model.npz"

    @property
    def snapshots(self) -> Path:
        """The parameters as they were every so often in training."""
        return self.folder / "models/snapshots.npz"

    @property
    def journal(self) -> Path:
        """What happened when in training (`pipeline.runs.journal`)."""
        return self.folder / "models/journal.jsonl"

    @property
    def history(self) -> Path:
        """What training measured, a row an epoch."""
        return self.folder / "reports/history.csv"

    @property
    def metrics(self) -> Path:
        """The metrics of each part of the data."""
        return self.folder / "reports/metrics.json"

    @property
    def classes(self) -> Path:
        """Precision, recall and F1 of each class; RMSE, MAE and R² of each target of a regression."""
        return self.folder / "reports/classes.csv"

    @property
    def predictions(self) -> Path:
        """What the network predicts for each row of the reported part."""
        return self.folder / "reports/predictions.csv"

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.folder / "reports/figures"

    @property
    def page(self) -> Path:
        """The page to look at and to play with."""
        return self.folder / "reports/page.html"

    def is_dvcs(self) -> bool:
        """Return whether this is the run of `dvc repro`."""
        return self.folder == Path()

    def config(self) -> Config:
        """Read the run's configuration.

        Raises:
            UserError: if the file is missing or does not fit the schema.
        """
        return read_params(self.params)
