"""Figures of the chapter on one mean and one variance."""

from matplotlib.figure import Figure

from simam_edu.plots import style
from simam_edu.plots.style import GREY, Curves, Values


def differences_figure(sizes: Values, differences: Curves) -> Figure:
    """Draw the largest difference of two gains over the size of the channel."""
    figure, axis = style.new_axis(3.4)
    style.curves(axis, sizes, differences, scale="loglog")
    first = next(iter(differences.values()))
    guide = first[-1] * sizes[-1] / sizes
    axis.loglog(sizes, guide, color=GREY, linewidth=0.8, label="proportional to $1/M$")
    axis.set_xscale("log", base=2)
    style.label(axis, "neurons in the channel, $M$", "largest difference of the gain")
    return figure


def importance_figure(deviations: Values, importances: Curves, *, neurons: int) -> Figure:
    """Draw the importance over z, by the statistics.

    ``neurons`` is how many the channel has, for the title.
    """
    figure, axis = style.new_axis(3.2)
    style.curves(axis, deviations, importances, marker="")
    x = "distance from the mean, in standard deviations"
    style.label(axis, x, "importance $1/e^*$", title=f"{neurons} neurons")
    return figure
