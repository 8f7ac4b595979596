"""The look that all figures share: sizes, colors that stay apart for color-blind readers, grid."""

import numpy as np
from matplotlib.figure import Figure

# Okabe and Ito's palette, which readers with any common color blindness can tell apart.
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
RED = "#CC79A7"
GREY = "#6B6B6B"


def new_figure(
    rows: int = 1, cols: int = 1, *, width: float = 7.0, height: float = 3.2
) -> tuple[Figure, np.ndarray]:
    """Return a figure with a white ground and an array of its axes.

    The figure is made without pyplot, so drawing needs no backend and keeps no global state.

    Args:
        rows: Rows of axes.
        cols: Columns of axes.
        width: In inches; 7 fills the column of a page.
        height: In inches.

    Returns:
        The figure and its axes, of shape (rows, cols).
    """
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained", dpi=120)
    axes: np.ndarray = figure.subplots(rows, cols, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#E4E4E4", linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axes
