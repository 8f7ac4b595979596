"""Ten classes of colored shapes on textured clutter, drawn by formula, each with the mask of its object.

They stand in for CIFAR where it is not at hand: the same size, the same number of classes, no files.
Only the shape tells the class. Color, size, place, rotation and texture are drawn from the same
distributions for all ten.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from simam_edu.datasets.image_set import ImageSet, Split

SIDE = 32  # of an image, in pixels
SAMPLES = 2  # points per pixel and axis at which a shape is evaluated, so that its edges are smooth
RADII = (7.0, 10.0)  # least and greatest radius of a shape, in pixels
AT_ONCE = 100  # images drawn at a time, which bounds the memory
# With these four ResNet-20 learns the shapes in the ten epochs of the recipe "smoke". With a full turn, more
# than twice the contrast and a wider shift it learned nothing.
SHIFT = 3.0  # of a shape's middle from the image's along an axis, in pixels at most: objects lie whole inside
TURN = 0.5  # to either side, in radians at most
CONTRAST = 0.1  # how far the waves of the texture reach up and down from a color; 255 is 1
COLOR_GAP = 0.4  # least difference of the colors of object and background in one plane at least; 255 is 1

SIZES: dict[Split, int] = {"train": 4000, "test": 1000}  # enough to learn from, drawn in about a second
# The first and last day of ICML 2021, where SimAM was presented.
SEEDS: dict[Split, int] = {"train": 20210718, "test": 20210724}

Plane = Float[np.ndarray, "*points"]
Inside = Bool[np.ndarray, "*points"]


SHAPES: dict[str, Callable[[Plane, Plane], Inside]] = {
    "disk": lambda u, v: u**2 + v**2 < 0.8**2,
    "ring": lambda u, v: (np.hypot(u, v) < 0.95) & (np.hypot(u, v) > 0.5),
    "square": lambda u, v: _far(u, v) < 0.7,
    "frame": lambda u, v: (_far(u, v) < 0.75) & (_far(u, v) > 0.4),
    "triangle": lambda u, v: (v > -0.5) & (np.sqrt(3) * np.abs(u) + v < 1.0),
    "plus": lambda u, v: (np.minimum(np.abs(u), np.abs(v)) < 0.3) & (_far(u, v) < 0.95),
    "star": lambda u, v: np.hypot(u, v) < 0.7 + 0.35 * np.cos(5 * np.arctan2(v, u)),
    "crescent": lambda u, v: (u**2 + v**2 < 0.95**2) & ((u - 0.5) ** 2 + v**2 > 0.75**2),
    "bars": lambda u, v: (np.abs(np.abs(u) - 0.5) < 0.25) & (np.abs(v) < 0.8),
    "pair": lambda u, v: (np.abs(u) - 0.5) ** 2 + v**2 < 0.45**2,
}
"""Every class: whether a point is inside, in coordinates where no shape reaches farther than 1.1."""


def _far(u: Plane, v: Plane) -> Plane:
    return np.maximum(np.abs(u), np.abs(v))


def draw(
    n: int, *, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "n 3 32 32"], Int64[np.ndarray, "n"], Bool[np.ndarray, "n 32 32"]]:
    """Return images of shapes, their labels in random order, and the masks of the objects.

    Raises:
        ValueError: If ``n`` is not a positive multiple of ten, so that the classes are equally large.
    """
    if n < 1 or n % len(SHAPES):
        raise ValueError(
            f"n must be a positive multiple of {len(SHAPES)}, got {n}; classes are equally large"
        )
    labels = rng.permutation(np.arange(n, dtype=np.int64) % len(SHAPES))
    images = np.empty((n, 3, SIDE, SIDE), dtype=np.uint8)
    masks = np.empty((n, SIDE, SIDE), dtype=bool)
    for start in range(0, n, AT_ONCE):
        some = slice(start, start + AT_ONCE)
        images[some], masks[some] = _render(labels[some], rng)
    return images, labels, masks


def load_shapes(split: Split) -> ImageSet:
    """Return one split of :data:`SIZES`, the same whenever it is drawn with the same version of numpy."""
    images, labels, masks = draw(SIZES[split], rng=np.random.default_rng(SEEDS[split]))
    return ImageSet(
        name="shapes",
        split=split,
        images=images,
        labels=labels,
        classes=tuple(SHAPES),
        mean=(0.5039, 0.5004, 0.4933),
        std=(0.2373, 0.2338, 0.2337),
        source="shapes drawn by formula, not photographs",
        masks=masks,
    )


def _render(
    labels: Int64[np.ndarray, "n"], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "n 3 32 32"], Bool[np.ndarray, "n 32 32"]]:
    """Return one image and mask for each label."""
    coverage = _coverage(labels, rng)  # (n, 32, 32)
    behind, before = _colors(len(labels), rng)  # (n, 3, 1, 1)
    background = behind + _waves(len(labels), rng)  # (n, 3, 32, 32)
    foreground = before + _waves(len(labels), rng)
    pixels = background + coverage[:, None] * (foreground - background)
    pixels += rng.normal(0, 0.03, pixels.shape)
    return (255 * np.clip(pixels, 0, 1)).round().astype(np.uint8), coverage > 0.5


def _coverage(labels: Int64[np.ndarray, "n"], rng: np.random.Generator) -> Float[np.ndarray, "n 32 32"]:
    """Return the part of each pixel, in [0, 1], that the shape covers."""
    n, fine = len(labels), SIDE * SAMPLES
    axis = (np.arange(fine) + 0.5) / SAMPLES - SIDE / 2  # pixels from the middle
    radius = rng.uniform(*RADII, (n, 1, 1))
    angle = rng.uniform(-TURN, TURN, (n, 1, 1))
    shift = rng.uniform(-SHIFT, SHIFT, (2, n, 1, 1))
    x, y = (axis - shift[0]) / radius, (axis[:, None] - shift[1]) / radius  # (n, 1, fine), (n, fine, 1)
    u = np.cos(angle) * x + np.sin(angle) * y  # (n, fine, fine)
    v = np.cos(angle) * y - np.sin(angle) * x
    coverage = np.empty((n, SIDE, SIDE))
    for k, inside in enumerate(SHAPES.values()):
        chosen = labels == k
        samples = inside(u[chosen], v[chosen]).reshape(-1, SIDE, SAMPLES, SIDE, SAMPLES)
        coverage[chosen] = samples.mean(axis=(2, 4))
    return coverage


def _colors(
    n: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n 3 1 1"], Float[np.ndarray, "n 3 1 1"]]:
    """Return the colors of backgrounds and objects, drawn again where they are too close to tell apart."""
    behind, before = rng.uniform(0.1, 0.9, (2, n, 3, 1, 1))
    while (close := np.abs(before - behind).max(axis=(1, 2, 3)) < COLOR_GAP).any():
        before[close] = rng.uniform(0.1, 0.9, (np.count_nonzero(close), 3, 1, 1))
    return behind, before


def _waves(n: int, rng: np.random.Generator) -> Float[np.ndarray, "n 3 32 32"]:
    """Return a pattern of three waves for each image, shifted from plane to plane."""
    axis = np.arange(SIDE) / SIDE
    pattern = np.zeros((n, 3, SIDE, SIDE))
    for _ in range(3):
        periods = rng.uniform(-6, 6, (2, n, 1, 1, 1))
        phase = rng.uniform(0, 2 * np.pi, (n, 3, 1, 1))
        down = 2 * np.pi * periods[0] * axis[:, None] + phase  # (n, 3, 32, 1)
        across = 2 * np.pi * periods[1] * axis  # (n, 1, 1, 32)
        # sin(down + across), with far fewer sines than pixels
        pattern += np.sin(down) * np.cos(across) + np.cos(down) * np.sin(across)
    return CONTRAST * pattern / 3
