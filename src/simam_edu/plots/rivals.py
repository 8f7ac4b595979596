"""Figures of the chapter on the rivals."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from simam_edu.plots.style import GREY, LOOKS, new_figure

MARKS = (*((color, marker) for color, marker, _ in LOOKS), ("black", "*"))


def gains_figure(gains: Mapping[str, Float[np.ndarray, "c h w"]], *, channels: Sequence[int]) -> Figure:
    """Draw the gains of several modules, one column a module and one row a channel, on one scale.

    Args:
        gains: The gain of every neuron of one image, by the name of the module.
        channels: The channels to draw.
    """
    figure, axes = new_figure(len(channels), len(gains), width=1.75 * len(gains), height=1.6 * len(channels))
    for column, (name, gain) in zip(axes.T, gains.items(), strict=True):
        column[0].set_title(name, fontsize=9)
        for axis, channel in zip(column, channels, strict=True):
            image = axis.imshow(gain[channel], cmap="cividis", vmin=0.0, vmax=1.0)
            axis.set(xticks=[], yticks=[])
            axis.grid(visible=False)
    for axis, channel in zip(axes[:, 0], channels, strict=True):
        axis.set_ylabel(f"channel {channel}", fontsize=9)
    figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02, label="gain")
    return figure


def costs_figure(
    costs: Mapping[str, tuple[tuple[float, float], tuple[float, float]]], *, copy_milliseconds: float
) -> Figure:
    """Draw the time that modules take over the memory they move, alone and with their gradient.

    Args:
        costs: For each module, by its label, two pairs of maps moved and milliseconds: of the output alone,
            drawn full, and of output and gradient, drawn hollow.
        copy_milliseconds: What it takes to move one map when it is copied; the dotted line.

    Raises:
        ValueError: If there are more than five modules: as many marks can be told apart.
    """
    if len(costs) > len(MARKS):
        raise ValueError(f"costs must be at most {len(MARKS)}, got {len(costs)}; draw two figures")
    figure, axes = new_figure(height=3.6)
    axis = axes[0, 0]
    for (name, (forward, both)), (color, marker) in zip(costs.items(), MARKS, strict=False):
        axis.plot(*zip(forward, both, strict=True), color=color, linewidth=0.7)
        axis.plot(*forward, color=color, marker=marker, linestyle="", markersize=8, label=name)
        axis.plot(*both, color=color, marker=marker, linestyle="", markersize=8, markerfacecolor="white")
    moved = [pair[0] for both in costs.values() for pair in both]
    ends = np.array([min(moved), max(moved)])
    axis.plot(ends, copy_milliseconds * ends, color=GREY, linestyle=":", label="copying as much")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="memory moved, in times the input (logarithmic)",
        ylabel="time, in milliseconds (logarithmic)",
    )
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
        scale.set_major_formatter("{x:g}")
        scale.set_minor_locator(NullLocator())
    handles, labels = axis.get_legend_handles_labels()
    hollow = Line2D([], [], color="black", marker="o", linestyle="", markerfacecolor="white")
    axis.legend([*handles, hollow], [*labels, "hollow: with gradient"], fontsize=8)
    return figure
