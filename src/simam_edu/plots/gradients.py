"""Figures of the chapter on gradients, memory and precision.

Mappings hold up to four curves, by the name of the module or the way to compute.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots import style
from simam_edu.plots.style import GREY, ORANGE, Curves, Values


def matrices_figure(matrices: Mapping[str, Float[np.ndarray, "m m"]]) -> Figure:
    """Draw derivatives of outputs, in rows, by inputs, in columns, by their title.

    Each has its own scale of colors with zero in its middle.
    """
    figure, axes = style.new_figure(1, len(matrices), height=2.6, width=2.6 * len(matrices))
    for axis, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        limit = float(np.abs(matrix).max())
        style.picture(axis, matrix, title, cmap="PuOr", vmin=-limit, vmax=limit)
        axis.set(xlabel="input $j$", ylabel="output $i$")
    return figure


def norms_figure(offsets: Values, norms: Curves) -> Figure:
    """Draw a gradient's growth over a channel's mean in standard deviations."""
    figure, axis = style.new_axis(3.1)
    style.curves(axis, offsets, norms, scale="loglog", marker="")
    axis.axhline(1.0, color=GREY, linewidth=0.8, label="identity")
    style.label(axis, "mean over standard deviation of the channel (logarithmic)", "gradient, out over in")
    return figure


def errors_figure(means: Values, errors: Curves) -> Figure:
    """Draw the largest error of the gain, in last places, over the channel's mean.

    The standard deviation of the channel is one.
    """
    figure, axis = style.new_axis(3.3)
    style.curves(axis, means, errors, scale="loglog", markersize=4)
    axis.axhline(1.0, color=GREY, linewidth=0.8)
    x = "mean of a channel of standard deviation one (logarithmic)"
    style.label(axis, x, "largest error of the gain,\nin units of the last place")
    return figure


def half_precision_figure(spreads: Values, gains: Curves, *, floor: float) -> Figure:
    """Draw the gain of a neuron over its channel's standard deviation.

    A cross marks NaN.
    """
    figure, axis = style.new_axis(3.1)
    for name, values, look in style.looks("gains", gains):
        axis.semilogx(spreads, values, label=name, markersize=4, **look.both)
        lost = spreads[np.isnan(values)]
        if lost.size:
            axis.plot(lost, np.full(lost.size, 0.53), "x", color=look.color, label=f"{name}: not a number")
    axis.axhline(floor, color=GREY, linestyle=":", label="least gain")
    x, legend = "standard deviation of the channel (logarithmic)", {"loc": "center left"}
    style.label(axis, x, "gain of the farthest neuron", ylim=(0.5, 1.02), legend=legend)
    return figure


def copies_figure(copies: Mapping[str, float]) -> Figure:
    """Draw the bytes that a module keeps for backward, over bytes of its input."""
    figure, axis = style.new_axis(0.6 + 0.42 * len(copies))
    bars = axis.barh(list(copies), list(copies.values()), color=ORANGE, height=0.55)
    axis.bar_label(bars, labels=[f"{value:.2f}" for value in copies.values()], padding=3, fontsize=9)
    axis.invert_yaxis()
    axis.set_xlabel("bytes kept for the backward pass, over bytes of the input")
    axis.set_xlim(0, 1.1 * max(copies.values()))
    return figure


def growth_figure(elements: Values, milliseconds: Curves, fits: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw times over the number of elements, with straight lines that fit them.

    A fit has the time a call takes anyway and the time an element adds, in
    milliseconds.
    """
    figure, axis = style.new_axis(3.6)
    fine = np.geomspace(elements.min(), elements.max(), 200)
    for name, times, look in style.looks("milliseconds", milliseconds):
        start, slope = fits[name]
        axis.loglog(elements, times, label=name, **look.marks)
        axis.loglog(fine, start + slope * fine, linewidth=0.9, **look.lines)
    legend = {"title": "measured; lines: fit"}
    style.label(axis, "elements of the input", "forward and backward, ms", legend=legend)
    return figure
