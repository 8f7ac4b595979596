"""Figures of the chapter on the rivals."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots import style
from simam_edu.plots.style import GREY, LOOKS, Look

Point = tuple[float, float]


def gains_figure(
    maps: Float[np.ndarray, "c h w"],
    gains: Mapping[str, Float[np.ndarray, "c h w"]],
    *,
    channels: Sequence[int],
) -> Figure:
    """Draw maps of an image, and beside them their gains on one scale, a column per module."""
    columns = 1 + len(gains)
    figure, axes = style.new_figure(len(channels), columns, width=1.5 * columns, height=1.6 * len(channels))
    for axis, channel in zip(axes[:, 0], channels, strict=True):
        style.picture(axis, maps[channel], bar=False, cmap="gray")
        axis.set_ylabel(f"channel {channel}", fontsize=9)
    axes[0, 0].set_title("map", fontsize=9)
    for column, (name, gain) in zip(axes.T[1:], gains.items(), strict=True):
        column[0].set_title(name, fontsize=9)
        for axis, channel in zip(column, channels, strict=True):
            image = style.picture(axis, gain[channel], bar=False, cmap="cividis", vmin=0.0, vmax=1.0)
    figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02, label="gain")
    return figure


def costs_figure(costs: Mapping[str, tuple[Point, Point]], *, copy_milliseconds: float) -> Figure:
    """Draw the time of modules over the memory that they move, as the first edition did.

    A module, of up to five, has two points of maps moved and milliseconds: of its output,
    drawn full, and of output and gradient, drawn hollow. A copy takes ``copy_milliseconds`` a
    map.
    """
    figure, axis = style.new_axis(3.6)
    for name, points, look in style.looks("costs", costs, (*LOOKS, Look("black", "*", "-"))):
        axis.plot(*np.transpose(points), color=look.color, linewidth=0.7)
        axis.plot(*points[0], markersize=8, label=name, **look.marks)
        axis.plot(*points[1], markersize=8, markerfacecolor="white", **look.marks)
    ends = np.array([0.0, max(gradient[0] for _, gradient in costs.values())])
    axis.plot(ends, copy_milliseconds * ends, color=GREY, linestyle=":", label="copying as much")
    legend = {"title": "hollow: with gradient"}
    style.label(axis, "maps moved", "time, ms", legend=legend, xlim=(0, None), ylim=(0, None))
    return figure
