"""Figures of the chapter on numerical solvers and gradient descent.

Mappings hold up to four curves, by the name of the solver, step size or method. Excess
energy is energy above the least.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Real
from matplotlib.figure import Figure

from simam_edu.energy import minimal_energy, neuron_energy, optimal_weight_bias
from simam_edu.plots import style
from simam_edu.plots.closed_form import draw_energy
from simam_edu.plots.style import BLUE, GREEN, GREY, LOOKS, ORANGE, Channel, Curves, Values
from simam_edu.solvers import Fit

Pair = tuple[Real[np.ndarray, "n"], Real[np.ndarray, "n"]]


def paths_figure(t: float, others: Channel, fits: Mapping[str, Fit], *, lam: float) -> Figure:
    """Draw the paths of the solvers that have one over the contours of the energy."""
    figure, axis = style.new_axis(4.2)
    end = np.array(optimal_weight_bias(t, others.mean(), others.var(), lam=lam))
    paths = {name: fit.path for name, fit in fits.items() if fit.path is not None}
    everything = np.concatenate([*paths.values(), end[None]])
    low, high = everything.min(axis=0), everything.max(axis=0)
    weights, biases = np.transpose([low - 0.15 * (high - low), high + 0.15 * (high - low)])
    draw_energy(axis, t, others, lam, tuple(weights), tuple(biases))
    for name, path, look in style.looks("fits", paths):
        axis.plot(*path.T, label=name, markersize=5, **look.both)
    axis.plot(*end, "*", color="black", markersize=13, label="closed form", zorder=3)
    axis.legend(fontsize=8)
    return figure


def stability_figure(t: float, others: Channel, fits: Mapping[str, Fit], *, lam: float, steps: int) -> Figure:
    """Draw the excess energy after each step of gradient descent, by step size."""
    figure, axis = style.new_axis(3.4)
    least = minimal_energy(t, others.mean(), others.var(), lam=lam)
    for name, fit, look in style.looks("fits", fits):
        if fit.path is not None:
            w, b = fit.path[: steps + 1].T
            excess = neuron_energy(w, b, t, others, lam=lam) - least
            axis.semilogy(excess, label=name, markevery=max(1, steps // 12), markersize=5, **look.both)
    style.label(axis, "step", "energy above the minimum", legend={"title": "step size"})
    return figure


def iterations_figure(kappas: Values, steps: Curves, theory: Values) -> Figure:
    """Draw steps of solvers, and those of theory, over the condition number."""
    figure, axis = style.new_axis(3.6)
    axis.loglog(kappas, theory, color=GREY, linewidth=1.5, label="gradient descent, theory")
    style.curves(axis, kappas, steps, scale="loglog", linestyle="", markerfacecolor="none", markersize=7)
    style.label(axis, r"condition number $\kappa$ in the given coordinates", "steps")
    return figure


def digits_figure(shifts: Values, errors: Curves) -> Figure:
    """Draw the relative error of the weight over a number added to every neuron.

    An error of zero, which has no logarithm, is drawn at the rounding error.
    """
    figure, axis = style.new_axis(3.4)
    seen = {name: np.maximum(values, np.finfo(np.float64).eps / 2) for name, values in errors.items()}
    style.curves(axis, shifts, seen, scale="loglog", markersize=5)
    style.label(axis, "number $c$ added to every neuron", "relative error of the weight")
    return figure


def step_size_figure(shares: Values, counts: Values, theory: Pair, *, fastest: float) -> Figure:
    """Draw the steps of gradient descent, counted and by theory, over the step size.

    Step sizes, the ``fastest`` too, are in units of the largest that is stable.
    """
    figure, axis = style.new_axis(3.4)
    axis.semilogy(*theory, color=GREY, linewidth=1.5, label="theory")
    axis.semilogy(shares, counts, "o", color=BLUE, markerfacecolor="none", label="counted")
    axis.axvline(fastest, color=GREEN, linestyle="-.", label=r"$2/(L + \ell)$")
    axis.axvline(1.0, color=ORANGE, linestyle="--", label="$2/L$")
    style.label(axis, r"step size $\eta$, in units of $2/L$", "steps")
    return figure


def schedules_figure(theory: Curves, sampled: Curves) -> Figure:
    """Draw the mean excess energy after each step of stochastic descent.

    Theory and means over runs are by schedule of the step size, with the start.
    """
    figure, axis = style.new_axis(3.8)
    for name, exact, look in style.looks("theory", theory):
        axis.loglog(np.arange(1, exact.size), exact[1:], linewidth=1.2, **look.lines)
        seen = np.unique(np.geomspace(1, exact.size - 1, 14).astype(int))
        axis.loglog(seen, sampled[name][seen], label=name, markerfacecolor="none", **look.marks)
    legend = {"title": "step size; lines: theory, marks: runs"}
    style.label(axis, "step", "mean energy above the minimum", legend=legend)
    return figure


def floor_figure(shares: Values, floors: Curves, sampled: Pair) -> Figure:
    """Draw where the mean excess energy ends with a constant step, over the step size.

    Step sizes are in units of the largest at which that mean stays bounded; up to three
    theories give a floor, ``sampled`` holds step sizes and means over runs.
    """
    figure, axis = style.new_axis(3.4)
    for name, values, look in style.looks("floors", floors, LOOKS[1:]):
        axis.loglog(shares, values, label=name, **look.lines)
    axis.loglog(*sampled, "o", color=BLUE, markerfacecolor="none", label="runs")
    axis.axvline(1.0, color=GREY, linestyle=":", label="largest step in the mean square")
    x = "constant step size, in units of the largest in the mean square"
    style.label(axis, x, "mean energy above the minimum")
    return figure


def price_figure(sizes: Values, values: Curves, *, unit: str, laws: Curves | None = None) -> Figure:
    """Draw the cost of all least energies of a channel over its number of neurons.

    Where a method has a law that was fitted, the law is the line and the costs are
    marks.
    """
    figure, axis = style.new_axis(3.6)
    for name, costs, look in style.looks("values", values):
        law = (laws or {}).get(name)
        axis.loglog(sizes, costs, label=name, **(look.both if law is None else look.marks))
        if law is not None:
            axis.loglog(sizes, law, linewidth=1.0, **look.lines)
    axis.set_xscale("log", base=2)
    style.label(axis, "neurons in the channel, $M$", f"{unit} for all neurons")
    return figure
