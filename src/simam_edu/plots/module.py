"""Figures of the chapter on the module."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots import style
from simam_edu.plots.style import BLUE, GREY


def maps_figure(maps: Mapping[str, Float[Any, "_ _"]]) -> Figure:
    """Draw maps, arrays or tensors, under their titles, each with its own colors."""
    figure, axes = style.new_figure(1, len(maps), height=2.4, width=2.4 * len(maps))
    for axis, (title, values) in zip(axes[0], maps.items(), strict=True):
        style.picture(axis, values, title, cmap="cividis")
    return figure


def gain_figure(z: Float[np.ndarray, "k"], gain: Float[np.ndarray, "k"]) -> Figure:
    """Draw the gain over z, the distance from the mean in standard deviations."""
    figure, axis = style.new_axis(2.8)
    axis.plot(z, gain, color=BLUE)
    axis.axhline(float(gain.min()), color=GREY, linestyle=":", label="lowest gain")
    style.label(axis, "distance from the mean, in standard deviations", "gain", ylim=(0.5, 1.02))
    return figure
