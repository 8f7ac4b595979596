"""Figures of the chapter on the rivals."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from simam_edu.plots import style
from simam_edu.plots.style import GREY, LOOKS, Look

MARKS = (*LOOKS, Look("black", "*", ""))


def gains_figure(gains: Mapping[str, Float[np.ndarray, "c h w"]], *, channels: Sequence[int]) -> Figure:
    """Draw the gains of an image on one scale: a column per module."""
    figure, axes = style.new_figure(
        len(channels), len(gains), width=1.75 * len(gains), height=1.6 * len(channels)
    )
    for column, (name, gain) in zip(axes.T, gains.items(), strict=True):
        column[0].set_title(name, fontsize=9)
        for axis, channel in zip(column, channels, strict=True):
            image = style.picture(axis, gain[channel], bar=False, cmap="cividis", vmin=0.0, vmax=1.0)
    for axis, channel in zip(axes[:, 0], channels, strict=True):
        axis.set_ylabel(f"channel {channel}", fontsize=9)
    figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02, label="gain")
    return figure


def costs_figure(
    costs: Mapping[str, tuple[tuple[float, float], tuple[float, float]]], *, copy_milliseconds: float
) -> Figure:
    """Draw the time that up to five modules take over the memory they move.

    Each has two pairs of maps moved and milliseconds: of the output alone, drawn full,
    and of output and gradient, drawn hollow. The dotted line takes
    ``copy_milliseconds`` per map.
    """
    figure, axis = style.new_axis(3.6)
    for name, (forward, both), look in style.looks("costs", costs, MARKS):
        axis.plot(*zip(forward, both, strict=True), color=look.color, linewidth=0.7)
        axis.plot(*forward, label=name, markersize=8, **look.marks)
        axis.plot(*both, markersize=8, markerfacecolor="white", **look.marks)
    moved = [pair[0] for both in costs.values() for pair in both]
    ends = np.array([min(moved), max(moved)])
    axis.plot(ends, copy_milliseconds * ends, color=GREY, linestyle=":", label="copying as much")
    axis.set(xscale="log", yscale="log", xlabel="memory moved, in times the input (logarithmic)")
    axis.set_ylabel("time, in milliseconds (logarithmic)")
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
        scale.set_major_formatter("{x:g}")
        scale.set_minor_locator(NullLocator())
    handles, labels = axis.get_legend_handles_labels()
    hollow = Line2D([], [], color="black", marker="o", linestyle="", markerfacecolor="white")
    axis.legend([*handles, hollow], [*labels, "hollow: with gradient"], fontsize=8)
    return figure
