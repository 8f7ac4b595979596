"""Figures of the chapter on the kernel for the GPU."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from simam_edu.plots.style import BLUE, GREY, LOOKS, ORANGE, new_figure


def traffic_figure(traffic: Mapping[str, Mapping[str, tuple[int, int]]]) -> Figure:
    """Draw how often each way to compute SimAM reads and writes the map, as one bar a way.

    Args:
        traffic: For each way, by its name, the reads and the writes of the ``"forward"`` and of the
            ``"backward"``, in maps.
    """
    figure, axes = new_figure(height=0.5 * len(traffic) + 1.4)
    axis = axes[0, 0]
    rows = np.arange(len(traffic))
    ends = np.zeros(len(traffic))
    for part, color in (("forward", BLUE), ("backward", ORANGE)):
        for kind, (name, hatch) in enumerate((("reads", ""), ("writes", "////"))):
            widths = np.array([way[part][kind] for way in traffic.values()])
            axis.barh(
                rows, widths, left=ends, color=color, hatch=hatch, edgecolor="white", label=f"{part}, {name}"
            )
            ends += widths
    for row, end in zip(rows, ends, strict=True):
        axis.text(end + 0.3, row, f"{end:.0f}", va="center", fontsize=9)
    axis.set_yticks(rows, list(traffic))
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set(xlabel="times that a map passes between memory and chip", ylabel="computed by")
    axis.set_xlim(0, 1.08 * ends.max())
    figure.legend(*axis.get_legend_handles_labels(), fontsize=8, ncols=4, loc="outside upper center")
    return figure


def roofline_figure(cards: Mapping[str, tuple[float, float]], intensities: Mapping[str, float]) -> Figure:
    """Draw the roof of each card over the operations per byte, and where some computations stand.

    Args:
        cards: At most four cards: the peak in operations a second and the bandwidth in bytes a second.
        intensities: Computations by their name, in operations per byte.

    Raises:
        ValueError: If there are more cards than looks that can be told apart.
    """
    if len(cards) > len(LOOKS):
        raise ValueError(f"cards must be at most {len(LOOKS)}, got {len(cards)}; draw two figures")
    figure, axes = new_figure(height=3.6)
    axis = axes[0, 0]
    work = np.logspace(-1, 3, 200)
    for (name, (peak, bandwidth)), (color, marker, line) in zip(cards.items(), LOOKS, strict=False):
        axis.plot(work, np.minimum(peak, bandwidth * work) / 1e12, color=color, linestyle=line, label=name)
        axis.plot(peak / bandwidth, peak / 1e12, marker=marker, color=color, linestyle="none")
    for name, intensity in intensities.items():
        axis.axvline(intensity, color=GREY, linewidth=0.9, linestyle=":")
        axis.text(
            0.93 * intensity,
            0.03,
            name,
            transform=axis.get_xaxis_transform(),  # x by the data, y as a part of the height
            rotation=90,
            fontsize=8,
            ha="right",
            va="bottom",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axis.set(
        xscale="log", yscale="log", xlabel="operations per byte moved", ylabel="trillion operations a second"
    )
    figure.legend(*axis.get_legend_handles_labels(), fontsize=8, ncols=4, loc="outside upper center")
    return figure
