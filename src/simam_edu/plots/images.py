"""Figures of images."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from matplotlib.figure import Figure

from simam_edu import energy
from simam_edu.plots import style


def image_grid(
    images: UInt8[np.ndarray, "n 3 h w"],
    *,
    titles: Sequence[str],
    masks: Bool[np.ndarray, "n h w"] | None = None,
    columns: int = 5,
) -> Figure:
    """Draw images in rows, each under its title, with its object outlined.

    A ``ValueError`` says that there are no images, or not as many titles or masks.
    """
    counts = [len(given) for given in (images, titles, masks) if given is not None]
    if counts[0] == 0 or len(set(counts)) > 1:
        raise ValueError(f"images must be one or more, with as many titles and masks, got {counts}")
    rows = -(-len(images) // columns)
    figure, axes = style.new_figure(rows, columns, height=rows * (7.0 / columns + 0.3))
    for axis in axes.flat:
        axis.axis("off")
    for k, (axis, image, title) in enumerate(zip(axes.flat, images, titles, strict=False)):
        axis.imshow(image.transpose(1, 2, 0), interpolation="nearest")
        axis.set_title(title, fontsize=9)
        if masks is not None and masks[k].any():
            # Black on white is seen on every image.
            axis.contour(masks[k], levels=[0.5], colors=["white"], linewidths=2.2)
            axis.contour(masks[k], levels=[0.5], colors=["black"], linewidths=1)
    return figure


def before_and_after(plane: UInt8[np.ndarray, "h w"]) -> Figure:
    """Draw one plane of an image, the gain of each of its values, and their product."""
    values = plane / 255
    gains = energy.gain(values)
    figure, axes = style.new_figure(1, 3, height=2.6)
    drawn = {
        "the plane $x$": (values, "gray", 0),
        "its gains $g$": (gains, "viridis", 0.6),
        "$g\\,x$": (gains * values, "gray", 0),
    }
    for axis, (title, (picture, colors, low)) in zip(axes.flat, drawn.items(), strict=True):
        axis.axis("off")
        axis.set_title(title)
        shown = axis.imshow(picture, cmap=colors, vmin=low, vmax=1)
        if colors == "viridis":
            figure.colorbar(shown, ax=axis, shrink=0.8)
    return figure
