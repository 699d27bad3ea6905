"""Problems: train the problem sheet's small problems, and draw what the networks learned."""

from pipeline.support.program import program

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir

from pipeline.config.reading import read_params, resolve, write_params
from pipeline.config.schema import Config
from pipeline.nn.fast import predict
from pipeline.nn.measurement import accuracy
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Part
from pipeline.runs.checkpoints import remove_checkpoint
from pipeline.runs.fingerprint import fingerprint
from pipeline.runs.run import PROBLEMS, Run
from pipeline.runs.trained import TrainedRun
from pipeline.runs.training import train_run
from pipeline.support.files import refuse_links, remove_leftovers, warn_of_others, write_text
from pipeline.tracking import MirrorProcess
from pipeline.train import CONF

TITLES = {
    "sheet_alternating": "The problem sheet's network on the alternating points",
    "alternating_solved": "A network that fits every alternating point",
    "xor": "XOR",
}
EXPERIMENTS = tuple(TITLES)
METRICS = Path("reports/problems.json")
FIGURES = Path("reports/problems")


def main() -> None:
    """Train each problem below `models/problems/`; write `reports/problems.json` and `reports/problems/`."""
    runs = {experiment: Run(PROBLEMS / experiment) for experiment in EXPERIMENTS}
    written = [path.parent for run in runs.values() for path in (run.model, run.history)]
    for folder in (FIGURES, *written):
        refuse_links(folder, "remove the link, and the stage makes the folder")
        remove_leftovers(folder)
    tracking = read_params().tracking
    experiments = {experiment: read_experiment(experiment) for experiment in EXPERIMENTS}
    configs = {experiment: replace(config, tracking=tracking) for experiment, config in experiments.items()}
    with MirrorProcess(list(runs.values()), configs[EXPERIMENTS[0]], "train"):
        for experiment, config in configs.items():
            write_params(config, runs[experiment].params)
            train_run(config, runs[experiment])
            remove_checkpoint(fingerprint(config))
        trained = {experiment: TrainedRun.open(run) for experiment, run in runs.items()}
        metrics = {experiment: measure(run.dataset.train, run.model) for experiment, run in trained.items()}
        write_text(METRICS, json.dumps(metrics, indent=2) + "\n")
        draw(trained)


def read_experiment(experiment: str, *changes: str) -> Config:
    """Return the configuration that `experiment=experiment` and further `changes` compose."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return resolve(compose("config", [f"experiment={experiment}", *changes]), f"experiment={experiment}")


def measure(points: Part, model: MLP) -> dict[str, Any]:
    """Return the share of points on the right side of ½, the largest error, and the prediction of each."""
    predictions, labels = predict(model, points.inputs)[:, 0], points.targets[:, 0]
    return {
        "accuracy": accuracy(model, points),
        "largest_error": round(float(np.abs(predictions - labels).max()), 4),
        "predictions": {
            ", ".join(f"{value:g}" for value in point): round(float(prediction), 4)
            for point, prediction in zip(points.inputs, predictions, strict=True)
        },
    }


def draw(trained: dict[str, TrainedRun]) -> None:
    """Draw the alternating points, and what each network has learned, into `reports/problems/`."""
    from pipeline.figures.problems import alternating_points, describe, draw_learned, xor_in_space
    from pipeline.figures.style import save, style

    with style():
        points = trained["alternating_solved"].dataset.train
        n = len(points.inputs)
        subtitle = f"{n} points x = 0, 1/{n}, …, with labels 0, 1, 0, 1, …"
        figure = alternating_points("The alternating points", subtitle, points)
        save(figure, FIGURES / "alternating_points.png")
        drawn = ["alternating_points.png", "xor_3d.png"]
        for experiment, run in trained.items():
            drawn += draw_learned(run, TITLES[experiment], FIGURES, experiment)
        xor = trained["xor"]
        subtitle = f"The label as third axis; {describe(xor.model)}"
        save(xor_in_space(TITLES["xor"], subtitle, xor.dataset.train, xor.model), FIGURES / "xor_3d.png")
    warn_of_others(FIGURES, drawn)
    warn_of_others(PROBLEMS, EXPERIMENTS)


if __name__ == "__main__":
    with program(__doc__, stage="problems"):
        main()
