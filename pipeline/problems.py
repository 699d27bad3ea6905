"""Problems: train the problem sheet's small problems by their recipes, and draw what the networks learned."""

from pipeline.support.program import program

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hydra import compose, initialize_config_dir

from pipeline.config.reading import read_params, resolve
from pipeline.config.schema import Config
from pipeline.nn.fast import predict
from pipeline.nn.measurement import accuracy
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array
from pipeline.runs.history import HISTORY
from pipeline.runs.models import MODEL, SNAPSHOTS, load_model, load_snapshots
from pipeline.runs.training_data import data_for
from pipeline.support.files import refuse_links, remove_leftovers, replacing, warn_of_others, write_text
from pipeline.tracking import Tracker
from pipeline.train import CONF, train_and_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.figures.problems import DecisionPlane, LearnedFunction

RECIPES = ("sheet_alternating", "alternating_solved", "xor")
TITLES = {
    "sheet_alternating": "The problem sheet's network on the alternating points",
    "alternating_solved": "A network that fits every alternating point",
}
MODELS = Path("models/problems")
METRICS = Path("reports/problems.json")
FIGURES = Path("reports/problems")
BETWEEN = np.linspace(0, 1, 400)[:, None]
LOW, HIGH = -0.25, 1.25  # of the plane around XOR's corners
ALONG = np.linspace(LOW, HIGH, 201)
PLANE = np.stack(np.meshgrid(ALONG, ALONG), axis=-1).reshape(-1, 2)


def main() -> None:
    """Train each recipe below `models/problems/`; write `reports/problems.json` and `reports/problems/`."""
    trained = [MODELS / recipe / path.parent for recipe in RECIPES for path in (MODEL, HISTORY)]
    for folder in (FIGURES, *trained):
        refuse_links(folder, "remove the link, and the stage makes the folder")
        remove_leftovers(folder)
    tracking = read_params().tracking
    recipes = {recipe: read_recipe(recipe) for recipe in RECIPES}
    configs = {recipe: replace(config, tracking=tracking) for recipe, config in recipes.items()}
    with Tracker(configs[RECIPES[0]], MODELS / RECIPES[0]) as tracker:
        for recipe, config in configs.items():
            if recipe != RECIPES[0]:
                tracker.turn_to(config, MODELS / recipe)
            train_and_write(config, MODELS / recipe, tracker).remove()
        models = {recipe: load_model(MODELS / recipe / MODEL) for recipe in RECIPES}
        metrics = {recipe: measure(configs[recipe], models[recipe]) for recipe in RECIPES}
        write_text(METRICS, json.dumps(metrics, indent=2) + "\n")
        draw_all(configs, models)


def read_recipe(recipe: str, *changes: str) -> Config:
    """Return the configuration that `experiment=recipe` and further `changes` compose."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return resolve(compose("config", [f"experiment={recipe}", *changes]), f"experiment={recipe}")


def measure(config: Config, model: MLP) -> dict[str, Any]:
    """Return the share of points on the right side of ½, the largest error, and the prediction of each."""
    part = data_for(config).train
    predictions, labels = predict(model, part.images)[:, 0], part.labels[:, 0]
    return {
        "accuracy": accuracy(model, part),
        "largest_error": round(float(np.abs(predictions - labels).max()), 4),
        "predictions": {
            ", ".join(f"{value:g}" for value in point): round(float(prediction), 4)
            for point, prediction in zip(part.images, predictions, strict=True)
        },
    }


def draw_all(configs: dict[str, Config], models: dict[str, MLP]) -> None:
    """Write the figures, and where a recipe keeps snapshots its animation, to `reports/problems/`."""
    from pipeline.figures import (
        network as figures,  # only now: it takes a second, in which the tracker is already under way
    )
    from pipeline.figures.animation import save_gif, some
    from pipeline.figures.problems import DecisionPlane, LearnedFunction, alternating_points, xor_in_space

    drawn = {}
    with figures.style():
        points = data_for(configs["alternating_solved"]).train
        x, labels = points.images[:, 0], points.labels[:, 0]
        subtitle = f"{len(x)} points x = 0, 1/{len(x)}, …, with labels 0, 1, 0, 1, …"
        drawn["alternating_points"] = alternating_points("The alternating points", subtitle, x, labels)
        animations: dict[str, Callable[[int, MLP], Figure]] = {}
        for recipe, title in TITLES.items():
            function = LearnedFunction.draw(title, x, labels, BETWEEN[:, 0])
            animations[recipe] = partial(show_function, function, points.images)
            drawn[recipe] = animations[recipe](configs[recipe].training.epochs, models[recipe])

        square = data_for(configs["xor"]).train
        corners, bits = square.images, square.labels[:, 0]
        plane = DecisionPlane.draw("XOR", corners, bits, LOW, HIGH)
        animations["xor"] = partial(show_plane, plane)
        drawn["xor"] = animations["xor"](configs["xor"].training.epochs, models["xor"])
        drawn["xor_3d"] = xor_in_space(
            "XOR",
            f"The label as third axis; {describe(models['xor'])}",
            corners,
            bits,
            ALONG,
            surface(models["xor"]),
        )
        for name, figure in drawn.items():
            figures.save(figure, FIGURES / f"{name}.png")
        for recipe, draw in animations.items():
            if snapshots := load_snapshots(MODELS / recipe / SNAPSHOTS):
                frames = (
                    draw(epoch, with_parameters(models[recipe], vector)) for epoch, vector in some(snapshots)
                )
                with replacing(FIGURES / f"{recipe}.gif") as path:
                    save_gif(path, frames)
            else:  # one from an earlier run
                (FIGURES / f"{recipe}.gif").unlink(missing_ok=True)
    warn_of_others(FIGURES, [*(f"{name}.png" for name in drawn), *(f"{recipe}.gif" for recipe in animations)])
    warn_of_others(MODELS, RECIPES)


def show_function(function: "LearnedFunction", points: Array, epoch: int, model: MLP) -> "Figure":
    """Return the figure of `function` as `model` has learned it after `epoch`."""
    learned = predict(model, BETWEEN)[:, 0], predict(model, points)[:, 0]
    return function.show(f"{describe(model)}, after {epoch:,} steps", *learned)


def show_plane(plane: "DecisionPlane", epoch: int, model: MLP) -> "Figure":
    """Return the figure of `plane` as `model` has learned it after `epoch`."""
    return plane.show(f"{describe(model)}, after {epoch:,} steps", surface(model))


def surface(model: MLP) -> Array:
    """Return the outputs of `model` over the plane, by x₂ and x₁: (m, m)."""
    return predict(model, PLANE).reshape(len(ALONG), len(ALONG))


def with_parameters(model: MLP, vector: Array) -> MLP:
    """Return a network like `model` with the parameters `vector`."""
    twin = model.copy()
    twin.parameters.vector[:] = vector
    return twin


def describe(model: MLP) -> str:
    """Say what network it is: `1-50-4-1, sigmoid, without biases`."""
    biases = "with biases" if model.bias else "without biases"
    return f"{'-'.join(map(str, model.widths))}, {model.activation}, {biases}"


if __name__ == "__main__":
    with program(__doc__, stage="problems"):
        main()
