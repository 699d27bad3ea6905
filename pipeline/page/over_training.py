"""What the page shows of networks over their training: the first layer, and small networks whole."""

from typing import Any

import numpy as np

from pipeline.config.schema import GeneratedDataset
from pipeline.nn.mlp import MLP
from pipeline.page.encoding import floats, quantised
from pipeline.runs.run import PROBLEMS, Run
from pipeline.runs.snapshots import evenly_spaced, first_layer, most_moved
from pipeline.runs.trained import TrainedRun, files_of

MOST_EPOCHS = 41
MOVING_UNITS = 24
LEARNING_RATE = 0.1  # of the page's plain steps, where training took others


def describe_first_layer(trained: TrainedRun) -> dict[str, Any] | None:
    """Return the first layer's weights over training; None where training took no snapshots.

    They are those of the units that move most, at each epoch; and those of all units at the start.
    """
    snapshots = trained.snapshots()
    if not snapshots:
        return None
    layers = {epoch: first_layer(trained.model, parameters) for epoch, parameters in snapshots}
    first, *_, last = layers
    units = most_moved(layers[first], layers[last], MOVING_UNITS)
    epochs = evenly_spaced(list(layers), MOST_EPOCHS // 2)
    return {
        "units": units.tolist(),
        "epochs": epochs,
        "weights": quantised(np.stack([layers[epoch][units] for epoch in epochs])),
        "start": quantised(layers[first]),
    }


def describe_problems(trained: TrainedRun) -> list[dict[str, Any]]:
    """Return the small networks that the page shows, the smallest first.

    A small network's own page shows it alone. The page of DVC's run shows those of the stage `problems`.

    Raises:
        UserError: if a file is damaged.
    """
    if isinstance(trained.config.dataset, GeneratedDataset):
        return [describe_problem(trained)]
    if not trained.run.is_dvcs():
        return []
    problems = []
    for path in sorted(PROBLEMS.glob("*/models/model.npz")):
        run = Run(path.parents[1])
        with files_of(run):
            problems.append(describe_problem(TrainedRun.open(run)))
    return sorted(problems, key=lambda problem: len(problem["parameters"]))


def describe_architecture(model: MLP) -> dict[str, Any]:
    """Return what the page needs to rebuild a network, but for its parameters."""
    return {
        "widths": model.widths,
        "activation": model.activation,
        "output": model.output,
        "bias": model.bias,
    }


def describe_problem(trained: TrainedRun) -> dict[str, Any]:
    """Return a small network with its points, and its parameters over training."""
    model, config, points = trained.model, trained.config, trained.dataset.train
    snapshots = trained.snapshots() or [(config.training.epochs, model.parameters.vector)]
    shown = evenly_spaced(snapshots, MOST_EPOCHS)
    return {
        "title": f"{trained.dataset.title}, {'–'.join(map(str, model.widths))}, {model.activation}",
        "architecture": describe_architecture(model),
        "loss": config.loss.name,
        "smoothing": config.loss.label_smoothing,
        "rate": config.optimizer.learning_rate if config.optimizer.name == "sgd" else LEARNING_RATE,
        "inputs": points.inputs.tolist(),
        "labels": points.targets.tolist(),
        "epochs": [epoch for epoch, _ in shown],
        "parameters": floats(np.stack([vector for _, vector in shown])),
    }
