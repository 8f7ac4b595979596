"""Exercises of the appendix on the outlier test."""

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from simam_edu.exercises._exercise import Exercise


def p_value(gain, M):
    z2 = 4 * (logit(gain) - 1 / 2)
    r2_t = M * (M - 2) * z2 / ((M - 1) ** 2 - M * z2)  # the score from the residual, solved for the residual
    return 2 * stats.t.sf(np.sqrt(r2_t), M - 2)


def grubbs_gain(M, level):
    t = stats.t.isf(level / (2 * M), M - 2)  # two tails, and M neurons to choose the largest from
    z2 = (M - 1) ** 2 / M * t**2 / (M - 2 + t**2)
    return expit(1 / 2 + z2 / 4)


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("p_value", "a function of (gain, M) that returns the two-sided p-value of the neuron", p_value, {
        "return 2 * -> return": "This is one tail only. A low outlier has the same gain as a high one, so both tails count; see 'What SimAM does not see' in the chapter on the formula.",
        "t.sf(np.sqrt(r2_t), M - 2) -> norm.sf(np.sqrt(r2_t))": "This holds the residual against a normal distribution, as if the variance were known. It is estimated from the others; see 'The t of a two-sample test'.",
        "np.sqrt(r2_t) -> np.sqrt(z2)": "This holds the score against Student's distribution. The target inflates the variance in its own score; turn it into the external residual first, see 'The t of a two-sample test'.",
        ", M - 2) -> , M - 1)": "One degree of freedom too many. The noise is estimated from M-1 neurons about their own mean; see 'The t of a two-sample test'.",
    }, lambda _: [(0.63, 16), (0.7, 4), (0.8, 16), (0.95, 49), (0.9, 64), (0.83, 1024)]),
    Exercise("grubbs_gain", "a function of (M, level) that returns the gain above which Grubbs' test rejects the largest neuron", grubbs_gain, {
        "(2 * M) -> 2": "This tests one neuron that was chosen before it was seen. The largest of M is larger than that by chance alone: divide the level by M; see 'The largest of a channel'.",
        "(2 * M) -> M": "This is one tail only. The largest |z| may lie on either side, so each tail gets half of the level.",
        "(M - 1) ** 2 / M * t**2 / (M - 2 + t**2) -> t**2": "Here the residual stands for the score. The target inflates the variance in its own score; see 'The t of a two-sample test'.",
        "expit(1 / 2 + z2 / 4) -> np.sqrt(z2)": "This is the critical |z|. Asked for is the gain that belongs to it.",
    }, lambda _: [(4, 0.05), (16, 0.05), (16, 0.01), (64, 0.05), (64, 0.1)]),
    Exercise("two_outliers", "the smallest number of neurons, as a number", 17, {
        16: "Close. At sixteen the two score just below the critical value at 5 %.",
        15: "Here the level is spent on one tail. The largest |z| may lie on either side, so each tail gets half of it.",
        29: "This is where three equal outliers are found. Asked for are two.",
        10: "This compares with the critical value for a neuron that was chosen before it was seen. Divide the level by the number of neurons; see 'The largest of a channel'.",
    }),
)
