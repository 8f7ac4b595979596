"""Exercises of the chapter "Errata and limits"."""

import numpy as np
from scipy import stats

from simam_edu.exercises._exercise import Exercise


def conv_norm(k, c_in, c_out):
    return k * k * c_in * c_out + 2 * c_out


def parameters(n, classes):
    stem, head = conv_norm(3, 3, 16), 64 * classes + classes
    # The first convolution of each stage, and all others.
    widths = (16, 16), (16, 32), (32, 64)
    first = sum(conv_norm(3, *pair) for pair in widths)
    blocks = sum((2 * n - 1) * conv_norm(3, c, c) for c in (16, 32, 64))
    shortcuts = conv_norm(1, 16, 32) + conv_norm(1, 32, 64)
    return stem + blocks + first + shortcuts + head


def p_value(m1, s1, m2, s2, n):
    t = (m1 - m2) / np.sqrt((s1**2 + s2**2) / n)
    freedom = (n - 1) * (s1**2 + s2**2) ** 2 / (s1**4 + s2**4)
    return 2 * stats.t.sf(abs(t), freedom)


def seeds(delta, s):
    # The difference of two means of n runs has the variance 2 s**2 / n.
    quantiles = stats.norm.ppf(39 / 40) + stats.norm.ppf(4 / 5)
    return np.ceil(2 * (quantiles * s / delta) ** 2)


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("basic_parameters", "a function of (n, classes) that returns the number of parameters", parameters, {
        "+ shortcuts -> ": "The two shortcuts that change the width are missing. This is the network with padded shortcuts; here they are 1x1 convolutions with norms.",
        "return stem -> return stem - 2 * (16 + 2 * n * (16 + 32 + 64) + 32 + 64)": "The batch norms are missing: two numbers a channel after every convolution, the shortcuts' among them.",
        "64 * classes + classes -> 64 * classes": "The biases of the last layer are missing. It has no norm behind it, so it has a bias, one a class.",
        "return stem + -> return": "The first convolution, from three to sixteen channels, is missing with its norm.",
    }, lambda _: [(3, 10), (9, 100), (18, 37), (1, 2)]),
    Exercise("welch_p_value", "a function of (m1, s1, m2, s2, n) that returns the two-sided p-value", p_value, {
        "t.sf(abs(t), freedom) -> norm.sf(abs(t))": "This takes the normal distribution, as if the deviations were known. With a few runs they are not, and Student's distribution has heavier tails.",
        "return 2 * -> return": "This is one tail only. A difference in the other direction would have been noticed as well, so both count.",
        "(n - 1) * (s1**2 + s2**2) ** 2 / (s1**4 + s2**4) -> 2 * (n - 1)": "The degrees of freedom are 2(n-1) here, which is Student's own test for equal deviations. Welch's are fewer.",
        "/ n) -> )": "The deviation of a single run is used for that of a mean. A mean of n runs has the variance over n.",
    }, lambda _: [(92.3, 0.2, 92.7, 0.1, 5), (70.0, 0.5, 69.8, 0.1, 3), (50.75, 0.25, 50.25, 0.75, 8)]),
    Exercise("seeds_needed", "a function of (delta, s) that returns the number of runs of each module, rounded up", seeds, {
        "ceil(2 * -> ceil(": "Only one of the two means varies here. Both modules have runs, so the difference has twice the variance of a mean.",
        "return np.ceil -> return 2 * np.ceil": "This is the number of runs of both modules together; asked for are those of each.",
        " + stats.norm.ppf(4 / 5) -> ": "The second quantile is missing. Without it the difference is found in one half of all studies only.",
        "39 / 40 -> 19 / 20": "This is the one-sided test. A two-sided one has one in forty on each side.",
    }, lambda g: [(0.3, 0.2), (0.1, 0.3), (g.uniform(0.05, 0.2), 0.25)]),
)
