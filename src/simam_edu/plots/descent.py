"""Figures of the chapter on numerical solvers and gradient descent."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.energy import minimal_energy, neuron_energy, optimal_weight_bias
from simam_edu.plots.closed_form import draw_energy
from simam_edu.plots.style import BLUE, GREEN, GREY, LOOKS, ORANGE, new_figure
from simam_edu.solvers import Fit


def paths_figure(t: float, others: Float[np.ndarray, "m"], fits: Mapping[str, Fit], *, lam: float) -> Figure:
    """Draw the paths of solvers over the contours of the energy, one line a solver.

    Args:
        t: The target neuron.
        others: The other neurons.
        fits: Up to four fits that have a path, by the name of the solver.
        lam: The weight of the penalty.
    """
    figure, axes = new_figure(height=4.2)
    axis = axes[0, 0]
    end = np.array(optimal_weight_bias(t, others.mean(), others.var(), lam=lam))
    paths = {name: fit.path for name, fit in fits.items() if fit.path is not None}
    everything = np.concatenate([*paths.values(), end[None]])
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = 0.15 * (high - low)
    (w_low, b_low), (w_high, b_high) = low - margin, high + margin
    draw_energy(axis, t, others, lam=lam, weights=(w_low, w_high), biases=(b_low, b_high))
    for (name, path), (color, marker, line) in zip(paths.items(), LOOKS, strict=False):
        axis.plot(*path.T, color=color, marker=marker, linestyle=line, markersize=5, label=name)
    axis.plot(*end, "*", color="black", markersize=13, label="closed form", zorder=3)
    axis.legend(fontsize=8)
    return figure


def stability_figure(
    t: float, others: Float[np.ndarray, "m"], fits: Mapping[str, Fit], *, lam: float, steps: int
) -> Figure:
    """Draw how far above its least value the energy is after each step of gradient descent.

    Args:
        t: The target neuron.
        others: The other neurons.
        fits: Up to four descents, by the name of their step size.
        lam: The weight of the penalty.
        steps: How many steps to draw.
    """
    figure, axes = new_figure(height=3.4)
    axis = axes[0, 0]
    least = minimal_energy(t, others.mean(), others.var(), lam=lam)
    for (name, fit), (color, marker, line) in zip(fits.items(), LOOKS, strict=False):
        if fit.path is not None:
            w, b = fit.path[: steps + 1].T
            excess = neuron_energy(w, b, t, others, lam=lam) - least
            look = {"color": color, "marker": marker, "linestyle": line}
            axis.semilogy(excess, markevery=max(1, steps // 12), markersize=5, label=name, **look)
    axis.set(xlabel="step", ylabel="energy above the minimum")
    axis.legend(fontsize=8, title="step size", title_fontsize=8)
    return figure


def iterations_figure(
    kappas: Float[np.ndarray, "k"],
    steps: Mapping[str, Float[np.ndarray, "k"]],
    theory: Float[np.ndarray, "k"],
) -> Figure:
    """Draw the steps that solvers take against the condition number.

    Args:
        kappas: The condition numbers.
        steps: The steps counted at each of them, by the name of the solver, up to four.
        theory: The steps that gradient descent should take.
    """
    figure, axes = new_figure(height=3.6)
    axis = axes[0, 0]
    axis.loglog(kappas, theory, color=GREY, linewidth=1.5, label="gradient descent, theory")
    for (name, counts), (color, marker, _) in zip(steps.items(), LOOKS, strict=False):
        axis.loglog(kappas, counts, marker, color=color, markerfacecolor="none", markersize=7, label=name)
    axis.set(xlabel=r"condition number $\kappa$ in the given coordinates", ylabel="steps")
    axis.legend(fontsize=8)
    return figure


def digits_figure(shifts: Float[np.ndarray, "k"], errors: Mapping[str, Float[np.ndarray, "k"]]) -> Figure:
    """Draw the relative error of the weight against a number added to every neuron.

    Args:
        shifts: The numbers added.
        errors: The errors for each of them, by the name of the method, up to four.
    """
    figure, axes = new_figure(height=3.4)
    axis = axes[0, 0]
    for (name, values), (color, marker, line) in zip(errors.items(), LOOKS, strict=False):
        seen = np.maximum(values, np.finfo(np.float64).eps / 2)  # an error of zero has no logarithm
        axis.loglog(shifts, seen, color=color, marker=marker, linestyle=line, markersize=5, label=name)
    axis.set(xlabel="number $c$ added to every neuron", ylabel="relative error of the weight")
    axis.legend(fontsize=8)
    return figure


def step_size_figure(
    shares: Float[np.ndarray, "k"],
    counts: Float[np.ndarray, "k"],
    theory: tuple[Float[np.ndarray, "fine"], Float[np.ndarray, "fine"]],
    *,
    fastest: float,
) -> Figure:
    """Draw how many steps gradient descent takes with each step size.

    Args:
        shares: Step sizes that were tried, in units of the largest that is stable.
        counts: The steps that were counted with each.
        theory: Step sizes in the same unit, and the steps that theory gives.
        fastest: The step size of the fewest steps, in the same unit.
    """
    figure, axes = new_figure(height=3.4)
    axis = axes[0, 0]
    axis.semilogy(*theory, color=GREY, linewidth=1.5, label="theory")
    axis.semilogy(shares, counts, "o", color=BLUE, markerfacecolor="none", label="counted")
    axis.axvline(fastest, color=GREEN, linestyle="-.", label=r"$2/(L + \ell)$")
    axis.axvline(1.0, color=ORANGE, linestyle="--", label="$2/L$")
    axis.set(xlabel=r"step size $\eta$, in units of $2/L$", ylabel="steps")
    axis.legend(fontsize=8)
    return figure


def schedules_figure(
    theory: Mapping[str, Float[np.ndarray, "k+1"]], sampled: Mapping[str, Float[np.ndarray, "k+1"]]
) -> Figure:
    """Draw how far above its least value the energy is on average after each step of stochastic descent.

    Args:
        theory: The exact means after each step, the start included, by the name of the schedule, up to four.
        sampled: The means over runs, for the same schedules.
    """
    figure, axes = new_figure(height=3.8)
    axis = axes[0, 0]
    for (name, exact), (color, marker, line) in zip(theory.items(), LOOKS, strict=False):
        axis.loglog(np.arange(1, exact.size), exact[1:], color=color, linestyle=line, linewidth=1.2)
        seen = np.unique(np.geomspace(1, exact.size - 1, 14).astype(int))
        look = {"color": color, "marker": marker, "linestyle": "none", "markerfacecolor": "none"}
        axis.loglog(seen, sampled[name][seen], label=name, **look)
    axis.set(xlabel="step", ylabel="mean energy above the minimum")
    axis.legend(fontsize=8, title="step size; lines: theory, marks: runs", title_fontsize=8)
    return figure


def floor_figure(
    shares: Float[np.ndarray, "k"],
    floors: Mapping[str, Float[np.ndarray, "k"]],
    sampled: tuple[Float[np.ndarray, "s"], Float[np.ndarray, "s"]],
) -> Figure:
    """Draw how far above its least value the energy stays with a constant step, against the step size.

    Args:
        shares: Step sizes in units of the largest at which the mean energy stays bounded.
        floors: What theory gives for each, by its name, up to three.
        sampled: Step sizes in the same unit, and means over runs.
    """
    figure, axes = new_figure(height=3.4)
    axis = axes[0, 0]
    for (name, values), (color, _, line) in zip(floors.items(), LOOKS[1:], strict=False):
        axis.loglog(shares, values, color=color, linestyle=line, label=name)
    axis.loglog(*sampled, "o", color=BLUE, markerfacecolor="none", label="runs")
    axis.axvline(1.0, color=GREY, linestyle=":", label="largest step in the mean square")
    axis.set(
        xlabel="constant step size, in units of the largest in the mean square",
        ylabel="mean energy above the minimum",
    )
    axis.legend(fontsize=8)
    return figure


def price_figure(
    sizes: Float[np.ndarray, "k"],
    values: Mapping[str, Float[np.ndarray, "k"]],
    *,
    unit: str,
    laws: Mapping[str, Float[np.ndarray, "k"]] | None = None,
) -> Figure:
    """Draw what all least energies of a channel cost against its size.

    Args:
        sizes: Neurons a channel.
        values: The cost for each size, by the name of the method, up to four.
        unit: What the cost is counted in.
        laws: For some of the methods, a law that was fitted, at the same sizes.
    """
    figure, axes = new_figure(height=3.6)
    axis = axes[0, 0]
    for (name, costs), (color, marker, line) in zip(values.items(), LOOKS, strict=False):
        law = None if laws is None else laws.get(name)
        axis.loglog(
            sizes, costs, color=color, marker=marker, linestyle=line if law is None else "none", label=name
        )
        if law is not None:
            axis.loglog(sizes, law, color=color, linestyle=line, linewidth=1.0)
    axis.set_xscale("log", base=2)
    axis.set(xlabel="neurons in the channel, $M$", ylabel=f"{unit} for all neurons")
    axis.legend(fontsize=8)
    return figure
