"""A run in the working folder: a network that was trained on scikit-learn's 8×8 digits, and measured."""

import numpy as np
import yaml
from sklearn.datasets import load_digits

from pipeline import evaluate
from pipeline.data.dataset import PROCESSED, write_description
from pipeline.runs.run import Run
from pipeline.train import CONF
from tests.commands import ROOT, UNDER_DVC, run_module


def prepare(
    classes: int = 10,
    test: int = 300,
    hidden: list[int] | None = None,
    epochs: int = 3,
    image_shape: tuple[int, int] = (8, 8),
    augmentation: str = "none",
    measure_every: int = 1,
) -> Run:
    """Go through the stages before plot."""
    images, labels = load_digits(n_class=classes, return_X_y=True)
    images = (images / 16).astype(np.float32)
    train = len(images) - test - 50
    ends = {"train": slice(train), "test": slice(train, train + test), "official": slice(train + test, None)}
    PROCESSED.mkdir(parents=True)
    for part, rows in ends.items():
        np.save(PROCESSED / f"{part}_images.npy", images[rows])
        np.save(PROCESSED / f"{part}_labels.npy", np.eye(classes, dtype=np.uint8)[labels[rows]])
    names = [str(digit) for digit in range(classes)]
    description = {"name": "mnist", "title": "Digits", "classes": names, "image_shape": list(image_shape)}
    write_description(PROCESSED, description)

    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["tracking"]["enabled"] = False
    params["dataset"]["classes"] = names
    params["split"] = {"train": train, "test": test}
    params["model"]["hidden"] = [20] if hidden is None else hidden
    params["training"] |= {"epochs": epochs, "measure_every": measure_every}
    choice = (CONF / f"augmentation/{augmentation}.yaml").read_text(encoding="utf-8")
    params["augmentation"] = yaml.safe_load(choice)
    run = Run()
    run.params.write_text(yaml.safe_dump(params), encoding="utf-8")
    done = run_module(run.folder, "pipeline.train", *UNDER_DVC)
    assert done.returncode == 0, done.stderr
    evaluate.main(run)
    return run
