"""Exercises of the chapter "Errata and limits"."""

from typing import Any

import numpy as np
from scipy import stats

from simam_edu.exercises.checking import Exercise, Mistake

WIDTHS = (16, 32, 64)


def conv_norm(k: int, c_in: int, c_out: int) -> int:
    """Return the parameters of a convolution without bias and its batch norm."""
    return k * k * c_in * c_out + 2 * c_out


def basic_parameters(n: int, classes: int, *, shortcuts: bool = True, norms: bool = True) -> int:
    """Return the parameters of a basic residual network of depth 6n + 2."""
    layers = [(3, 3, 16), (3, 16, 16), (3, 16, 32), (3, 32, 64)]
    layers += [(3, c, c) for c in WIDTHS for _ in range(2 * n - 1)]
    layers += [(1, 16, 32), (1, 32, 64)] if shortcuts else []
    total = sum(conv_norm(*layer) if norms else layer[0] ** 2 * layer[1] * layer[2] for layer in layers)
    return total + WIDTHS[-1] * classes + classes


def networks(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return depths and numbers of classes."""
    return [(3, 10), (9, 100), (18, int(generator.integers(2, 50))), (1, 2)]


def welch(m1: float, s1: float, m2: float, s2: float, n: int) -> float:
    """Return the two-sided p-value of Welch's test."""
    return float(stats.ttest_ind_from_stats(m1, s1, n, m2, s2, n, equal_var=False).pvalue)


def tables(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return means and standard deviations of two modules and the number of runs."""
    rows: list[tuple[Any, ...]] = [(92.3, 0.2, 92.7, 0.1, 5), (70.0, 0.5, 69.8, 0.1, 3)]
    return [*rows, (*generator.uniform([50, 0.1, 50, 0.4], [51, 0.3, 51, 0.9]).tolist(), 8)]


def standard_error(s1: float, s2: float, n: int) -> float:
    """Return the standard deviation of the difference of two means of n runs."""
    return float(np.sqrt((s1**2 + s2**2) / n))


def seeds(delta: float, s: float, *, level: float = 39 / 40, power: float = 0.8, times: float = 2.0) -> float:
    """Return the runs of each module that a difference needs, by the normal approximation."""
    quantiles = stats.norm.ppf(level) + stats.norm.ppf(power)
    return float(np.ceil(times * (quantiles * s / delta) ** 2))


def differences(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return differences and standard deviations in points."""
    return [(0.3, 0.2), (0.1, 0.3), (float(generator.uniform(0.05, 0.2)), 0.25)]


EXERCISES = (
    Exercise(
        name="basic_parameters",
        asks="a function of (n, classes) that returns the number of parameters",
        truth=basic_parameters,
        inputs=networks,
        mistakes=(
            Mistake(
                answer=lambda n, classes: basic_parameters(n, classes, shortcuts=False),
                hint="The two shortcuts that change the width are missing. This is the network with padded shortcuts; here they are 1x1 convolutions with norms.",
            ),
            Mistake(
                answer=lambda n, classes: basic_parameters(n, classes, norms=False),
                hint="The batch norms are missing: two numbers a channel after every convolution, the shortcuts' among them.",
            ),
            Mistake(
                answer=lambda n, classes: basic_parameters(n, classes) - classes,
                hint="The biases of the last layer are missing. It has no norm behind it, so it has a bias, one a class.",
            ),
            Mistake(
                answer=lambda n, classes: basic_parameters(n, classes) - conv_norm(3, 3, 16),
                hint="The first convolution, from three to sixteen channels, is missing with its norm.",
            ),
        ),
    ),
    Exercise(
        name="welch_p_value",
        asks="a function of (m1, s1, m2, s2, n) that returns the two-sided p-value",
        truth=welch,
        inputs=tables,
        mistakes=(
            Mistake(
                answer=lambda m1, s1, m2, s2, n: 2 * stats.norm.sf(abs(m1 - m2) / standard_error(s1, s2, n)),
                hint="This takes the normal distribution, as if the deviations were known. With a few runs they are not, and Student's distribution has heavier tails.",
            ),
            Mistake(
                answer=lambda m1, s1, m2, s2, n: welch(m1, s1, m2, s2, n) / 2,
                hint="This is one tail only. A difference in the other direction would have been noticed as well, so both count.",
            ),
            Mistake(
                answer=lambda m1, s1, m2, s2, n: float(
                    stats.ttest_ind_from_stats(m1, s1, n, m2, s2, n, equal_var=True).pvalue
                ),
                hint="The degrees of freedom are 2(n-1) here, which is Student's own test for equal deviations. Welch's are fewer.",
            ),
            Mistake(
                answer=lambda m1, s1, m2, s2, n: (
                    2
                    * stats.t.sf(
                        abs(m1 - m2) / (standard_error(s1, s2, n) * np.sqrt(n)),
                        (n - 1) * (s1**2 + s2**2) ** 2 / (s1**4 + s2**4),
                    )
                ),
                hint="The deviation of a single run is used for that of a mean. A mean of n runs has the variance over n.",
            ),
        ),
    ),
    Exercise(
        name="seeds_needed",
        asks="a function of (delta, s) that returns the number of runs of each module, rounded up",
        truth=seeds,
        inputs=differences,
        mistakes=(
            Mistake(
                answer=lambda delta, s: seeds(delta, s, times=1.0),
                hint="Only one of the two means varies here. Both modules have runs, so the difference has twice the variance of a mean.",
            ),
            Mistake(
                answer=lambda delta, s: seeds(delta, s, times=4.0),
                hint="This is the number of runs of both modules together; asked for are those of each.",
            ),
            Mistake(
                answer=lambda delta, s: seeds(delta, s, power=0.5),
                hint="The second quantile is missing. Without it the difference is found in one half of all studies only.",
            ),
            Mistake(
                answer=lambda delta, s: seeds(delta, s, level=19 / 20),
                hint="This is the one-sided test. A two-sided one has one in forty on each side.",
            ),
        ),
    ),
)
