"""Figures of the chapter on the module."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots.style import BLUE, GREY, new_figure


def maps_figure(maps: Mapping[str, Float[np.ndarray, "h w"]]) -> Figure:
    """Draw maps side by side, each with its own scale beside it.

    Args:
        maps: Two-dimensional arrays by their title.
    """
    figure, axes = new_figure(1, len(maps), height=2.4, width=2.4 * len(maps))
    for axis, (title, values) in zip(axes[0], maps.items(), strict=True):
        image = axis.imshow(values, cmap="cividis")
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=9)
        axis.grid(visible=False)
        figure.colorbar(image, ax=axis, fraction=0.046, pad=0.03)
    return figure


def gain_figure(z: Float[np.ndarray, "k"], gain: Float[np.ndarray, "k"]) -> Figure:
    """Draw the gain over the distance from the mean in standard deviations.

    Args:
        z: Distances.
        gain: The gain at each.
    """
    figure, axes = new_figure(height=2.8)
    axis = axes[0, 0]
    axis.plot(z, gain, color=BLUE)
    axis.axhline(float(gain.min()), color=GREY, linestyle=":", label="lowest gain")
    axis.set(xlabel="distance from the mean, in standard deviations", ylabel="gain", ylim=(0.5, 1.02))
    axis.legend(fontsize=8)
    return figure
