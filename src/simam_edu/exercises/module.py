"""Exercises of the chapter on the module."""

from typing import Any

import numpy as np
from jaxtyping import Float

from simam_edu.energy import channel_statistics, gain
from simam_edu.exercises.checking import Exercise, Mistake

Maps = Float[np.ndarray, "n c h w"]

SHAPE = (64, 16, 32, 32)  # of the batch in the exercise that counts means
LARGEST_HALF = float(np.finfo(np.float16).max)
NEURONS = 32 * 32


def batches(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Batches whose four axes differ, one that lets every axis be mixed up, large values, a penalty of zero."""
    shapes = [(2, 3, 4, 5), (4, 4, 4, 4), (1, 2, 3, 3), (2, 2, 6, 2)]
    scales, lams = [1.0, 2.0, 50.0, 0.1], [1e-4, 0.5, 0.0, 0.01]
    return [
        (scale * generator.normal(0.5, 1.0, shape), lam)
        for shape, scale, lam in zip(shapes, scales, lams, strict=True)
    ]


def simam(x: Maps, lam: float) -> Maps:
    """The batch times its gain."""
    product: Maps = x * gain(x, lam=lam)
    return product


def _from_squares(x: Maps, squares: Maps, var: Any, lam: float) -> Maps:
    product: Maps = x / (1 + np.exp(-(squares / (4 * (var + lam)) + 0.5)))
    return product


def with_population_variance(x: Maps, lam: float) -> Maps:
    """The variance divided by the number of positions."""
    mu, var = channel_statistics(x, ddof=0)
    return _from_squares(x, (x - mu) ** 2, var, lam)


def over_channels(x: Maps, lam: float) -> Maps:
    """One mean and one variance for each position, over the channels."""
    mu, var = x.mean(axis=1, keepdims=True), x.var(axis=1, ddof=1, keepdims=True)
    return _from_squares(x, (x - mu) ** 2, var, lam)


def over_the_batch(x: Maps, lam: float) -> Maps:
    """One mean and one variance for each channel over all images, as batch norm has."""
    axes = (0, 2, 3)
    mu, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, ddof=1, keepdims=True)
    return _from_squares(x, (x - mu) ** 2, var, lam)


def gain_alone(x: Maps, lam: float) -> Maps:
    """The gain without the input."""
    return gain(x, lam=lam)


def without_one_half(x: Maps, lam: float) -> Maps:
    """The importance without its constant."""
    mu, var = channel_statistics(x, ddof=1)
    product: Maps = x / (1 + np.exp(-((x - mu) ** 2) / (4 * (var + lam))))
    return product


EXERCISES = (
    Exercise(
        name="simam",
        asks="a function of (x, lam) that returns SimAM of a batch of shape (n, c, h, w)",
        truth=simam,
        inputs=batches,
        mistakes=(
            Mistake(
                answer=with_population_variance,
                hint="This is what dividing by the number of positions gives, as Eq. (5) of the paper prints it. The authors' code divides by one less; "
                "see 'From the formula to tensors'.",
            ),
            Mistake(
                answer=over_channels,
                hint="Here the mean and the variance run over the channels, one pair for each position. Each channel of each image needs its own; see 'From the formula to tensors'.",
            ),
            Mistake(
                answer=over_the_batch,
                hint="Here the mean and the variance are shared by all images, as in batch norm. SimAM looks at one image at a time; see 'From the formula to tensors'.",
            ),
            Mistake(
                answer=gain_alone,
                hint="This is the gain. The output is the input times the gain; see Eq. (6) of the paper.",
            ),
            Mistake(
                answer=without_one_half,
                hint="The importance has lost its constant, so a neuron at the mean is halved; see 'From the formula to tensors'.",
            ),
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
