"""Exercises of the chapter on what the numbers say."""

import numpy as np
from scipy import stats

from simam_edu.exercises._exercise import Exercise


def noise(p, n):
    # One image is right or wrong: variance p (1 - p). A mean of n has the
    # n-th part of it, a difference two.
    return (2 * p * (1 - p) / n) ** 0.5


def interval(a, b):
    d = np.asarray(a) - np.asarray(b)
    half = stats.t.isf(1 / 40, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return d.mean() - half, d.mean() + half


def corrected_values(p):
    order = np.argsort(p)
    steps = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    result = np.empty(len(p))
    result[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return result


def pairs(delta, s):
    n = 1
    while True:
        n += 1
        q, psi = stats.t.isf(1 / 40, n - 1), delta * np.sqrt(n) / s
        found = stats.nct.sf(q, n - 1, psi) + stats.nct.cdf(-q, n - 1, psi)
        if found >= 4 / 5:
            return n


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("noise_of_a_difference", "a function of (p, n) that returns the standard deviation of the difference of two accuracies", noise, {
        "(2 * p -> (p": "This is the standard deviation of one accuracy. Both networks are measured, and the variances of independent numbers add up.",
        ") ** 0.5 -> )": "This is the variance of the difference. Its root is asked for.",
        "(2 * p * (1 - p) / n) ** 0.5 -> 2 * (p * (1 - p) / n) ** 0.5": "Here the standard deviations are added. For independent numbers it is the variances that add up.",
    }, lambda _: [(0.85, 10_000), (0.5, 10_000), (0.92, 1_000)]),
    Exercise("paired_interval", "a function of (a, b) that returns the lower and the upper end", interval, {
        lambda a, b: tuple(stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)): "This treats the columns as if they shared nothing. They share their seeds, so take the difference within each seed first; see 'Differences within a seed'.",
        "t.isf(1 / 40, len(d) - 1) -> norm.isf(1 / 40)": "The quantile is that of the normal distribution, as if the standard deviation were known. It comes from the same few runs; see 'What is one number worth?'.",
        " / np.sqrt(len(d)) -> ": "This is as wide as for a single difference. The mean of n differences strays less, by the root of n.",
        "1 / 40 -> 1 / 20": "This leaves one in twenty on each side. One in twenty is for both sides together.",
        "ddof=1 -> ddof=0": "The standard deviation has n below, which is numpy's default. Student's interval is made for n - 1.",
    }, lambda g: [tuple(g.normal(90.0, 0.4, n) + g.normal([[0.2], [0.0]], [[0.1], [0.2]], (2, n))) for n in (2, 3, 5, 8)]),
    Exercise("holm_by_hand", "a function of an array of p-values that returns the corrected ones in the same order", corrected_values, {
        lambda p: np.minimum(p * len(p), 1): "Here all are multiplied by their number. That is Bonferroni's correction; Holm's factor falls by one from each p-value to the next larger one.",
        "np.maximum.accumulate(steps) -> steps": "A larger p-value has come out smaller than one before it. Each must be at least as large as the corrected ones before it.",
        "np.minimum(np.maximum.accumulate(steps), 1) -> np.maximum.accumulate(steps)": "A corrected p-value is above one. It is still a probability, so cut it there.",
        "result[order] -> result[:]": "The values are sorted. They must stand where the p-values came from, so that each module gets its own.",
        lambda p: stats.false_discovery_control(p): "This is the correction of Benjamini and Hochberg. It bounds the part of false finds among all finds, not the chance of any false find.",
    }, lambda _: [(np.array(row),) for row in ([0.04, 0.01, 0.03, 0.2], [0.9, 0.02, 0.8], [0.02, 0.019, 0.021])]),
    Exercise("pairs_needed", "a function of (delta, s) that returns the smallest number of seeds", pairs, {
        lambda delta, s: np.ceil(((stats.norm.isf(1 / 40) + stats.norm.ppf(4 / 5)) * s / delta) ** 2): "This takes the normal distribution, as if s were known. With few seeds Student's quantile is much larger; see 'How many seeds would be enough?'.",
        ("1 / 40 -> 1 / 20", " + stats.nct.cdf(-q, n - 1, psi) -> "): "This is the one-sided test. A module that does harm would have been noticed as well, so one in forty is on each side.",
        ("1 / 40, n - 1 -> 1 / 40, 2 * n - 2", "(q, n - 1 -> (q, 2 * n - 2", "(-q, n - 1 -> (-q, 2 * n - 2", "sqrt(n) -> sqrt(n / 2)"): "This is the number of runs of each of two independent columns. Here s is that of the differences already, and the degrees of freedom are n - 1.",
        "4 / 5 -> 1 / 2": "This many seeds find it in one of two studies. Asked for are four of five.",
    }, lambda _: [(0.3, 0.3), (0.3, 0.2), (0.2, 0.5), (1.0, 0.3)]),
)
