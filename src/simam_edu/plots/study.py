"""Figures of the chapter on what the numbers say, and of ``simam-edu report``."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from simam_edu.experiments import Estimate, Table
from simam_edu.plots.style import BLUE, GREY, LOOKS, ORANGE, new_figure


def report_figure(tables: Sequence[Table]) -> Figure:
    """Draw each table: on the left the accuracy of every run, on the right the differences to the baseline.

    Args:
        tables: At least one; each has a row of two panels.

    Raises:
        ValueError: If there is no table.
    """
    if not tables:
        raise ValueError("tables must be at least one, got none")
    tallest = max(len(table.columns) for table in tables)
    figure, axes = new_figure(len(tables), 2, height=len(tables) * (1.2 + 0.35 * tallest))
    for (left, right), table in zip(axes, tables, strict=True):
        _draw_estimates(
            left,
            {column.name: column.accuracy for column in table.columns},
            {column.name: list(column.accuracies.values()) for column in table.columns},
        )
        left.set(xlabel="test accuracy, %", title=f"{table.network}, {table.dataset}")
        base = table.column(table.baseline)
        compared = [column for column in table.columns if column.difference is not None]
        single = {
            column.name: [column.accuracies[seed] - base.accuracies[seed] for seed in column.accuracies
                          if seed in base.accuracies] if base else []
            for column in compared
        }  # fmt: skip
        right.axvline(0.0, color=GREY, linewidth=1.0)
        _draw_estimates(right, {c.name: c.difference for c in compared if c.difference}, single)
        right.set(xlabel=f"minus {table.baseline}, points", title="the same seeds")
    return figure


def differences_figure(differences: Mapping[str, Estimate], *, label: str) -> Figure:
    """Draw differences with their intervals, one a line, and a line at zero.

    Args:
        differences: By what they are of. Those whose interval holds zero have an open mark.
        label: Of the axis, with the unit.

    Raises:
        ValueError: If there is no difference.
    """
    if not differences:
        raise ValueError("differences must be at least one, got none")
    figure, axes = new_figure(height=1.0 + 0.24 * len(differences))
    axes[0, 0].axvline(0.0, color=GREY, linewidth=1.0)
    _draw_estimates(axes[0, 0], differences, {})
    axes[0, 0].set(xlabel=label)
    return figure


def power_figure(
    seeds: Sequence[int], powers: Mapping[str, Sequence[float]], *, chance: float, now: int
) -> Figure:
    """Draw the chance to find a difference over the number of seeds, one curve a way to compare.

    Args:
        seeds: Numbers of seeds.
        powers: For each curve the chance, in [0, 1], by its name.
        chance: Drawn as a horizontal line.
        now: How many seeds there are, drawn as a vertical line.
    """
    figure, axes = new_figure(height=3.2)
    axis = axes[0, 0]
    for (name, values), (color, marker, line) in zip(powers.items(), LOOKS, strict=False):
        axis.plot(seeds, values, color=color, marker=marker, markersize=4, linestyle=line, label=name)
    axis.axhline(chance, color=GREY, linewidth=1.0, linestyle=":")
    axis.axvline(now, color=GREY, linewidth=1.0)
    axis.annotate(f"{now} seeds", (now, 0.0), xytext=(3, 3), textcoords="offset points", fontsize=8)
    axis.set(xlabel="seeds", ylabel="chance to find it", ylim=(0.0, 1.02))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(fontsize=8)
    return figure


def _draw_estimates(
    axis: Axes, estimates: Mapping[str, Estimate], single: Mapping[str, Sequence[float]]
) -> None:
    """Draw a mean and its interval on a line of its own, from the top down, and single values as ticks."""
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
