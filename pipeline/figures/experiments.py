"""Figures of the experiments that sweep."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from pipeline.figures.style import COLOURS, QUIET, new_figure

SHAPES = "osD^v"


def smallest_networks(
    ns: Sequence[int],
    widest: Mapping[int, int],
    smallest: Mapping[tuple[int, int], int],
    activation: str,
    seeds: int,
) -> Figure:
    """Draw the least width with which a network of each depth fits each problem.

    Args:
        ns: each n of the 2ⁿ points, ascending.
        widest: depth → the largest width that was tried.
        smallest: (n, depth) → width; what is missing was not fitted.
        activation: of the hidden layers.
        seeds: how many were tried of each network.
    """
    figure, axes = new_figure(
        7,
        3.6,
        "Depth against width: the smallest network found that fits 2ⁿ alternating points",
        f"{activation} layers of equal width, the best of {seeds} seeds; without a mark, no tried width fits",
    )
    depths = sorted(widest)
    for i, depth in enumerate(depths):
        shift = 0.1 * (i - (len(depths) - 1) / 2)
        found = [n for n in ns if (n, depth) in smallest]
        layers = f"{depth} hidden layer{'s' if depth > 1 else ''} (up to {widest[depth]} wide)"
        axes.plot(
            [n + shift for n in found],
            [smallest[n, depth] for n in found],
            marker=SHAPES[i % len(SHAPES)],
            linestyle="-",
            linewidth=1,
            color=COLOURS[i % len(COLOURS)],
            label=layers,
        )
    widths = sorted({*widest.values(), *smallest.values()})
    axes.set_yscale("log", base=2)
    axes.set_yticks(widths, [str(width) for width in widths])
    axes.set_ylim(min(widths) / 1.4, max(widths) * 1.4)
    axes.set_xticks(ns, [f"n = {n}\n{2**n} points" for n in ns])
    axes.set_xlim(min(ns) - 0.4, max(ns) + 0.4)
    for n in ns:
        if not any((n, depth) in smallest for depth in depths):
            axes.text(n, min(widths), "none of those\ntried", ha="center", va="bottom", color=QUIET)
    axes.set_ylabel("units a layer")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def dying_units(
    lines: Mapping[str, Mapping[float, tuple[float, float]]],
    dataset: str,
    epochs: int,
) -> Figure:
    """Draw dead units and accuracy by learning rate.

    Args:
        lines: activation → learning rate → share of dead units, accuracy; NaN where training diverged.
        dataset: what was learned.
        epochs: how long.
    """
    figure, above = new_figure(
        7,
        5,
        "Dying ReLUs: a learning rate too large kills units for good",
        f"The problem sheet's network on {dataset}, {epochs} epochs; a gap where training diverged",
    )
    figure.delaxes(above)
    above, below = figure.subplots(2, sharex=True)
    for i, (activation, points) in enumerate(lines.items()):
        shape, colour = SHAPES[i % len(SHAPES)], COLOURS[i % len(COLOURS)]
        look = {"marker": shape, "markersize": 5, "color": colour, "label": activation}
        line = sorted(points)
        above.plot(line, [100 * points[rate][0] for rate in line], **look)
        below.plot(line, [100 * points[rate][1] for rate in line], **look)
    above.set_ylabel("dead units (%)")
    above.set_ylim(-4, 104)
    below.set_ylabel("test accuracy (%)")
    below.set_ylim(0, 102)
    below.set_xscale("log")
    rates = sorted({rate for points in lines.values() for rate in points})
    below.set_xlim(rates[0] / 1.2, rates[-1] * 1.2)  # also where all have diverged
    below.set_xticks(rates, [f"{rate:g}" for rate in rates])
    below.minorticks_off()
    below.set_xlabel("learning rate")
    above.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    for axes in (above, below):
        axes.tick_params(labelcolor=QUIET)
    return figure
