"""The look that all figures share, and what is drawn in many of them."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Real
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

T = TypeVar("T")

# Okabe and Ito's palette, which readers with any common color blindness can tell apart.
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
RED = "#CC79A7"
GREY = "#6B6B6B"
GRID = "#E4E4E4"
EDGE = "#CCCCCC"  # of a legend
SHADE = "#DDE9F2"

COLORS = {"ink": "#000000", "ground": "#ffffff", "grid": GRID, "edge": EDGE, "shade": SHADE, "grey": GREY}
COLORS |= {"blue": BLUE, "orange": ORANGE, "green": GREEN, "red": RED}
"""What a page may set in other colors: ``--figure-ink`` and so on in its CSS."""

LARGEST_SVG = 200_000
"""Characters; a larger figure is a PNG."""

Channel = Real[np.ndarray, "m"]
Values = Real[np.ndarray, "k"]
Curves = Mapping[str, Values]
"""Curves by their name: as many as there are looks, or fewer."""


class Look(NamedTuple):
    """What tells a curve apart, never by its color alone."""

    color: str
    marker: str
    line: str

    @property
    def marks(self) -> dict[str, Any]:
        """Points that are not joined."""
        return {"color": self.color, "marker": self.marker, "linestyle": ""}

    @property
    def lines(self) -> dict[str, Any]:
        """A line without marks."""
        return {"color": self.color, "linestyle": self.line}

    @property
    def both(self) -> dict[str, Any]:
        """Marks and the line that joins them."""
        return self.marks | self.lines


LOOKS = (Look(BLUE, "o", "-"), Look(ORANGE, "s", "--"), Look(GREEN, "^", "-."), Look(RED, "D", ":"))


class PageFigure(Figure):
    """A figure that a notebook shows as a picture, without pyplot or a backend."""

    def _repr_svg_(self) -> str | None:
        """Return the figure as SVG whose colors a page may set, or None if it is large.

        Each color of ``COLORS`` is a variable of CSS with the color itself as its
        default: a notebook shows the figure as it was drawn, the book in the colors of
        its theme. A figure with large images or many marks is smaller as a PNG.
        """
        buffer = io.StringIO()
        # Letters are drawn, so that they keep their place whatever fonts the reader has.
        with rc_context({"svg.fonttype": "path", "svg.hashsalt": "figure"}):
            self.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        svg = buffer.getvalue()
        # What is black takes the color of the whole. A sheet would be one of the whole page.
        whole = 'style="fill: #000000; stroke-linejoin: round; stroke-linecap: butt"'
        svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
        svg = svg[svg.index("<svg") :].replace("<svg", f"<svg {whole}", 1)
        for name, color in COLORS.items():
            svg = svg.replace(color.lower(), f"var(--figure-{name}, {color})")
        svg = re.sub(r"([1-9]\d*\.\d)\d+", r"\1", svg)  # less than a tenth of a point is not seen
        return svg if len(svg) <= LARGEST_SVG else None

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(
    rows: int = 1, cols: int = 1, *, width: float = 7.0, height: float = 3.2
) -> tuple[PageFigure, np.ndarray]:
    """Return a white figure of a size in inches and its axes, of shape (rows, cols).

    A width of 7 fills the column of a page; 150 dots per inch stay sharp on dense
    screens.
    """
    figure = PageFigure(figsize=(width, height), facecolor="white", layout="constrained", dpi=150)
    axes: np.ndarray = figure.subplots(rows, cols, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color=GRID, linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axes


def new_axis(height: float, *, width: float = 7.0) -> tuple[PageFigure, Axes]:
    """Return a figure with one pair of axes."""
    figure, axes = new_figure(width=width, height=height)
    return figure, axes[0, 0]


def looks(name: str, given: Mapping[str, T], most: Sequence[Look] = LOOKS) -> list[tuple[str, T, Look]]:
    """Give each curve its look; a ValueError says that there are too many."""
    if len(given) > len(most):
        raise ValueError(f"{name} must be at most {len(most)}, got {len(given)}; draw two figures")
    return [(key, value, look) for (key, value), look in zip(given.items(), most, strict=False)]


def curves(
    axis: Axes, x: Any, ys: Mapping[str, Any], *, scale: str = "plot", argument: str = "curves", **style: Any
) -> None:
    """Draw curves over one x, shape (k,), each by its name and with its marks and line.

    ``scale`` is the method of the axis that draws, such as ``"loglog"``; ``argument``
    is what the caller names its curves; ``style`` holds further properties of all, such
    as ``marker=""``.
    """
    for name, y, look in looks(argument, ys):
        getattr(axis, scale)(x, y, label=name, **(look.both | style))


def samples(axis: Axes, others: Any, target: Any, *, others_size: float = 6.0) -> None:
    """Draw the others as circles and the target as a diamond, each from its x and y."""
    circles: dict[str, Any] = {"color": BLUE, "markersize": others_size, "markerfacecolor": "none"}
    axis.plot(*others, "o", label="others, −1", **circles)
    axis.plot(*target, "D", color=ORANGE, markersize=8, label="target, +1")


def label(axis: Axes, x: str, y: str, *, legend: Mapping[str, Any] | None = None, **settings: Any) -> None:
    """Name both axes, apply further settings such as limits, and draw the legend."""
    axis.set(xlabel=x, ylabel=y, **settings)
    axis.legend(fontsize=8, title_fontsize=8, **(legend or {}))


def note(axis: Axes, text: str, at: tuple[float, float], *, by: tuple[float, float], **style: Any) -> None:
    """Write a text beside a point, ``by`` so many points right and up."""
    axis.annotate(text, at, xytext=by, textcoords="offset points", **{"fontsize": 9, **style})


def picture(axis: Axes, values: Any, title: str = "", *, bar: bool = True, **look: Any) -> AxesImage:
    """Draw an array as an image, with a bar that shows its scale of colors."""
    image = axis.imshow(values, **look)
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    if title:
        axis.set_title(title, fontsize=9)
    if bar:
        axis.figure.colorbar(image, ax=axis, fraction=0.046, pad=0.03)
    return image


def legend_above(figure: Figure, axis: Axes) -> None:
    """Put the legend of wide axes in a row above them."""
    handles = axis.get_legend_handles_labels()
    figure.legend(*handles, fontsize=8, ncols=4, loc="outside upper center")
