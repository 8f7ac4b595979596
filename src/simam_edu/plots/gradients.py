"""Figures of the chapter on gradients, memory and precision."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots.style import GREY, LOOKS, ORANGE, new_figure


def matrices_figure(matrices: Mapping[str, Float[np.ndarray, "m m"]]) -> Figure:
    """Draw matrices side by side, each with its own scale of colors and zero in its middle.

    Args:
        matrices: Derivatives of outputs, in rows, by inputs, in columns, by their title.
    """
    figure, axes = new_figure(1, len(matrices), height=2.6, width=2.6 * len(matrices))
    for axis, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        limit = float(np.abs(matrix).max())
        image = axis.imshow(matrix, cmap="PuOr", vmin=-limit, vmax=limit)
        axis.set(xlabel="input $j$", ylabel="output $i$", xticks=[], yticks=[])
        axis.set_title(title, fontsize=9)
        axis.grid(visible=False)
        figure.colorbar(image, ax=axis, fraction=0.046, pad=0.03)
    return figure


def norms_figure(offsets: Float[np.ndarray, "k"], norms: Mapping[str, Float[np.ndarray, "k"]]) -> Figure:
    """Draw by how much a gradient grows or shrinks against the mean of the channel, beside the identity.

    Args:
        offsets: The mean of the channel in units of its spread.
        norms: The factor for each offset, by its name.
    """
    figure, axes = new_figure(height=3.1)
    axis = axes[0, 0]
    for (name, values), (color, _, line) in zip(norms.items(), LOOKS, strict=False):
        axis.loglog(offsets, values, color=color, linestyle=line, label=name)
    axis.axhline(1.0, color=GREY, linewidth=0.8, label="identity")
    axis.set(xlabel="mean over spread of the channel (logarithmic)", ylabel="gradient, out over in")
    axis.legend(fontsize=8)
    return figure


def errors_figure(means: Float[np.ndarray, "k"], errors: Mapping[str, Float[np.ndarray, "k"]]) -> Figure:
    """Draw the largest error of the gain against the mean of the channel, one line a way to compute it.

    Args:
        means: The mean of a channel of spread one.
        errors: The largest error for each mean in units of the last place, by the name of the way.
    """
    figure, axes = new_figure(height=3.3)
    axis = axes[0, 0]
    for (name, values), (color, marker, line) in zip(errors.items(), LOOKS, strict=False):
        axis.loglog(means, values, color=color, marker=marker, markersize=4, linestyle=line, label=name)
    axis.axhline(1.0, color=GREY, linewidth=0.8)
    axis.set(
        xlabel="mean of a channel of spread one (logarithmic)",
        ylabel="largest error of the gain,\nin units of the last place",
    )
    axis.legend(fontsize=8)
    return figure


def half_precision_figure(
    spreads: Float[np.ndarray, "k"], gains: Mapping[str, Float[np.ndarray, "k"]], *, floor: float
) -> Figure:
    """Draw the gain of one neuron against the spread of its channel; a cross stands for what is no number.

    Args:
        spreads: The standard deviation of the channel.
        gains: The gain of the neuron for each, by the name of the module; NaN where it has none.
        floor: The least gain that there is.
    """
    figure, axes = new_figure(height=3.1)
    axis = axes[0, 0]
    for (name, values), (color, marker, line) in zip(gains.items(), LOOKS, strict=False):
        axis.semilogx(spreads, values, color=color, marker=marker, markersize=4, linestyle=line, label=name)
        lost = spreads[np.isnan(values)]
        if lost.size:
            axis.plot(lost, np.full(lost.size, 0.53), "x", color=color, label=f"{name}: not a number")
    axis.axhline(floor, color=GREY, linestyle=":", label="least gain")
    axis.set(
        xlabel="standard deviation of the channel (logarithmic)",
        ylabel="gain of the farthest neuron",
        ylim=(0.5, 1.02),
    )
    axis.legend(fontsize=8, loc="center left")
    return figure


def copies_figure(copies: Mapping[str, float]) -> Figure:
    """Draw how many copies of the input each module keeps for the backward pass.

    Args:
        copies: Bytes kept over bytes of the input, by the name of the module.
    """
    figure, axes = new_figure(height=0.6 + 0.42 * len(copies))
    axis = axes[0, 0]
    bars = axis.barh(list(copies), list(copies.values()), color=ORANGE, height=0.55)
    axis.bar_label(bars, labels=[f"{value:.2f}" for value in copies.values()], padding=3, fontsize=9)
    axis.invert_yaxis()
    axis.set(
        xlabel="bytes kept for the backward pass, over bytes of the input",
        xlim=(0, 1.1 * max(copies.values())),
    )
    return figure


def growth_figure(
    elements: Float[np.ndarray, "k"],
    milliseconds: Mapping[str, Float[np.ndarray, "k"]],
    fits: Mapping[str, tuple[float, float]],
) -> Figure:
    """Draw times over the number of elements, with the straight lines that fit them.

    Args:
        elements: Numbers in the input.
        milliseconds: The time for each, by the name of the form.
        fits: For each name the time a call takes anyway and the time an element adds, in milliseconds.
    """
    figure, axes = new_figure(height=3.6)
    axis = axes[0, 0]
    fine = np.geomspace(elements.min(), elements.max(), 200)
    for (name, times), (color, marker, line) in zip(milliseconds.items(), LOOKS, strict=False):
        start, slope = fits[name]
        axis.loglog(elements, times, color=color, marker=marker, linestyle="none", label=name)
        axis.loglog(fine, start + slope * fine, color=color, linestyle=line, linewidth=0.9)
    axis.set(xlabel="elements of the input", ylabel="forward and backward, ms")
    axis.legend(fontsize=8, title="measured; lines: fit", title_fontsize=8)
    return figure
