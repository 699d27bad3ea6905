"""The figures of one training: which there are for which task and which data."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from pipeline.figures import curves, mistakes, numbers, of_images
from pipeline.figures.animation import save_gif
from pipeline.figures.results import Results, by_epoch, measured, read_results
from pipeline.figures.style import legible, save, style
from pipeline.nn.metrics import formatted
from pipeline.runs.evaluation import PredictedNumbers, Predictions
from pipeline.runs.history import FOLLOWED, Row, main_metric
from pipeline.runs.snapshots import evenly_spaced
from pipeline.runs.trained import TrainedRun

KNOWN = {
    *("accuracy.png", "rmse.png", "loss.png", "dead_units.png"),
    *("confusion_matrix.png", "calibration.png", "predicted.png", "residuals.png"),
    *("digits.png", "misread.png", "distortions.png", "weights.png", "weights.gif"),
}
"""The files that are drawn of one training or another."""


def draw_training(trained: TrainedRun) -> list[str]:
    """Draw what a network learned, and where it errs; return the files' names.

    Raises:
        UserError: if something to be drawn is missing or damaged; then nothing is written.
    """
    results = read_results(trained)
    folder = trained.run.figures
    with style():
        drawn = save_all(figures_of(results), folder)
        if results.snapshots and results.dataset.image_shape:
            save_gif(folder / "weights.gif", of_images.moving_weights(results))
            drawn.append("weights.gif")
    return drawn


def remove_others(folder: Path, drawn: list[str]) -> None:
    """Remove from `folder` the figures of an earlier training that have not been `drawn` of this one."""
    for name in KNOWN - set(drawn):
        (folder / name).unlink(missing_ok=True)


def save_all(figures: Mapping[str, Figure], folder: Path) -> list[str]:
    """Write each figure to `folder` under its name; return the files' names."""
    for name, figure in figures.items():
        save(figure, folder / f"{name}.png")
    return [f"{name}.png" for name in figures]


def figures_of(results: Results) -> dict[str, Figure]:
    """Return every figure that does not move, by the name of its file."""
    dataset = results.dataset
    subtitle = measured(dataset, f"{dataset.example}s", results.metrics)
    figures = draw_curves(results.title, subtitle, results.history, dataset.example)
    if dataset.task == "regression":
        figures |= draw_numbers(results)
    else:
        figures["confusion_matrix"] = draw_confusion(results)
        if len(dataset.classes) == 2:
            figures["calibration"] = draw_calibration(results)
    if dataset.image_shape:
        figures["weights"] = of_images.draw_weights(results)
        if dataset.task == "classification":
            figures["digits"] = of_images.draw_digits(results)
            figures["misread"] = of_images.draw_misread(results)
        if distortions := of_images.draw_distortions(results):
            figures["distortions"] = distortions
    return figures


def draw_curves(title: str, subtitle: str, history: list[Row], example: str) -> dict[str, Figure]:
    """Draw accuracy or RMSE, loss and dead units by epoch.

    Args:
        title: the first line above the pictures.
        subtitle: the second line above the accuracy or RMSE: what it was measured on.
        history: what was measured.
        example: what is learned from, in the singular: an image, a row or a point.
    """
    epochs, metric = by_epoch(history, "epoch"), main_metric(history[0])
    measured = {part: by_epoch(history, f"{part}_{metric}") for part in FOLLOWED}
    measured = {part: values for part, values in measured.items() if len(values)}
    dead = [column for column in history[0] if column.startswith("dead_")]
    layers = {f"hidden layer {i}": by_epoch(history, column) for i, column in enumerate(dead, start=1)}
    of_loss = f"Loss: mean over the training {example}s of each epoch, while they were learned from"
    of_dead_units = f"Dead units: those whose σ′(z) is 0 for every training {example}"
    if metric == "accuracy":
        main = curves.accuracy(title, subtitle, measured, epochs)
    else:
        named = {f"{part} {formatted(metric, values[-1])}": values for part, values in measured.items()}
        main = curves.errors(title, subtitle, "RMSE", named, epochs)
    losses = by_epoch(history, "loss")
    return {
        metric: main,
        "loss": curves.errors(title, of_loss, "loss", {f"loss {losses[-1]:.4g}": losses}, epochs),
        "dead_units": curves.dead_units(title, of_dead_units, layers, epochs),
    }


def draw_confusion(results: Results) -> Figure:
    """Draw labels against predictions."""
    _, which = results.reported
    classes = results.dataset.classes
    assert isinstance(results.predictions, Predictions)
    confusion = results.predictions.confusion_matrix(len(classes))
    return mistakes.confusion_matrix(
        results.title, f"Labels and predictions of the {which}", confusion, classes
    )


def draw_calibration(results: Results) -> Figure:
    """Draw how often the second of two classes is there, by how probable the network says that it is."""
    _, which = results.reported
    predictions = results.predictions
    assert isinstance(predictions, Predictions)
    return mistakes.calibration(
        results.title,
        f"Calibration on the {which}",
        predictions.of_the_second_class(),
        predictions.labels == 1,
        results.dataset.classes[1],
    )


def draw_numbers(results: Results) -> dict[str, Figure]:
    """Draw what a regression predicts against what is true, and by how much it is wrong."""
    part, which = results.reported
    predictions = results.predictions
    assert isinstance(predictions, PredictedNumbers)
    rows = evenly_spaced(range(len(part.inputs)), numbers.MOST_POINTS)
    if len(rows) < len(part.inputs):
        which = f"{len(rows):,} of the {which}"
    panels = [
        numbers.Panel(legible(target.name), predictions.true[rows, i], predictions.predicted[rows, i])
        for i, target in enumerate(results.dataset.targets)
    ]
    return {
        "predicted": numbers.predicted(results.title, f"Predicted and true numbers of the {which}", panels),
        "residuals": numbers.residuals(
            results.title, f"Residuals, true less predicted, of the {which}", panels
        ),
    }
