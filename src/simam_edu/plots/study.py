"""Figures of the chapter on what the numbers say, and of ``simam-edu report``."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from simam_edu.experiments import Estimate, Table
from simam_edu.plots import style
from simam_edu.plots.style import BLUE, GREY, ORANGE


def report_figure(tables: Sequence[Table]) -> Figure:
    """Draw the accuracy of every run, and the differences from the baseline.

    Each table has a row of two panels; a ``ValueError`` says that there is none.
    """
    if not tables:
        raise ValueError("tables must be at least one, got none")
    tallest = max(len(table.columns) for table in tables)
    figure, axes = style.new_figure(len(tables), 2, height=len(tables) * (1.2 + 0.35 * tallest))
    for (left, right), table in zip(axes, tables, strict=True):
        runs = {column.name: list(column.accuracies.values()) for column in table.columns}
        _draw_estimates(left, {column.name: column.accuracy for column in table.columns}, runs)
        left.set(xlabel="test accuracy, %", title=f"{table.network}, {table.dataset}")
        base = table.column(table.baseline)
        of_base = base.accuracies if base else {}
        compared = [column for column in table.columns if column.difference is not None]
        single = {
            column.name: [
                value - of_base[seed] for seed, value in column.accuracies.items() if seed in of_base
            ]
            for column in compared
        }
        right.axvline(0.0, color=GREY, linewidth=1.0)
        _draw_estimates(right, {c.name: c.difference for c in compared if c.difference}, single)
        right.set(xlabel=f"minus {table.baseline}, points", title="the same seeds")
    return figure


def differences_figure(differences: Mapping[str, Estimate], *, label: str) -> Figure:
    """Draw differences, by name, with their intervals and a line at zero.

    Where the interval holds zero the mark is open. ``label`` names the axis, with the
    unit. A ``ValueError`` says that there is no difference.
    """
    if not differences:
        raise ValueError("differences must be at least one, got none")
    figure, axis = style.new_axis(1.0 + 0.24 * len(differences))
    axis.axvline(0.0, color=GREY, linewidth=1.0)
    _draw_estimates(axis, differences, {})
    axis.set(xlabel=label)
    return figure


def power_figure(
    seeds: Sequence[int], powers: Mapping[str, Sequence[float]], *, chance: float, now: int
) -> Figure:
    """Draw the chance, in [0, 1], to find a difference over the number of seeds.

    Each way to compare has a curve, up to four; lines mark a ``chance`` and the seeds
    ``now``.
    """
    figure, axis = style.new_axis(3.2)
    style.curves(axis, seeds, powers, markersize=4)
    axis.axhline(chance, color=GREY, linewidth=1.0, linestyle=":")
    axis.axvline(now, color=GREY, linewidth=1.0)
    style.note(axis, f"{now} seeds", (now, 0.0), by=(3, 3), fontsize=8)
    style.label(axis, "seeds", "chance to find it", ylim=(0.0, 1.02))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _draw_estimates(
    axis: Axes, estimates: Mapping[str, Estimate], single: Mapping[str, Sequence[float]]
) -> None:
    """Draw each mean with its interval, from the top, and single values as ticks."""
    lines = np.arange(len(estimates))[::-1]
    for line, (name, estimate) in zip(lines, estimates.items(), strict=True):
        if estimate.low is not None and estimate.high is not None:
            axis.plot([estimate.low, estimate.high], [line, line], color=BLUE, linewidth=1.5)
        face = BLUE if estimate.clear else "white"
        axis.plot([estimate.mean], [line], "o", color=BLUE, markerfacecolor=face, markersize=5)
        values = single.get(name, [])
        axis.plot(values, [line - 0.25] * len(values), "|", color=ORANGE, markersize=7)
    axis.set_yticks(lines, list(estimates))
    axis.set_ylim(-0.75, max(len(estimates), 1) - 0.4)
