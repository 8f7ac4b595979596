"""The figure of the chapter with the wrong SimAMs."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots import style
from simam_edu.plots.style import BLUE, GREY

COLUMNS = 4

Panel = tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"], Float[np.ndarray, "k"]]


def gallery_figure(panels: Mapping[str, Panel]) -> Figure:
    """Draw the gains of wrong SimAMs over z, each beside those of the right one.

    A panel holds z of some neurons, their right gains and the exhibit's, by its name.
    """
    rows = -(-len(panels) // COLUMNS)
    figure, axes = style.new_figure(rows, COLUMNS, height=0.5 + 1.6 * rows)
    for axis, (name, (z, right, wrong)) in zip(axes.flat, panels.items(), strict=False):
        axis.plot(z, right, ".", color=GREY, markersize=2.5, label="right")
        axis.plot(z, wrong, "x", color=BLUE, markersize=3, markeredgewidth=0.7, label="exhibit")
        axis.set_title(name, fontsize=9)
        axis.set_ylim(-0.05, 1.05)
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    axes[0, 0].legend(fontsize=7, loc="lower right")
    figure.supxlabel("z-score $z$", fontsize=9)
    figure.supylabel("gain", fontsize=9)
    return figure
