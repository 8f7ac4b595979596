"""Exercises of the chapter on the formula: from the energy to the gain."""

import numpy as np
from scipy.special import expit

from simam_edu.exercises._exercise import Exercise, rows


def mean_importance(M, var, lam):
    # The squared distances add up to (M - 1) var. So their mean is not var but a little less.
    return 1 / 2 + (M - 1) / M * var / (4 * (var + lam))


def same_gains(lam, alpha, c):
    # The variance is multiplied by alpha**2, and the penalty is a variance. The offset moves the mean alone.
    return lam * alpha**2


def two_levels(M, k):
    # The values do not matter, so take one and zero. Each side's squared score is the ratio of the other
    # side's count to its own, times (M - 1)/M. They are equal where both sides have M/2 neurons.
    squared = (M - 1) / M * np.array([(M - k) / k, k / (M - k)])
    return expit(1 / 2 + squared / 4)


def turning_mean(far, near):
    """The mean in standard deviations at which (m - 2) times one factor is m times the other."""
    return 2 * far / (far - near)


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("mean_importance", "a function of (M, var, lam) that returns the mean importance of the neurons of a channel", mean_importance, {
        "(M - 1) / M * var -> var": "Here the squared scores have the mean one. They would with 1/M in the variance; with 1/(M-1) their sum is M-1, over M neurons. See 'A fixed budget'.",
        "1 / 2 + -> ": "The constant one half of the importance is missing; see 'A parabola in the z-score'.",
        "return -> lam = 0; return": "This is the budget without a penalty. The penalty shrinks what comes from the scores by the variance over variance plus penalty; see 'What the penalty switches off'.",
        "1 / 2 + (M - 1) / M -> M / 2 + (M - 1)": "This is the sum over the channel, M times the mean; see 'A fixed budget'.",
    }, lambda g: [(2, 1.0, 0.0), (16, 9.0, 0.0), (4, 0.5, 0.5), (49, 1e-3, 0.1), *((size, *g.uniform(0.1, 2, 2)) for size in (3, 30, 99))]),
    Exercise("same_gains", "a function of (lam, alpha, c) that returns the penalty with which alpha x + c has the gains of x", same_gains, {
        "lam * alpha**2 -> lam / alpha**2": "This goes the other way: it is the penalty with which x has the gains that a x + c has with lam. See 'What the penalty switches off'.",
        "lam * alpha**2 -> lam * abs(alpha)": "This grows like a standard deviation. The penalty is added to a variance; see 'What the penalty switches off'.",
        "lam * alpha**2 -> lam": "The gains are unchanged by scale without a penalty only; see 'What the penalty switches off'.",
        "lam * alpha**2 -> lam * alpha**2 + c**2": "The offset has found its way in. It moves the mean and leaves the variance as it is; see 'What SimAM does not see'.",
    }, lambda g: [(1e-4, 10.0, 0.0), (0.1, -2.0, 5.0), (4.0, 0.5, -1.0), (0.0, 3.0, 1.0), *rows(g.uniform(0.1, 3, (3, 3)))]),
    Exercise("two_levels", "a function of (M, k) that returns the gain of an object neuron and that of a background neuron, in this order", two_levels, {
        "= (M - 1) / M * -> =": "This is what the variance with 1/M gives, as Eq. (5) of the paper prints it. This chapter takes 1/(M-1), as the authors' code does; see 'A parabola in the z-score'.",
        "[(M - k) / k, k / (M - k)] -> [k / (M - k), (M - k) / k]": "Object and background have changed places: ask which of the two lies farther from the mean, and return the object first.",
        "expit( -> (": "These are the importances. The gain is their sigmoid, Eq. (6) of the paper; see 'What the sigmoid does'.",
        "1 / 2 + squared -> squared": "The constant one half of the importance is missing before the sigmoid; see 'A parabola in the z-score'.",
    }, lambda _: [(16, 2), (16, 8), (49, 40), (64, 1), (4, 3), (150, 50)]),
    Exercise("turning_mean", "the mean over the standard deviation at which both outputs are equal, as a number", turning_mean(*expit([1.5, 0.5])), {
        turning_mean(1.5, 0.5): "Here the values are multiplied by the importance. SimAM multiplies them by the gain, its sigmoid; see 'What the sigmoid does'.",
        turning_mean(*expit([1.0, 0.0])): "The constant one half of the importance is missing in both gains; see 'A parabola in the z-score'.",
        -turning_mean(*expit([1.5, 0.5])): "A negative mean belongs to a neuron above the mean. This one lies below it, at mu minus two.",
        turning_mean(*expit([1.0, 0.5])): "Here the importance grows with the z-score and not with its square; see 'A parabola in the z-score'.",
    }, rtol=1e-3),
)
