"""Figures of the chapter on one mean and one variance."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots.style import GREY, LOOKS, new_figure


def differences_figure(
    sizes: Float[np.ndarray, "k"], differences: Mapping[str, Float[np.ndarray, "k"]]
) -> Figure:
    """Draw how far two gains are apart against the size of the map, one line a kind of channel.

    Args:
        sizes: Neurons a channel.
        differences: The largest difference of the gain for each size, by the name of the kind.
    """
    figure, axes = new_figure(height=3.4)
    axis = axes[0, 0]
    for (name, values), (color, marker, line) in zip(differences.items(), LOOKS, strict=False):
        axis.loglog(sizes, values, color=color, marker=marker, linestyle=line, label=name)
    first = next(iter(differences.values()))
    axis.loglog(
        sizes, first[-1] * sizes[-1] / sizes, color=GREY, linewidth=0.8, label="proportional to $1/M$"
    )
    axis.set_xscale("log", base=2)
    axis.set(xlabel="neurons in the channel, $M$", ylabel="largest difference of the gain")
    axis.legend(fontsize=8)
    return figure


def importance_figure(
    deviations: Float[np.ndarray, "k"], importances: Mapping[str, Float[np.ndarray, "k"]], *, neurons: int
) -> Figure:
    """Draw the importance over the deviation from the mean, one line for each choice of statistics.

    Args:
        deviations: Distance of the neuron from the channel's mean, in standard deviations.
        importances: The importance for each deviation, by the name of the statistics.
        neurons: Neurons in the channel, for the title.
    """
    figure, axes = new_figure(height=3.2)
    axis = axes[0, 0]
    for (name, values), (color, _, line) in zip(importances.items(), LOOKS, strict=False):
        axis.plot(deviations, values, color=color, linestyle=line, label=name)
    axis.set(
        xlabel="distance from the mean, in standard deviations",
        ylabel="importance $1/e^*$",
        title=f"{neurons} neurons",
    )
    axis.legend(fontsize=8)
    return figure
