r"""Ten classes of colored shapes on textured clutter, drawn by formula, each with the mask of its object.

They stand in for CIFAR where it is not at hand: the same size, the same number of classes, no files.
Only the shape tells the class. Color, size, place, rotation and texture are drawn from the same
distributions for all ten.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from simam_edu.datasets.image_set import ImageSet, Split

SIDE = 32
SAMPLES = 2
"""Points a pixel and axis at which a shape is evaluated, so that its edges are smooth."""

SIZES: dict[Split, int] = {"train": 4000, "test": 1000}
SEEDS: dict[Split, int] = {"train": 20210718, "test": 20210724}
"""Seeds of the two splits; the first and last day of ICML 2021, where SimAM was presented."""

Plane = Float[np.ndarray, "n p"]


def _disk(u: Plane, v: Plane) -> Bool[np.ndarray, "n p"]:
    return u**2 + v**2 < 0.8**2


def _ring(u: Plane, v: Plane) -> Bool[np.ndarray, "n p"]:
    radius = np.hypot(u, v)
    return (radius < 0.95) & (radius > 0.5)


def _square(u: Plane, v: Plane) -> Bool[np.ndarray, "n p"]:
    return np.maximum(np.abs(u), np.abs(v)) < 0.7


def _frame(u: Plane, v: Plane) -> Bool[np.ndarray, "n p"]:
    distance = np.maximum(np.abs(u), np.abs(v))
    return (distance < 0.85) & (distance > 0.45)


def _triangle(u: Plane, v: Plane) -> Bool[np.ndarray, "n p"]:
    return (v > -0.5) & (np.sqrt(3) * np.abs(u) + v < 1.0)


def _plus(u: Plane, v: Plane) -> Bool[np.ndarray, "n p"]:
    near, far = np.minimum(np.abs(u), np.abs(v)), np.maximum(np.abs(u), np.abs(v))
    return (near < 0.3) & (far < 0.95)


def _star(u: Plane, v: Plane) -> Bool[np.ndarray, "n p"]:
    return np.hypot(u, v) < 0.7 + 0.35 * np.cos(5 * np.arctan2(v, u))


def _crescent(u: Plane, v: Plane) -> Bool[np.ndarray, "n p"]:
    return (u**2 + v**2 < 0.95**2) & ((u - 0.5) ** 2 + v**2 > 0.75**2)


def _bars(u: Plane, v: Plane) -> Bool[np.ndarray, "n p"]:
    return (np.abs(np.abs(u) - 0.55) < 0.25) & (np.abs(v) < 0.9)


def _pair(u: Plane, v: Plane) -> Bool[np.ndarray, "n p"]:
    return (np.abs(u) - 0.5) ** 2 + v**2 < 0.45**2


SHAPES: dict[str, Callable[[Plane, Plane], Bool[np.ndarray, "n p"]]] = {
    "disk": _disk,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "triangle": _triangle,
    "plus": _plus,
    "star": _star,
    "crescent": _crescent,
    "bars": _bars,
    "pair": _pair,
}
"""Every class: whether a point is inside, in coordinates where the shape has a radius of about 1."""


def draw(
    n: int, *, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "n 3 32 32"], Int64[np.ndarray, "n"], Bool[np.ndarray, "n 32 32"]]:
    """Draw images of shapes.

    Args:
        n: How many; a multiple of ten, so that the classes are equally large.
        rng: Draws everything.

    Returns:
        The images, their labels (in random order) and the masks of the objects.

    Raises:
        ValueError: If ``n`` is not a positive multiple of ten.
    """
    if n < 1 or n % len(SHAPES):
        raise ValueError(
            f"n must be a positive multiple of {len(SHAPES)}, got {n}; classes are equally large"
        )
    labels = rng.permutation(np.arange(n, dtype=np.int64) % len(SHAPES))
    coverage = _coverage(labels, rng)  # (n, 32, 32)
    background = _texture(n, rng, contrast=0.22)  # (n, 3, 32, 32)
    foreground = _texture(n, rng, contrast=0.10)
    mixed = coverage[:, None] * foreground + (1 - coverage[:, None]) * background
    noisy = mixed + rng.normal(0, 0.03, mixed.shape)
    return (255 * np.clip(noisy, 0, 1)).round().astype(np.uint8), labels, coverage > 0.5


def load_shapes(split: Split) -> ImageSet:
    """Return one split, the same whenever it is drawn with the same version of numpy.

    Args:
        split: ``"train"`` has 4,000 images, ``"test"`` 1,000.
    """
    images, labels, masks = draw(SIZES[split], rng=np.random.default_rng(SEEDS[split]))
    return ImageSet(
        name="shapes",
        split=split,
        images=images,
        labels=labels,
        classes=tuple(SHAPES),
        mean=(0.502, 0.497, 0.501),
        std=(0.243, 0.244, 0.245),
        source="shapes drawn by formula, not photographs",
        masks=masks,
    )


def _coverage(labels: Int64[np.ndarray, "n"], rng: np.random.Generator) -> Float[np.ndarray, "n 32 32"]:
    """Return the part of each pixel, in [0, 1], that the shape covers."""
    n, fine = len(labels), SIDE * SAMPLES
    axis = (np.arange(fine) + 0.5) / SAMPLES - SIDE / 2  # pixels from the middle
    y, x = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
    radius = rng.uniform(7.0, 10.0, n)
    center = rng.uniform(-5.0, 5.0, (2, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    coverage = np.empty((n, SIDE, SIDE))
    for k, inside in enumerate(SHAPES.values()):
        (chosen,) = np.nonzero(labels == k)
        for some in np.array_split(chosen, max(1, len(chosen) // 50)):  # fifty at a time bounds the memory
            cos, sin = np.cos(angle[some])[:, None], np.sin(angle[some])[:, None]
            dx, dy = x - center[0, some, None], y - center[1, some, None]  # (some, fine * fine)
            u, v = (cos * dx + sin * dy) / radius[some, None], (cos * dy - sin * dx) / radius[some, None]
            samples = inside(u, v).reshape(len(some), SIDE, SAMPLES, SIDE, SAMPLES)
            coverage[some] = samples.mean(axis=(2, 4))
    return coverage


def _texture(n: int, rng: np.random.Generator, *, contrast: float) -> Float[np.ndarray, "n 3 32 32"]:
    """Return a random color for each image with a pattern of waves over it."""
    color = rng.uniform(0.1, 0.9, (n, 3, 1, 1))
    axis = np.arange(SIDE) / SIDE
    pattern = np.zeros((n, 3, SIDE, SIDE))
    for _ in range(3):
        along, across = rng.uniform(-6, 6, (2, n, 1, 1, 1))
        phase = rng.uniform(0, 2 * np.pi, (n, 3, 1, 1))
        pattern += np.sin(2 * np.pi * (along * axis[:, None] + across * axis) + phase)
    return color + contrast * pattern / 3
