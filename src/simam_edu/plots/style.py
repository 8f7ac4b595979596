"""The look that all figures share: sizes, colors that stay apart for color-blind readers, grid."""

import io

import numpy as np
from matplotlib.figure import Figure

# Okabe and Ito's palette, which readers with any common color blindness can tell apart.
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
RED = "#CC79A7"
GREY = "#6B6B6B"

LOOKS = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (GREEN, "^", "-."), (RED, "D", ":"))
"""Color, marker and line style of each curve in turn, so that color never stands alone."""


class PageFigure(Figure):
    """A figure that a notebook shows as a picture, without pyplot, a backend or global state."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(
    rows: int = 1, cols: int = 1, *, width: float = 7.0, height: float = 3.2
) -> tuple[PageFigure, np.ndarray]:
    """Return a figure with a white ground and an array of its axes.

    Args:
        rows: Rows of axes.
        cols: Columns of axes.
        width: In inches; 7 fills the column of a page.
        height: In inches.

    Returns:
        The figure, at 150 dots an inch so that it stays sharp on dense screens, and its axes, of shape
        (rows, cols).
    """
    figure = PageFigure(figsize=(width, height), facecolor="white", layout="constrained", dpi=150)
    axes: np.ndarray = figure.subplots(rows, cols, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#E4E4E4", linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axes
