"""The figure of the chapter on the rivals."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots import style


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
