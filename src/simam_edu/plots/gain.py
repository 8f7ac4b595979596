"""Figures of the chapter on the formula: from the energy to the gain."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Real
from matplotlib.figure import Figure

from simam_edu.plots import style
from simam_edu.plots.style import BLUE, GREY, ORANGE, Values


def shape_figure(z: Values, importance: Values, gain: Values) -> Figure:
    """Draw importance and gain over z, distances in standard deviations."""
    figure, axes = style.new_figure(1, 2, height=2.9)
    for axis, values, name in zip(axes[0], (importance, gain), ("importance $1/e^*$", "gain"), strict=True):
        axis.plot(z, values, color=BLUE)
        axis.axhline(float(values.min()), color=GREY, linestyle=":", label="least value")
        axis.set(xlabel="z-score $z$", ylabel=name)
    axes[0, 0].set_ylim(bottom=0.0)
    axes[0, 1].set_ylim(0.0, 1.05)
    axes[0, 0].legend(fontsize=8, loc="upper center")
    return figure


def slopes_figure(z: Values, of_importance: Values, of_gain: Values, *, steepest: float) -> Figure:
    """Draw the derivatives of importance and gain by z, and the steepest gain."""
    figure, axis = style.new_axis(2.9)
    axis.plot(z, of_importance, color=ORANGE, linestyle="--", label="of the importance")
    axis.plot(z, of_gain, color=BLUE, label="of the gain")
    axis.axvline(steepest, color=GREY, linestyle=":", label="steepest gain")
    style.label(axis, "z-score $z$", "derivative by the z-score", ylim=(0.0, 4.0 * float(of_gain.max())))
    return figure


def budget_figure(before: Values, after: Values, *, raised: int, budget: float) -> Figure:
    """Draw the importance of neurons before and after one, by index, is raised.

    The ``budget`` is the mean importance, the same for both.
    """
    figure, axis = style.new_axis(3.1)
    neurons = np.arange(before.size)
    axis.vlines(neurons, before, after, color=GREY, linewidth=0.8)
    axis.plot(neurons, before, "o", color=BLUE, markerfacecolor="none", label="before")
    axis.plot(neurons, after, "D", color=ORANGE, markersize=5, label="after")
    axis.axhline(budget, color=GREY, linestyle="--", label="mean, before and after")
    style.note(axis, "raised", (raised, after[raised]), by=(-8, 0), ha="right", va="center")
    style.label(axis, "neuron", "importance $1/e^*$", xticks=neurons)
    return figure


def p_values_figure(curves: Mapping[str, tuple[Real[np.ndarray, "_"], Real[np.ndarray, "_"]]]) -> Figure:
    """Draw the p-value of a neuron over its gain, for up to four sizes of map."""
    figure, axis = style.new_axis(3.2)
    for name, gains_and_p_values, look in style.looks("curves", curves):
        axis.semilogy(*gains_and_p_values, label=name, **look.lines)
    limits = {"xlim": (0.6, 1.01), "ylim": (1e-5, 1.5)}
    style.label(
        axis, "gain", "$p$-value (logarithmic)", legend={"loc": "lower left", "title": "map"}, **limits
    )
    return figure


def cap_figure(sizes: Values, caps: Values, *, floor: float) -> Figure:
    """Draw the largest gain of a neuron over the size of its channel."""
    figure, axis = style.new_axis(2.9)
    axis.semilogx(sizes, caps, color=BLUE, marker="o", base=2, label="largest gain, shared statistics")
    axis.axhline(1.0, color=ORANGE, linestyle="--", label="bound of the gain, leave one out")
    axis.axhline(floor, color=GREY, linestyle=":", label="least gain")
    axis.set_xticks(sizes, [f"{int(size)}" for size in sizes], fontsize=8)
    axis.minorticks_off()
    legend = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.28)}
    style.label(axis, "neurons in the channel, $M$", "gain", ylim=(0.5, 1.03), legend=legend)
    return figure


def penalty_figure(ratios: Values, gains: Mapping[float, Values]) -> Figure:
    r"""Draw the gain over :math:`\lambda/\sigma^2`, by z, up to four."""
    figure, axis = style.new_axis(3.2)
    by_z = {f"$|z| = {z:g}$": gain for z, gain in gains.items()}
    style.curves(axis, ratios, by_z, scale="semilogx", argument="gains", marker="")
    axis.axvline(1.0, color=GREY, linewidth=0.8)
    style.note(axis, r"$\lambda = \sigma^2$", (1.0, 0.53), by=(5, 0), color=GREY)
    x = r"penalty over variance, $\lambda / \sigma^2$ (logarithmic)"
    style.label(axis, x, "gain", ylim=(0.5, 1.03), legend={"loc": "center right"})
    return figure
