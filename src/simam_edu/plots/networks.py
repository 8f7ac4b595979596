"""Figures of the networks' blocks."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from simam_edu.plots import style
from simam_edu.plots.style import BLUE, GREY, ORANGE

LOOKS = {"before the norm": (BLUE, "v", 0.35), "after the norm": (ORANGE, "^", -0.35)}
"""Color, marker and height of each position: from above and from below."""


def slots_figure(branches: Mapping[str, Sequence[str]]) -> Figure:
    """Draw the layers of each block's branch in a row, with the positions of attention.

    A branch, by the name of its block, is what it calls in order: the names of layers,
    ``"before the norm"`` and ``"after the norm"``. All layers but ``"norm"`` and ``"relu"``
    are shaded. A ``ValueError`` says that a block lacks one of the positions.
    """
    for name, calls in branches.items():
        if not set(LOOKS) <= set(calls):
            raise ValueError(f"{name} must have both positions, {' and '.join(LOOKS)}, got {calls!r}")
    figure, axis = style.new_axis(0.8 + 0.5 * len(branches), width=5.5)
    rows, widest = range(len(branches)), 0
    for row, calls in zip(rows, branches.values(), strict=True):
        layers = [call for call in calls if call not in LOOKS]
        for column, layer in enumerate(layers):
            box = FancyBboxPatch((column - 0.4, -row - 0.2), 0.8, 0.4, boxstyle="round,pad=0.02")
            box.set(edgecolor=GREY, facecolor="white" if layer in ("norm", "relu") else style.SHADE)
            axis.add_patch(box)
            axis.text(column, -row, layer, ha="center", va="center", fontsize=8)
        axis.text(len(layers), -row, "+", ha="center", va="center", fontsize=11)
        widest = max(widest, len(layers))
    for place, (color, marker, height) in LOOKS.items():
        before = [calls[: calls.index(place)] for calls in branches.values()]
        x = [sum(call not in LOOKS for call in calls) - 0.5 for calls in before]
        y = [height - row for row in rows]
        axis.plot(x, y, linestyle="none", marker=marker, color=color, markersize=8, label=place)
    axis.set_yticks([-row for row in rows], list(branches))
    axis.set(xticks=[], xlim=(-0.7, widest + 0.4), ylim=(-len(branches) + 0.35, 0.65))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.grid(visible=False)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure
