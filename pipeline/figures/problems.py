"""Figures of the small problems: what is to be learned, and the function that a network has learned."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text

from pipeline.data.dataset import Part
from pipeline.figures.animation import MOST_FRAMES, animate, save_gif
from pipeline.figures.results import headline, measured
from pipeline.figures.style import BLUE, FAINT, INK, QUIET, VERMILION, new_figure, save, style
from pipeline.figures.training import draw_curves, save_all
from pipeline.nn.fast import predict
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array
from pipeline.runs.snapshots import evenly_spaced
from pipeline.runs.trained import TrainedRun

SIDES = LinearSegmentedColormap.from_list("sides", [BLUE, "#ffffff", VERMILION])
LABEL_COLOURS = (BLUE, VERMILION)
FEWEST_SAMPLES, MOST_SAMPLES = 400, 8192  # of a learned function on the line
LOW, HIGH = -0.25, 1.25  # of the plane around XOR's corners, in each direction
ALONG = np.linspace(LOW, HIGH, 201)


def draw_problem(trained: TrainedRun) -> list[str]:
    """Draw the training of a small problem and what its network has learned; return the files' names.

    Raises:
        UserError: if history or snapshots are missing or damaged; then nothing is written.
    """
    history, dataset = trained.history(), trained.dataset
    title = headline(dataset, trained.epochs, {"accuracy": history[-1]["train_accuracy"]})
    folder = trained.run.figures
    with style():
        figures = draw_curves(title, measured(dataset, "points"), history, "point")
        if trained.config.dataset.kind == "xor":
            figures["learned_3d"] = xor_in_space(
                dataset.title, describe(trained.model), dataset.train, trained.model
            )
        return draw_learned(trained, dataset.title, folder, "learned") + save_all(figures, folder)


def draw_learned(trained: TrainedRun, title: str, folder: Path, name: str) -> list[str]:
    """Draw what the network of a small problem has learned, and how, if training took snapshots.

    Args:
        trained: its training.
        title: the first line above the pictures.
        folder: where to write.
        name: of the files, `NAME.png` and `NAME.gif`.

    Returns:
        The names of the files that were written.

    Raises:
        UserError: if the snapshots are missing or damaged; then nothing is written.
    """
    snapshots = evenly_spaced(trained.snapshots(), MOST_FRAMES)
    model, problem, training = trained.model, trained.dataset.train, trained.config.training
    batches = -(-len(problem.inputs) // (training.batch_size or len(problem.inputs)))
    learned = (LearnedFunction if problem.inputs.shape[1] == 1 else DecisionPlane).draw(title, problem)

    def show(epoch: int, model: MLP) -> Figure:
        return learned.show(f"{describe(model)}, after {epoch * batches:,} steps", model)

    picture, movie = folder / f"{name}.png", folder / f"{name}.gif"
    save(show(training.epochs, model), picture)
    if snapshots:
        save_gif(movie, (show(epoch, with_parameters(model, vector)) for epoch, vector in snapshots))
        return [picture.name, movie.name]
    movie.unlink(missing_ok=True)  # of an earlier run
    return [picture.name]


def alternating_points(title: str, subtitle: str, points: Part) -> Figure:
    """Draw points on a line with their labels.

    Args:
        title: the first line above the picture, here and in the other functions.
        subtitle: the second line.
        points: images (n, 1) and labels (n, 1), 0 or 1.
    """
    x, labels = points.inputs[:, 0], points.targets[:, 0]
    figure, axes = new_figure(7, 2.4, title, subtitle)
    axes.plot(x, labels, color=FAINT, zorder=1)
    axes.scatter(x, labels, c=[LABEL_COLOURS[label] for label in labels], s=45, zorder=3)
    axes.set_yticks([0, 1])
    axes.set_ylim(-0.2, 1.2)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("x")
    axes.set_ylabel("label")
    if len(x) <= 8:
        axes.set_xticks(x, [f"{value:g}" for value in x])
    return figure


@dataclass
class LearnedFunction:
    """Points with their labels, and the function that a network has learned as a line between them.

    Attributes:
        figure: what is drawn.
    """

    figure: Figure
    subtitle: Text
    points: Array
    between: Array
    line: Line2D
    predictions: Line2D

    @classmethod
    def draw(cls, title: str, points: Part) -> "LearnedFunction":
        """Draw all but what was learned.

        Args:
            title: the first line.
            points: images (n, 1) and labels (n, 1), 0 or 1.
        """
        x, labels = points.inputs[:, 0], points.targets[:, 0]
        between = np.linspace(0, 1, min(max(4 * len(x), FEWEST_SAMPLES), MOST_SAMPLES))
        figure, axes = new_figure(7, 3.2, title, " ")
        axes.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=":")
        (line,) = axes.plot(between, np.full(len(between), np.nan), color=BLUE, label="learned function")
        axes.plot(x, labels, "o", markersize=9, color="none", markeredgecolor=INK, label="label")
        (dots,) = axes.plot(x, np.full(len(x), np.nan), "o", color=VERMILION, label="prediction", zorder=4)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.12, 1.12)
        axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
        axes.set_xlabel("x")
        axes.set_ylabel("output")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        animate(axes)
        return cls(figure, figure.texts[1], points.inputs, between[:, None], line, dots)

    def show(self, subtitle: str, model: MLP) -> Figure:
        """Put in the function that `model` has learned, and its predictions of the points."""
        self.subtitle.set_text(subtitle)
        self.line.set_ydata(predict(model, self.between)[:, 0])
        self.predictions.set_ydata(predict(model, self.points)[:, 0])
        return self.figure


@dataclass
class DecisionPlane:
    """XOR from above: the output in colour over the unit square, the line at ½, and the four corners.

    Attributes:
        figure: what is drawn.
    """

    figure: Figure
    subtitle: Text
    image: AxesImage
    border: QuadContourSet | None

    @classmethod
    def draw(cls, title: str, corners: Part) -> "DecisionPlane":
        """Draw all but what was learned.

        Args:
            title: the first line.
            corners: images (4, 2) and labels (4, 1), 0 or 1.
        """
        figure, axes = new_figure(5, 4, title, " ")
        blank = np.full((2, 2), np.nan)
        extent = (LOW, HIGH, LOW, HIGH)
        image = axes.imshow(blank, cmap=SIDES, vmin=0, vmax=1, origin="lower", extent=extent, alpha=0.75)
        axes.grid(False)
        for label, marker in ((0, "o"), (1, "s")):
            of_label = corners.inputs[corners.targets[:, 0] == label]
            axes.scatter(
                of_label[:, 0],
                of_label[:, 1],
                marker=marker,
                color=LABEL_COLOURS[label],
                edgecolor="white",
                s=90,
                label=f"label {label}",
                zorder=4,
            )
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        axes.set_xlabel("x₁")
        axes.set_ylabel("x₂")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
        figure.colorbar(image, ax=axes, label="output", ticks=[0, 0.5, 1], format="%g", aspect=30)
        animate(axes)
        return cls(figure, figure.texts[1], image, None)

    def show(self, subtitle: str, model: MLP) -> Figure:
        """Put in the outputs of `model` over the drawn square, and the line where they are ½."""
        self.subtitle.set_text(subtitle)
        outputs = surface(model)
        self.image.set_data(outputs)
        if self.border:
            self.border.remove()
            self.border = None
        if outputs.min() < 0.5 < outputs.max():
            self.border = self.image.axes.contour(
                ALONG, ALONG, outputs, levels=[0.5], colors=[INK], linewidths=1.2
            )
            self.border.set_animated(True)
        return self.figure


def xor_in_space(title: str, subtitle: str, corners: Part, model: MLP) -> Figure:
    """Draw XOR with the label as third axis, and through it the surface that `model` has learned.

    Args:
        title: the first line.
        subtitle: the second line.
        corners: images (4, 2) and labels (4, 1), 0 or 1.
        model: the network.
    """
    figure, axes = new_figure(5.5, 4.6, title, subtitle, projection="3d")
    axes.computed_zorder = False  # type: ignore[attr-defined]  # or the surface may hide a point
    x1, x2 = np.meshgrid(ALONG, ALONG)
    axes.plot_surface(  # type: ignore[attr-defined]
        x1, x2, surface(model), cmap=SIDES, vmin=0, vmax=1, alpha=0.6, rcount=40, ccount=40, linewidth=0
    )
    for (x, y), label in zip(corners.inputs, corners.targets[:, 0], strict=True):
        axes.plot([x, x], [y, y], [0, label], color=QUIET, linewidth=1)
        axes.plot([x], [y], [label], "o", color=LABEL_COLOURS[label], markersize=8)
    axes.view_init(elev=28, azim=-58)  # type: ignore[attr-defined]
    axes.set_box_aspect((1, 1, 0.7))  # type: ignore[arg-type]
    axes.set_xlabel("x₁")
    axes.set_ylabel("x₂")
    axes.set_zlabel("label and output")  # type: ignore[attr-defined]
    for ticks in (axes.set_xticks, axes.set_yticks, axes.set_zticks):  # type: ignore[attr-defined]
        ticks([0, 0.5, 1])
    return figure


def surface(model: MLP) -> Array:
    """Return the outputs of `model` over the plane around XOR's corners, by x₂ and x₁: (m, m)."""
    plane = np.stack(np.meshgrid(ALONG, ALONG), axis=-1).reshape(-1, 2)
    return predict(model, plane).reshape(len(ALONG), len(ALONG))


def with_parameters(model: MLP, vector: Array) -> MLP:
    """Return a network like `model` with the parameters `vector`."""
    twin = model.copy()
    twin.parameters.vector[:] = vector
    return twin


def describe(model: MLP) -> str:
    """Say what network it is: `1-50-4-1, sigmoid, without biases`."""
    biases = "with biases" if model.bias else "without biases"
    return f"{'-'.join(map(str, model.widths))}, {model.activation}, {biases}"
