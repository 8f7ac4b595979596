"""Figures of the chapter on the formula: from the energy to the gain."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots.style import BLUE, GREY, LOOKS, ORANGE, new_figure


def shape_figure(
    z: Float[np.ndarray, "k"], importance: Float[np.ndarray, "k"], gain: Float[np.ndarray, "k"]
) -> Figure:
    """Draw the importance and the gain over the score, side by side.

    Args:
        z: Scores, distances from the mean in standard deviations.
        importance: The importance at each.
        gain: The gain at each.
    """
    figure, axes = new_figure(1, 2, height=2.9)
    for axis, values, name in zip(axes[0], (importance, gain), ("importance $1/e^*$", "gain"), strict=True):
        axis.plot(z, values, color=BLUE)
        axis.axhline(float(values.min()), color=GREY, linestyle=":", label="least value")
        axis.set(xlabel="score $z$", ylabel=name)
    axes[0, 0].set_ylim(bottom=0.0)
    axes[0, 1].set_ylim(0.0, 1.05)
    axes[0, 0].legend(fontsize=8, loc="upper center")
    return figure


def slopes_figure(
    z: Float[np.ndarray, "k"],
    of_importance: Float[np.ndarray, "k"],
    of_gain: Float[np.ndarray, "k"],
    *,
    steepest: float,
) -> Figure:
    """Draw how fast the importance and the gain grow with the score, on one axis.

    Args:
        z: Scores.
        of_importance: The derivative of the importance at each.
        of_gain: The derivative of the gain at each.
        steepest: The score at which the gain grows fastest.
    """
    figure, axes = new_figure(height=2.9)
    axis = axes[0, 0]
    axis.plot(z, of_importance, color=ORANGE, linestyle="--", label="of the importance")
    axis.plot(z, of_gain, color=BLUE, label="of the gain")
    axis.axvline(steepest, color=GREY, linestyle=":", label="steepest gain")
    axis.set(xlabel="score $z$", ylabel="derivative by the score", ylim=(0.0, 4.0 * float(of_gain.max())))
    axis.legend(fontsize=8)
    return figure


def budget_figure(
    before: Float[np.ndarray, "m"], after: Float[np.ndarray, "m"], *, raised: int, budget: float
) -> Figure:
    """Draw the importance of each neuron of a channel before and after one of them is raised.

    Args:
        before: The importance of each neuron.
        after: The same with one neuron raised.
        raised: The index of that neuron.
        budget: The mean importance, which is the same for both.
    """
    figure, axes = new_figure(height=3.1)
    axis = axes[0, 0]
    neurons = np.arange(before.size)
    axis.vlines(neurons, before, after, color=GREY, linewidth=0.8)
    axis.plot(neurons, before, "o", color=BLUE, markerfacecolor="none", label="before")
    axis.plot(neurons, after, "D", color=ORANGE, markersize=5, label="after")
    axis.axhline(budget, color=GREY, linestyle="--", label="mean, before and after")
    axis.annotate(
        "raised",
        (raised, after[raised]),
        xytext=(-8, 0),
        textcoords="offset points",
        fontsize=9,
        ha="right",
        va="center",
    )
    axis.set(xlabel="neuron", ylabel="importance $1/e^*$", xticks=neurons)
    axis.legend(fontsize=8)
    return figure


def p_values_figure(curves: Mapping[str, tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]]]) -> Figure:
    """Draw the p-value of a neuron over its gain, one line for each size of map.

    Args:
        curves: Gains and p-values, by the name of the size.

    Raises:
        ValueError: If there are more than four curves: as many looks can be told apart.
    """
    _check_count("curves", curves)
    figure, axes = new_figure(height=3.2)
    axis = axes[0, 0]
    for (name, (gains, p_values)), (color, _, line) in zip(curves.items(), LOOKS, strict=False):
        axis.semilogy(gains, p_values, color=color, linestyle=line, label=name)
    axis.set(xlabel="gain", ylabel="$p$-value (logarithmic)", xlim=(0.6, 1.01), ylim=(1e-5, 1.5))
    axis.legend(fontsize=8, loc="lower left", title="map", title_fontsize=8)
    return figure


def cap_figure(sizes: Float[np.ndarray, "k"], caps: Float[np.ndarray, "k"], *, floor: float) -> Figure:
    """Draw the largest gain that a neuron can have against the size of its channel.

    Args:
        sizes: Neurons in the channel.
        caps: The largest gain for each size.
        floor: The least gain, for comparison.
    """
    figure, axes = new_figure(height=2.9)
    axis = axes[0, 0]
    axis.semilogx(sizes, caps, color=BLUE, marker="o", base=2, label="largest gain, shared statistics")
    axis.axhline(1.0, color=ORANGE, linestyle="--", label="bound of the gain, leave one out")
    axis.axhline(floor, color=GREY, linestyle=":", label="least gain")
    axis.set(xlabel="neurons in the channel, $M$", ylabel="gain", ylim=(0.5, 1.03))
    axis.set_xticks(sizes, [f"{int(size)}" for size in sizes], fontsize=8)
    axis.minorticks_off()
    axis.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.28))
    return figure


def penalty_figure(ratios: Float[np.ndarray, "k"], gains: Mapping[float, Float[np.ndarray, "k"]]) -> Figure:
    r"""Draw the gain over :math:`\lambda/\sigma^2`, one line for each score.

    Args:
        ratios: The penalty over the variance of the channel.
        gains: The gain for each ratio, by the score.

    Raises:
        ValueError: If there are more than four scores: as many looks can be told apart.
    """
    _check_count("gains", gains)
    figure, axes = new_figure(height=3.2)
    axis = axes[0, 0]
    for (score, values), (color, _, line) in zip(gains.items(), LOOKS, strict=False):
        axis.semilogx(ratios, values, color=color, linestyle=line, label=f"$|z| = {score:g}$")
    axis.axvline(1.0, color=GREY, linewidth=0.8)
    axis.annotate(
        r"$\lambda = \sigma^2$",
        (1.0, 0.53),
        xytext=(5, 0),
        textcoords="offset points",
        fontsize=9,
        color=GREY,
    )
    axis.set(
        xlabel=r"penalty over variance, $\lambda / \sigma^2$ (logarithmic)", ylabel="gain", ylim=(0.5, 1.03)
    )
    axis.legend(fontsize=8, loc="center right")
    return figure


def _check_count(name: str, curves: Mapping[Any, Any]) -> None:
    if len(curves) > len(LOOKS):
        raise ValueError(f"{name} must be at most {len(LOOKS)}, got {len(curves)}; draw two figures")
