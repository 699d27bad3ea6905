"""Figures of the small problems: what is to be learned, and the function that a network has learned."""

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text

from pipeline.figures.animation import animate
from pipeline.figures.network import BLUE, FAINT, INK, QUIET, VERMILION, new_figure

SIDES = LinearSegmentedColormap.from_list("sides", [BLUE, "#ffffff", VERMILION])
LABEL_COLOURS = (BLUE, VERMILION)


def alternating_points(title: str, subtitle: str, x: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw points on a line with their labels, 0 or 1.

    Args:
        title: the first line, here and in the other functions.
        subtitle: the second line.
        x: (n,).
        labels: (n,).
    """
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
    line: Line2D
    predictions: Line2D

    @classmethod
    def draw(cls, title: str, x: np.ndarray, labels: np.ndarray, between: np.ndarray) -> "LearnedFunction":
        """Draw all but what was learned.

        Args:
            title: the first line.
            x: (n,) the points.
            labels: (n,) 0 or 1.
            between: (m,) where the function is drawn.
        """
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
        return cls(figure, figure.texts[1], line, dots)

    def show(self, subtitle: str, function: np.ndarray, predictions: np.ndarray) -> Figure:
        """Put in the learned `function` (m,) at `between` and its `predictions` (n,) at the points."""
        self.subtitle.set_text(subtitle)
        self.line.set_ydata(function)
        self.predictions.set_ydata(predictions)
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
    def draw(
        cls, title: str, corners: np.ndarray, labels: np.ndarray, low: float, high: float
    ) -> "DecisionPlane":
        """Draw all but what was learned.

        Args:
            title: the first line.
            corners: (4, 2).
            labels: (4,) 0 or 1.
            low: where the drawn square begins in each direction.
            high: where it ends.
        """
        figure, axes = new_figure(5, 4, title, " ")
        blank = np.full((2, 2), np.nan)
        extent = (low, high, low, high)
        image = axes.imshow(blank, cmap=SIDES, vmin=0, vmax=1, origin="lower", extent=extent, alpha=0.75)
        axes.grid(False)
        for label, marker in ((0, "o"), (1, "s")):
            of_label = corners[labels == label]
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

    def show(self, subtitle: str, surface: np.ndarray) -> Figure:
        """Put in the learned `surface`, (m, m) outputs by x₂ and x₁ over the drawn square."""
        self.subtitle.set_text(subtitle)
        self.image.set_data(surface)
        if self.border:
            self.border.remove()
            self.border = None
        if surface.min() < 0.5 < surface.max():
            low, high, *_ = self.image.get_extent()
            along = np.linspace(low, high, len(surface))
            self.border = self.image.axes.contour(
                along, along, surface, levels=[0.5], colors=[INK], linewidths=1.2
            )
            self.border.set_animated(True)
        return self.figure


def xor_in_space(
    title: str, subtitle: str, corners: np.ndarray, labels: np.ndarray, along: np.ndarray, surface: np.ndarray
) -> Figure:
    """Draw XOR with the label as third axis, and the learned surface through it.

    Args:
        title: the first line.
        subtitle: the second line.
        corners: (4, 2).
        labels: (4,) 0 or 1.
        along: (m,) where the surface is drawn in each direction.
        surface: (m, m) outputs by x₂ and x₁.
    """
    figure, axes = new_figure(5.5, 4.6, title, subtitle, projection="3d")
    axes.computed_zorder = False  # type: ignore[attr-defined]  # or the surface may hide a point
    x1, x2 = np.meshgrid(along, along)
    axes.plot_surface(  # type: ignore[attr-defined]
        x1, x2, surface, cmap=SIDES, vmin=0, vmax=1, alpha=0.6, rcount=40, ccount=40, linewidth=0
    )
    for (x, y), label in zip(corners, labels, strict=True):
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
