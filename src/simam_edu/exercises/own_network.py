"""Exercises of the chapter on SimAM in a network of one's own."""

import numpy as np
from scipy import integrate, stats
from scipy.special import expit, logit

from simam_edu.exercises._exercise import Exercise, rows


def bar_gain(z, share, xi):
    mu = share * xi
    var = (1 - share) + share * xi**2 - mu**2  # mean square minus squared mean
    return expit(1 / 2 + (z - mu) ** 2 / (4 * var))


def switched_off(z, gain):
    # gain = sigmoid(1/2 + z^2 / (4 (1 + ratio))), solved for the ratio of lambda to the variance
    return z**2 / (4 * (logit(gain) - 1 / 2)) - 1


def doubled(M):
    # Four times the sum of squares, over 4 M - 1 in the place of M - 1.
    return 4 * (M - 1) / (4 * M - 1)


def variance_kept():
    """The variance that SimAM leaves of a normal channel of variance one."""
    return 2 * integrate.quad(lambda z: (z * expit(1 / 2 + z**2 / 4)) ** 2 * stats.norm.pdf(z), 0, np.inf)[0]


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("bar_gain", "a function of (z, share, xi) that returns the gain of a real pixel", bar_gain, {
        "mu = share * xi -> mu = 0": "Here the mean is still that of the real pixels. The bars pull it toward their value, by their share of the distance.",
        "(1 - share) + share * xi**2 - mu**2 -> 1": "Here the variance is still that of the real pixels. The bars take their share of it away, and add their distance to it.",
        "(1 - share) + -> 1 +": "Here the real pixels count whole in the mean square. They are only the share that the bars leave.",
        " - mu**2 -> ": "This is the mean square. The variance is that less the squared mean.",
        "return expit( -> return (": "This is the importance. The gain is its sigmoid.",
    }, lambda g: [(2.0, 0.5, 0.0), (1.0, 0.25, 2.0), (-1.5, 0.8, -1.3), (0.3, 0.0, 1.0), *rows(g.uniform(0.1, 0.8, (3, 3)))]),
    Exercise("factor", "the factor, as a number", variance_kept() ** -0.5, {
        variance_kept() ** -1: "This is one over the variance that is left. A factor on the output counts squared in its variance.",
        variance_kept(): "This is the variance that is left, and no factor.",
        variance_kept() ** 0.5: "This is what SimAM does to the standard deviation. Asked for is what undoes it.",
        2 / (1 + expit(1 / 2)): "This takes the middle of the range of gains. Few neurons are there: weigh each gain by the square of its z and by the normal density.",
    }, rtol=1e-3),
    Exercise("switched_off", "a function of (z, gain) that returns lambda in units of the channel's variance", switched_off, {
        "- 1 / 2) -> )": "The constant one half of the importance is missing: the gain is the sigmoid of one half plus the squared z.",
        ") - 1\n -> )\n": "This is one plus the ratio: the variance itself stands beside lambda in the denominator.",
        "z**2 -> z": "The importance grows with the square of z.",
        "logit(gain) -> gain": "The gain is the sigmoid of the importance; undo it by the logit first.",
    }, lambda _: [(2.0, 0.65), (2.0, 0.8), (3.0, 0.7), (1.0, 0.63), (4.0, 0.9)]),
    Exercise("doubled", "a function of M that returns the ratio of the variances, after and before", doubled, {
        "4 * (M - 1) / -> (M - 1) /": "The sum of squares grows, too: each neuron is there four times.",
        "(4 * M - 1) -> (4 * M)": "The divisor is one less than the number of neurons, of the new map as well.",
        "4 * (M - 1) / (4 * M - 1) -> 2 * (M - 1) / (2 * M - 1)": "This doubles one axis. Both are doubled, so there are four neurons in the place of one.",
        "4 * (M - 1) / (4 * M - 1) -> (4 * M - 1) / (4 * (M - 1))": "This is the ratio before over after.",
    }, lambda _: [(4,), (16,), (49,), (64,), (1024,)]),
)
