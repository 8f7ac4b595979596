"""Exercises of the chapter "One mean, one variance"."""

from typing import Any

import numpy as np

from simam_edu import energy
from simam_edu.exercises.checking import Exercise, Mistake


def others_variance(x: np.ndarray) -> np.ndarray:
    """Return the variance of the others for every neuron."""
    return energy.leave_one_out_statistics(x)[1]


def maps(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return some maps of different sizes, means and scales."""
    return [
        (generator.normal(3.0, 1.0, (2, 2)),),
        (generator.normal(-1.0, 2.0, (3, 5)),),
        (generator.laplace(size=(4, 4)),),
    ]


def exact_importance(shared: float, M: int) -> float:
    """Return the importance against the others from the shared importance."""
    u, k = 4 * (shared - 0.5) / (M - 1), M / (M - 1)
    return 0.5 + (M - 1) / 4 * k**2 * u / (1 - k * u)


def shared_importances(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return importances below the ceiling of Samuelson's inequality, with the number of neurons."""
    sizes = (3, 4, 16, 64)
    return [(0.5 + generator.uniform(0.1, 0.9) * (M - 1) ** 2 / (4 * M), M) for M in sizes]


def merged(n1: int, m1: float, q1: float, n2: int, m2: float, q2: float) -> tuple[float, float]:
    """Return the mean and the sum of squares of two parts together."""
    n = n1 + n2
    return m1 + (m2 - m1) * n2 / n, q1 + q2 + (m2 - m1) ** 2 * n1 * n2 / n


def parts(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return two parts by their statistics; the last pair has a mean that is large against its spread."""
    found = []
    for mean, first, second in ((0.0, 3, 9), (5.0, 16, 8), (1e8, 24, 40)):
        numbers: list[Any] = []
        for count in (first, second):
            deviation = generator.normal(size=count)
            numbers += [count, mean + float(deviation.mean()), float(deviation.var() * count)]
        found.append(tuple(numbers))
    return found


EXERCISES = (
    Exercise(
        name="others_variance",
        asks="a function of x that returns the variance of the others for every neuron, in the shape of x",
        truth=others_variance,
        inputs=maps,
        mistakes=(
            Mistake(
                answer=lambda x: ((x - x.mean()) ** 2).sum() / (x.size - 1) + 0 * x,
                hint="This is the shared variance: one number for all. Each neuron still takes part in it; see 'The exact statistics in the same pass'.",
            ),
            Mistake(
                answer=lambda x: (((x - x.mean()) ** 2).sum() - (x - x.mean()) ** 2) / (x.size - 1),
                hint="The target is out of the sum, but the distances are still those from the mean of all. Without the target the mean moves; see 'The exact statistics in the same pass'.",
            ),
            Mistake(
                answer=lambda x: others_variance(x) * (x.size - 1) / (x.size - 2),
                hint="This divides by M-2, as an unbiased estimate would. The energy has the mean over the M-1 others, under Eq. (4) of the paper.",
            ),
            Mistake(
                answer=lambda x: others_variance(x) * (x.size - 1) / x.size,
                hint="This divides by M. The others are M-1; see 'The exact statistics in the same pass'.",
            ),
        ),
    ),
    Exercise(
        name="exact_importance",
        asks="a function of (shared, M) that returns the importance against the others",
        truth=exact_importance,
        inputs=shared_importances,
        mistakes=(
            Mistake(
                answer=lambda shared, M: 0.5 + (shared - 0.5) * (M / (M - 1)) ** 2,
                hint="The distance now goes to the mean of the others, but the variance is still that of all. Leaving the target out makes it smaller; see 'A ceiling for every channel'.",
            ),
            Mistake(
                answer=lambda shared, M: 0.5 + (exact_importance(shared, M) - 0.5) * ((M - 1) / M) ** 2,
                hint="The variance is that of the others, but the distance still goes to the mean of all; see 'The exact statistics in the same pass'.",
            ),
            Mistake(
                answer=lambda shared, M: exact_importance(shared, M) - 0.5,
                hint="The constant one half of the importance is missing in the result; see 'The shared statistics'.",
            ),
            Mistake(
                answer=lambda shared, M: exact_importance(0.5 + (shared - 0.5) * (M - 1) / M, M),
                hint="This reads the given importance as one with 1/M in the variance. The shared form has 1/(M-1); see 'The shared statistics'.",
            ),
        ),
    ),
    Exercise(
        name="merged_statistics",
        asks="a function of (n1, m1, S1, n2, m2, S2) that returns the mean and the sum of squares of both parts together",
        truth=merged,
        inputs=parts,
        needs_digits=True,
        mistakes=(
            Mistake(
                answer=lambda n1, m1, q1, n2, m2, q2: (merged(n1, m1, q1, n2, m2, q2)[0], q1 + q2),
                hint="The sums are added, but each is about the mean of its own part. Both must move to the common mean, which makes them larger.",
            ),
            Mistake(
                answer=lambda n1, m1, q1, n2, m2, q2: (
                    (m1 + m2) / 2,
                    q1 + q2 + (n1 + n2) * (m2 - m1) ** 2 / 4,
                ),
                hint="The parts count alike here, whatever their sizes. Weigh each mean with its number of neurons.",
            ),
            Mistake(
                answer=lambda n1, m1, q1, n2, m2, q2: (
                    merged(n1, m1, q1, n2, m2, q2)[0],
                    q1 + n1 * m1**2 + q2 + n2 * m2**2 - (n1 * m1 + n2 * m2) ** 2 / (n1 + n2),
                ),
                hint="In exact arithmetic this is right. On a large mean it is the difference of two huge sums and loses its digits; see 'One pass, and the digits it can lose'.",
                erratic=1e-6,
            ),
        ),
    ),
)
