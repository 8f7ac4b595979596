"""Exercises of the chapter on the module."""

from typing import Any

import numpy as np
from jaxtyping import Float

from simam_edu.energy import gain
from simam_edu.exercises.checking import Exercise, Mistake
from simam_edu.gallery import GALLERY
from simam_edu.mistakes import HINTS, distances, gated, input_missing, mutations

Maps = Float[np.ndarray, "n c h w"]

SHAPE = (64, 16, 32, 32)  # of the batch in the exercise that counts means
LARGEST_HALF = float(np.finfo(np.float16).max)
NEURONS = 32 * 32


def batches(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return batches on each of which some mistake shows; the first lets every axis be mixed up."""
    kinds = [  # shape, mean and standard deviation, penalty
        ((4, 4, 4, 4), 1.0, 2.0, 0.5),
        ((2, 3, 4, 5), 0.5, 1.0, 1e-4),
        ((1, 2, 3, 3), 25.0, 50.0, 0.0),
        ((2, 2, 6, 2), 0.05, 0.1, 0.01),
        ((2, 3, 4, 4), 0.05, 0.1, 0.5),  # a penalty above all squared distances, times four
        ((1, 2, 8, 8), 300.0, 1.0, 1e-4),  # a mean that float32 can bear, if it is subtracted first
        ((1, 2, 8, 8), 1e8, 1.0, 1e-4),  # and one that float64 can
        ((1, 2, 32, 32), 0.0, 30.0, 1e-4),  # a sum of squares that float16 cannot hold
    ]
    return [(generator.normal(mean, scale, shape), lam) for shape, mean, scale, lam in kinds]


def simam(x: Maps, lam: float) -> Maps:
    """The batch times its gain."""
    product: Maps = x * gain(x, lam=lam)
    return product


def no_keepdims_in_variance(x: Maps, lam: float) -> Maps:
    """The axes kept in the mean and not in the variance."""
    d, var = distances(x)
    return gated(x, d / (4 * (var[..., 0, 0] + lam)) + 0.5)


ERRATIC = {"naive variance": 1e-6, "half precision": 0.02}
"""The exhibits whose wrong values are made of rounding errors, and from which difference on they are wrong."""

EXHIBITS = tuple(
    Mistake(exhibit.function, exhibit.hint, ERRATIC.get(name)) for name, exhibit in GALLERY.items()
)

EXERCISES = (
    Exercise(
        name="simam",
        asks="a function of (x, lam) that returns SimAM of a batch of shape (n, c, h, w)",
        truth=simam,
        inputs=batches,
        mistakes=(
            *EXHIBITS,
            Mistake(no_keepdims_in_variance, GALLERY["no keepdims"].hint),
            Mistake(input_missing, HINTS["input missing"]),
            *(Mistake(wrong, hint) for wrong, hint in mutations()),
        ),
    ),
    Exercise(
        name="means_of_a_batch",
        asks=f"how many means SimAM computes for a batch of shape {SHAPE}, as a number",
        truth=SHAPE[0] * SHAPE[1],
        mistakes=(
            Mistake(
                answer=SHAPE[1],
                hint="One mean for each channel, shared by the images of the batch, is what batch norm has; see 'From the formula to tensors'.",
            ),
            Mistake(
                answer=SHAPE[0],
                hint="One mean for each image, shared by its channels, is what layer norm has; see 'From the formula to tensors'.",
            ),
            Mistake(
                answer=SHAPE[0] * SHAPE[2] * SHAPE[3],
                hint="This is one mean for each position of each image, over the channels; see 'From the formula to tensors'.",
            ),
        ),
    ),
    Exercise(
        name="half_precision_limit",
        asks="the largest standard deviation whose sum of squares over a centered 32 by 32 map fits into float16, as a number",
        truth=float(np.sqrt(LARGEST_HALF / NEURONS)),
        mistakes=(
            Mistake(
                answer=float(np.sqrt(LARGEST_HALF)),
                hint="This is where a single square overflows. The sum has one square for each position; see 'What it refuses, and why'.",
            ),
            Mistake(
                answer=LARGEST_HALF / NEURONS,
                hint="This is the largest variance. Its root is asked for.",
            ),
            Mistake(
                answer=float(np.sqrt(LARGEST_HALF / np.sqrt(NEURONS))),
                hint="Here the sum runs over one side of the map only. It runs over all its positions; see 'What it refuses, and why'.",
            ),
        ),
    ),
)
