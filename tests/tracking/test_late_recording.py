"""A training that MLflow missed is recorded by whoever evaluates its folder later."""

import shutil
from dataclasses import asdict
from pathlib import Path

import yaml

from tests.commands import run_module
from tests.stores import client, configuration, runs


def test_a_training_that_mlflow_missed_is_recorded_once_by_evaluating_its_folder(project: Path) -> None:
    folder = Path("outputs/first")
    for results in ("models", "reports"):
        shutil.copytree(results, folder / results)
    (folder / "params.yaml").write_text(yaml.safe_dump(asdict(configuration())))
    for journal in (True, False):  # as a training leaves it, and as DVC's cache brings it back
        if not journal:
            (folder / "models/journal.jsonl").unlink()
        done = run_module(project, "pipeline.evaluate", str(folder))
        assert done.returncode == 0, done.stderr
        assert "\nMLflow: relu 8, sgd 0.1, seed 0, in the experiment MNIST" in done.stdout
    [run] = runs(client(project))
    assert run.info.status == "FINISHED"
    assert {"official_accuracy", "train_loss"} <= run.data.metrics.keys()
