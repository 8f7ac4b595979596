"""Figures of the chapter on the closed form, and contours for the next one."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from simam_edu.energy import neuron_energy, optimal_weight_bias
from simam_edu.plots import style
from simam_edu.plots.style import BLUE, GREEN, GREY, ORANGE, RED, Channel, Look

Span = tuple[float, float]
_LINES = (Look(BLUE, "", "-"), Look(GREEN, "", "--"), Look(RED, "", "-."), Look(GREY, "", ":"))


def midpoint_figure(t: float, others: Channel, *, lams: Sequence[float]) -> Figure:
    """Draw the best line for up to four penalties, and the point where all cross."""
    figure, axis = style.new_axis(3.6)
    mu, var = others.mean(), others.var()
    ends = np.array([min(others.min(), t) - 0.7, max(others.max(), t) + 0.7])
    axis.axhline(0.0, color=GREY, linewidth=0.8)
    for name, lam, look in style.looks("lams", {rf"$\lambda$ = {lam:g}": lam for lam in lams}, _LINES):
        w, b = optimal_weight_bias(t, mu, var, lam=lam)
        axis.plot(ends, w * ends + b, label=name, **look.lines)
    style.samples(axis, (others, np.full_like(others, -1.0)), ([t], [1.0]))
    middle = (t + mu) / 2
    axis.plot([middle], [0.0], "s", color="black", markersize=6, zorder=3)
    style.note(axis, r"$(t + \mu_t)/2$", (middle, 0.0), by=(8, -16), fontsize=10)
    legend = {"loc": "upper left", "ncols": 2}
    style.label(axis, "value of the neuron $x$", "$w_t x + b_t$", ylim=(-1.7, 1.7), legend=legend)
    return figure


def bowl_figure(t: float, others: Channel, *, lam: float) -> Figure:
    """Draw the energy over weight and bias: of a channel, and of equal neurons.

    On the right all neurons equal the target and there is no penalty.
    """
    figure, axes = style.new_figure(1, 2, height=3.6)
    left, right = axes[0]
    w, b = map(float, optimal_weight_bias(t, others.mean(), others.var(), lam=lam))
    reach = 2.2 * max(abs(w), 0.1), 2.2 * max(abs(b), 0.5)
    spans = (-reach[0], reach[0]), (-reach[1], reach[1])
    draw_energy(left, t, others, lam, *spans)
    left.plot([w], [b], "o", color=ORANGE, markeredgecolor="black", markersize=8, label="minimum")
    left.plot([-w], [-b], "X", color="black", markersize=8, label="as Eq. (3) is printed")
    left.set_title("one lowest point", fontsize=10)
    draw_energy(right, t, np.array([t]), 0.0, *spans)
    valley = np.array(spans[0])
    right.plot(valley, -valley * t, color=ORANGE, linestyle="--", linewidth=2, label="$b = -w\\,t$")
    right.set(ylim=spans[1], ylabel="")
    right.set_title(r"all neurons equal, $\lambda$ = 0: a valley", fontsize=10)
    for axis in axes[0]:
        axis.legend(fontsize=8, loc="upper right")
    return figure


def draw_energy(axis: Axes, t: float, others: Channel, lam: float, weights: Span, biases: Span) -> None:
    """Draw contours of the energy from the lower to the upper weight and bias."""
    w, b = np.meshgrid(np.linspace(*weights, 80), np.linspace(*biases, 80))
    energies = neuron_energy(w, b, t, others, lam=lam)  # (80, 80)
    # Closer together near the bottom, where the bowl is flat.
    levels = energies.min() + np.ptp(energies) * np.linspace(0.0, 1.0, 13) ** 2.2
    pale = LinearSegmentedColormap.from_list("pale", [f"{BLUE}55", f"{BLUE}00"])  # on any ground
    axis.contourf(w, b, energies, levels=levels, cmap=pale)
    lines = axis.contour(w, b, energies, levels=levels[1:-1], colors=GREY, linewidths=0.7)
    axis.clabel(lines, levels=levels[3:-1:3], fmt="%.3g", fontsize=7)
    axis.grid(visible=False)
    axis.set(xlabel="weight $w$", ylabel="bias $b$")
