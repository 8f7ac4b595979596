"""Figures of the chapter on the energy of a neuron."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simam_edu.energy import channel_statistics, minimal_energy, optimal_weight_bias
from simam_edu.plots import style
from simam_edu.plots.style import BLUE, GREEN, GREY, ORANGE, Channel


def separation_figure(channel: Channel, targets: tuple[int, int], *, lam: float = 1e-4) -> Figure:
    """Draw the best linear transform for two neurons, by index, side by side."""
    figure, axes = style.new_figure(1, 2, height=3.4)
    for axis, index in zip(axes[0], targets, strict=True):
        _separation(axis, channel, index, lam)
    axes[0, 0].set_ylabel("label and transformed value")
    axes[0, 1].legend(loc="upper left", fontsize=8)
    return figure


def _separation(axis: Axes, channel: Channel, index: int, lam: float) -> None:
    t, others = channel[index], np.delete(channel, index)
    mu, var = others.mean(), others.var()
    w, b = optimal_weight_bias(t, mu, var, lam=lam)
    energy = minimal_energy(t, mu, var, lam=lam)
    ends = np.array([channel.min() - 0.5, channel.max() + 0.5])
    axis.plot(ends, w * ends + b, color=GREY, label="$w_t x + b_t$")
    style.samples(axis, (others, np.full_like(others, -1.0)), ([t], [1.0]))
    axis.vlines(others, -1, w * others + b, color=BLUE, linewidth=0.8)
    axis.vlines(t, 1, w * t + b, color=ORANGE, linewidth=1.6, linestyle="--")
    lowest = min(-2.3, *(w * ends + b - 0.1))
    axis.set(ylim=(lowest, 2.3), xlabel="value of the neuron")
    axis.set_title(f"$t$ = {t:.2f}: least energy {energy:.2f}", fontsize=10)


def energies_figure(channel: Channel, *, lam: float = 1e-4) -> Figure:
    """Draw the least energy of neurons over their value, with shared statistics."""
    mu, var = (statistic.item() for statistic in channel_statistics(channel[None, :], ddof=0))
    grid = np.linspace(channel.min() - 0.5, channel.max() + 0.5, 300)
    on_grid, of_neurons = (minimal_energy(t, mu, var, lam=lam) for t in (grid, channel))
    figure, axis = style.new_axis(3.0)
    axis.plot(grid, on_grid, color=GREY, label="$e^*$ as a function of $t$")
    axis.plot(channel, of_neurons, "o", color=BLUE, label="neurons of the channel")
    axis.axvline(mu, color=GREEN, linestyle=":", label=r"mean $\mu$")
    legend = {"loc": "upper right"}
    style.label(axis, "value of the neuron $t$", "least energy $e^*$", ylim=(0, 2.1), legend=legend)
    return figure


def surrogate_figure() -> Figure:
    """Draw the squared residual of one other, and whether its side is wrong."""
    grid = np.linspace(-3.0, 1.5, 451)
    step = [grid[0], 0.0, 0.0, grid[-1]], [0.0, 0.0, 1.0, 1.0]
    figure, axis = style.new_axis(3.0)
    axis.plot(grid, (-1.0 - grid) ** 2, color=BLUE, label=r"squared residual $(-1 - \hat x_i)^2$")
    axis.plot(*step, color=ORANGE, linestyle="--", label="1 on the wrong side, 0 on the right side")
    axis.plot([-1.0], [0.0], "o", color=BLUE, markerfacecolor="none", label="label −1")
    legend = {"loc": "upper center"}
    style.label(axis, r"transformed value $\hat x_i$", "cost", ylim=(-0.15, 4.2), legend=legend)
    return figure


def fisher_figure(
    target: Float[np.ndarray, "2"],
    others: Float[np.ndarray, "m 2"],
    weight: Float[np.ndarray, "2"],
    bias: float,
) -> Figure:
    """Draw a sample and others, the direction of a fit, and where it is zero."""
    figure, axis = style.new_axis(4.2, width=5.0)
    mu = others.mean(axis=0)
    length = float(np.linalg.norm(target - mu))
    unit = weight / np.linalg.norm(weight)
    zero = -bias / np.linalg.norm(weight) * unit  # the point of the boundary nearest to the origin
    ends = zero + np.outer([-10.0, 10.0], [-unit[1], unit[0]])
    style.samples(axis, others.T, target, others_size=4)
    axis.plot(*ends.T, color=GREY, linestyle=":", linewidth=1.6, label="where the fit is zero")
    ways = (target - mu, "--", "mean to target"), (length * unit, "-", "direction of the fit")
    for way, line, name in ways:
        look = {"arrowstyle": "->", "linestyle": line, "color": GREEN, "linewidth": 1.8}
        axis.annotate("", xy=tuple(mu + way), xytext=tuple(mu), arrowprops=look)
        axis.plot([], [], color=GREEN, linestyle=line, label=name)
    reach = 1.1 * float(np.abs(np.vstack([others, target])).max())
    axis.set_aspect("equal")
    window = {"xlim": (-reach, reach), "ylim": (-reach, reach)}
    style.label(axis, "first value", "second value", legend={"loc": "upper left"}, **window)
    return figure
