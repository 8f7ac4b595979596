"""Figures of the chapter on the kernel for the GPU."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from simam_edu.plots import style
from simam_edu.plots.style import BLUE, GREY, ORANGE


def traffic_figure(traffic: Mapping[str, Mapping[str, tuple[int, int]]]) -> Figure:
    """Draw how often each way to compute SimAM reads and writes the map.

    ``traffic`` holds, by its name, the reads and the writes of the ``"forward"`` and of
    the ``"backward"``, in maps.
    """
    figure, axis = style.new_axis(0.5 * len(traffic) + 1.4)
    rows, ends = np.arange(len(traffic)), np.zeros(len(traffic))
    for part, color in (("forward", BLUE), ("backward", ORANGE)):
        for kind, (name, hatch) in enumerate((("reads", ""), ("writes", "////"))):
            widths = np.array([way[part][kind] for way in traffic.values()])
            bars = axis.barh(rows, widths, left=ends, color=color, edgecolor="white", hatch=hatch)
            bars.set_label(f"{part}, {name}")
            ends += widths
    for row, end in enumerate(ends):
        axis.text(end + 0.3, row, f"{end:.0f}", va="center", fontsize=9)
    axis.set_yticks(rows, list(traffic))
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set(xlabel="times that a map passes between memory and chip", ylabel="computed by")
    axis.set_xlim(0, 1.08 * ends.max())
    style.legend_above(figure, axis)
    return figure


def roofline_figure(cards: Mapping[str, tuple[float, float]], intensities: Mapping[str, float]) -> Figure:
    """Draw the roof of up to four cards, and computations, over operations per byte.

    A card has its peak in operations per second and its bandwidth in bytes per second;
    a computation has its operations per byte.
    """
    figure, axis = style.new_axis(3.6)
    work = np.logspace(-1, 3, 200)
    for name, (peak, bandwidth), look in style.looks("cards", cards):
        axis.plot(work, np.minimum(peak, bandwidth * work) / 1e12, label=name, **look.lines)
        axis.plot(peak / bandwidth, peak / 1e12, **look.marks)
    words = {"rotation": 90, "fontsize": 8, "ha": "right", "va": "bottom"}
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    upright = axis.get_xaxis_transform()  # x by the data, y as a part of the height
    for name, intensity in intensities.items():
        axis.axvline(intensity, color=GREY, linewidth=0.9, linestyle=":")
        axis.text(0.93 * intensity, 0.03, name, words, transform=upright, bbox=ground)
    axis.set(xscale="log", yscale="log")
    axis.set(xlabel="operations per byte moved", ylabel="trillion operations a second")
    style.legend_above(figure, axis)
    return figure
