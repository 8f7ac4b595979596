"""Exercises of the chapter on what the numbers say."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from simam_edu.exercises.checking import Exercise, Mistake

Values = NDArray[np.float64]


def columns(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return the accuracies of two modules over the same seeds."""
    rows = []
    for n in (2, 3, 5, 8):
        seeds = generator.normal(90.0, 0.4, n)
        rows.append((seeds + generator.normal(0.2, 0.1, n), seeds + generator.normal(0.0, 0.2, n)))
    return rows


def around(mean: float, half: float) -> tuple[float, float]:
    """Return the ends of an interval."""
    return mean - half, mean + half


def paired(a: ArrayLike, b: ArrayLike, *, tail: float = 1 / 40, ddof: int = 1) -> tuple[float, float]:
    """Return Student's interval of the mean difference."""
    d = np.asarray(a) - np.asarray(b)
    return around(
        float(d.mean()), float(stats.t.isf(tail, len(d) - 1) * d.std(ddof=ddof) / math.sqrt(len(d)))
    )


def unpaired(a: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """Return Welch's interval, as if the columns shared nothing."""
    found = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    return float(found.low), float(found.high)


def normal(a: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """Return the interval that knows the standard deviation for certain."""
    d = np.asarray(a) - np.asarray(b)
    return around(float(d.mean()), float(stats.norm.isf(1 / 40) * d.std(ddof=1) / math.sqrt(len(d))))


def of_one_pair(a: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """Return an interval as wide as for a single difference."""
    d = np.asarray(a) - np.asarray(b)
    return around(float(d.mean()), float(stats.t.isf(1 / 40, len(d) - 1) * d.std(ddof=1)))


def p_values(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return p-values in no order, with steps that would fall and products above one."""
    rows = [np.array([0.04, 0.01, 0.03, 0.2]), np.array([0.9, 0.02, 0.8]), np.array([0.02, 0.019, 0.021])]
    return [*((row,) for row in rows), (generator.uniform(0, 0.3, 6),)]


def holm(p: ArrayLike, *, climbing: bool = True, cut: bool = True, back: bool = True) -> Values:
    """Return p-values corrected by Holm, or with one of its three rules left out."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    steps = np.maximum.accumulate(steps) if climbing else steps
    steps = np.minimum(steps, 1.0) if cut else steps
    result: Values = np.empty_like(values)
    if not back:
        order = np.arange(len(values))
    result[order] = steps
    return result


def bonferroni(p: ArrayLike) -> Values:
    """Return p-values that are all multiplied by their number."""
    values = np.asarray(p, dtype=float)
    corrected: Values = np.minimum(values * len(values), 1.0)
    return corrected


def benjamini_hochberg(p: ArrayLike) -> Values:
    """Return p-values corrected for the rate of false finds among all finds."""
    corrected: Values = stats.false_discovery_control(np.asarray(p, dtype=float))
    return corrected


def plans(_: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return true differences and standard deviations of differences."""
    return [(0.3, 0.3), (0.3, 0.2), (0.2, 0.5), (1.0, 0.3)]


def pairs(delta: float, s: float, *, tails: int = 2, chance: float = 0.8, shared: bool = True) -> int:
    """Return the smallest number of seeds for which the test finds a difference often enough."""
    n, found = 1, 0.0
    while found < chance:
        n += 1
        freedom = n - 1 if shared else 2 * (n - 1)
        threshold = stats.t.isf(0.05 / tails, freedom)
        shift = delta / s * math.sqrt(n if shared else n / 2)
        found = float(stats.nct.sf(threshold, freedom, shift))
        if tails == 2:
            found += float(np.nan_to_num(stats.nct.cdf(-threshold, freedom, shift)))
    return n


def by_normal(delta: float, s: float) -> int:
    """Return the number of seeds as if the standard deviation were known."""
    return math.ceil((float(stats.norm.isf(1 / 40) + stats.norm.ppf(0.8)) * s / delta) ** 2)


EXERCISES = (
    Exercise(
        name="paired_interval",
        asks="a function of (a, b) that returns the lower and the upper end",
        truth=paired,
        inputs=columns,
        mistakes=(
            Mistake(
                answer=unpaired,
                hint="This treats the columns as if they shared nothing. They share their seeds, so take the difference within each seed first; see 'Differences within a seed'.",
            ),
            Mistake(
                answer=normal,
                hint="The quantile is that of the normal distribution, as if the standard deviation were known. It comes from the same few runs; see 'What is one number worth?'.",
            ),
            Mistake(
                answer=of_one_pair,
                hint="This is as wide as for a single difference. The mean of n differences strays less, by the root of n.",
            ),
            Mistake(
                answer=lambda a, b: paired(a, b, tail=1 / 20),
                hint="This leaves one in twenty on each side. One in twenty is for both sides together.",
            ),
            Mistake(
                answer=lambda a, b: paired(a, b, ddof=0),
                hint="The standard deviation has n below, which is numpy's default. Student's interval is made for n - 1.",
            ),
        ),
    ),
    Exercise(
        name="holm_by_hand",
        asks="a function of an array of p-values that returns the corrected ones in the same order",
        truth=holm,
        inputs=p_values,
        mistakes=(
            Mistake(
                answer=bonferroni,
                hint="Here all are multiplied by their number. That is Bonferroni's correction; Holm's factor falls by one from each p-value to the next larger one.",
            ),
            Mistake(
                answer=lambda p: holm(p, climbing=False),
                hint="A larger p-value has come out smaller than one before it. Each must be at least as large as the corrected ones before it.",
            ),
            Mistake(
                answer=lambda p: holm(p, cut=False),
                hint="A corrected p-value is above one. It is still a probability, so cut it there.",
            ),
            Mistake(
                answer=lambda p: holm(p, back=False),
                hint="The values are sorted. They must stand where the p-values came from, so that each module gets its own.",
            ),
            Mistake(
                answer=benjamini_hochberg,
                hint="This is the correction of Benjamini and Hochberg. It bounds the part of false finds among all finds, not the chance of any false find.",
            ),
        ),
    ),
    Exercise(
        name="pairs_needed",
        asks="a function of (delta, s) that returns the smallest number of seeds",
        truth=pairs,
        inputs=plans,
        mistakes=(
            Mistake(
                answer=by_normal,
                hint="This takes the normal distribution, as if s were known. With few seeds Student's quantile is much larger; see 'How many seeds would be enough?'.",
            ),
            Mistake(
                answer=lambda delta, s: pairs(delta, s, tails=1),
                hint="This is the one-sided test. A module that does harm would have been noticed as well, so one in forty is on each side.",
            ),
            Mistake(
                answer=lambda delta, s: pairs(delta, s, shared=False),
                hint="This is the number of runs of each of two independent columns. Here s is that of the differences already, and the degrees of freedom are n - 1.",
            ),
            Mistake(
                answer=lambda delta, s: pairs(delta, s, chance=0.5),
                hint="This many seeds find it in one of two studies. Asked for are four of five.",
            ),
        ),
    ),
)
