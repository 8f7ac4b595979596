"""Figures of images."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from matplotlib.figure import Figure

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
    if not len(images):
        raise ValueError("images must be one or more, got none; choose some to draw")
    for what, given in (("titles", titles), ("masks", masks)):
        if given is not None and len(given) != len(images):
            raise ValueError(
                f"{what} must be as many as images, got {len(given)} for {len(images)}; give one for each"
            )
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
