"""Figures of the chapter on the energy of a neuron."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simam_edu.energy import channel_statistics, minimal_energy, optimal_weight_bias
from simam_edu.plots.style import BLUE, GREEN, GREY, ORANGE, new_figure


def separation_figure(
    channel: Float[np.ndarray, "m"], targets: tuple[int, int], *, lam: float = 1e-4
) -> Figure:
    """Draw the best linear transform for two neurons of a channel, side by side.

    Args:
        channel: The neurons.
        targets: Indices of the two neurons to single out.
        lam: The weight of the penalty.
    """
    figure, axes = new_figure(1, 2, height=3.4)
    for axis, index in zip(axes[0], targets, strict=True):
        _separation(axis, channel, index, lam)
    axes[0, 0].set_ylabel("label and transformed value")
    axes[0, 1].legend(loc="upper left", fontsize=8)
    return figure


def _separation(axis: Axes, channel: Float[np.ndarray, "m"], index: int, lam: float) -> None:
    t, others = channel[index], np.delete(channel, index)
    mu, var = others.mean(), others.var()
    w, b = optimal_weight_bias(t, mu, var, lam=lam)
    energy = minimal_energy(t, mu, var, lam=lam)
    ends = np.array([channel.min() - 0.5, channel.max() + 0.5])
    axis.plot(ends, w * ends + b, color=GREY, label="$w_t x + b_t$")
    axis.plot(others, np.full_like(others, -1.0), "o", color=BLUE, markerfacecolor="none", label="others, −1")
    axis.plot([t], [1.0], "D", color=ORANGE, markersize=8, label="target, +1")
    axis.vlines(others, -1, w * others + b, color=BLUE, linewidth=0.8)
    axis.vlines(t, 1, w * t + b, color=ORANGE, linewidth=1.6, linestyle="--")
    lowest = min(-2.3, *(w * ends + b - 0.1))
    axis.set(ylim=(lowest, 2.3), xlabel="value of the neuron")
    axis.set_title(f"$t$ = {t:.2f}: least energy {energy:.2f}", fontsize=10)


def energies_figure(channel: Float[np.ndarray, "m"], *, lam: float = 1e-4) -> Figure:
    """Draw the least energy of every neuron of a channel over its value, with one mean and one variance.

    Args:
        channel: The neurons.
        lam: The weight of the penalty.
    """
    mu, var = (statistic.item() for statistic in channel_statistics(channel[None, :], ddof=0))
    grid = np.linspace(channel.min() - 0.5, channel.max() + 0.5, 300)
    figure, axes = new_figure(height=3.0)
    axis = axes[0, 0]
    axis.plot(grid, minimal_energy(grid, mu, var, lam=lam), color=GREY, label="$e^*$ as a function of $t$")
    axis.plot(
        channel, minimal_energy(channel, mu, var, lam=lam), "o", color=BLUE, label="neurons of the channel"
    )
    axis.axvline(mu, color=GREEN, linestyle=":", label=r"mean $\mu$")
    axis.set(xlabel="value of the neuron $t$", ylabel="least energy $e^*$", ylim=(0, 2.1))
    axis.legend(fontsize=8, loc="upper right")
    return figure


def surrogate_figure() -> Figure:
    """Draw the squared miss of one of the others, and whether it is on the wrong side, over its value."""
    grid = np.linspace(-3.0, 1.5, 451)
    figure, axes = new_figure(height=3.0)
    axis = axes[0, 0]
    axis.plot(grid, (-1.0 - grid) ** 2, color=BLUE, label=r"squared miss $(-1 - \hat x_i)^2$")
    axis.plot(
        [grid[0], 0.0, 0.0, grid[-1]],
        [0.0, 0.0, 1.0, 1.0],
        color=ORANGE,
        linestyle="--",
        label="1 on the wrong side, 0 on the right side",
    )
    axis.plot([-1.0], [0.0], "o", color=BLUE, markerfacecolor="none", label="label −1")
    axis.set(xlabel=r"transformed value $\hat x_i$", ylabel="cost", ylim=(-0.15, 4.2))
    axis.legend(fontsize=8, loc="upper center")
    return figure


def fisher_figure(
    target: Float[np.ndarray, "2"],
    others: Float[np.ndarray, "m 2"],
    weight: Float[np.ndarray, "2"],
    bias: float,
) -> Figure:
    """Draw one sample against others in the plane, the direction of a fit, and where the fit is zero.

    Args:
        target: The sample that is a class of its own.
        others: The samples of the other class.
        weight: The weight vector of the fit.
        bias: Its bias.
    """
    figure, axes = new_figure(width=5.0, height=4.2)
    axis = axes[0, 0]
    mu = others.mean(axis=0)
    length = float(np.linalg.norm(target - mu))
    unit = weight / np.linalg.norm(weight)
    zero = -bias / np.linalg.norm(weight) * unit  # the point of the boundary nearest to the origin
    ends = zero + np.outer([-10.0, 10.0], [-unit[1], unit[0]])
    axis.plot(*others.T, "o", color=BLUE, markersize=4, markerfacecolor="none", label="others, −1")
    axis.plot(*target, "D", color=ORANGE, markersize=8, label="target, +1")
    axis.plot(*ends.T, color=GREY, linestyle=":", linewidth=1.6, label="where the fit is zero")
    arrows = ((target - mu, "--", "mean to target"), (length * unit, "-", "direction of the fit"))
    for step, style, name in arrows:
        _arrow(axis, mu, mu + step, style)
        axis.plot([], [], color=GREEN, linestyle=style, label=name)
    reach = 1.1 * float(np.abs(np.vstack([others, target])).max())
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="first value", ylabel="second value")
    axis.set_aspect("equal")
    axis.legend(fontsize=8, loc="upper left")
    return figure


def _arrow(axis: Axes, start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], style: str) -> None:
    look = {"arrowstyle": "->", "linestyle": style, "color": GREEN, "linewidth": 1.8}
    axis.annotate("", xy=tuple(end), xytext=tuple(start), arrowprops=look)
