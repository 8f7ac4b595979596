"""Exercises of the chapter with the wrong SimAMs."""

import math

import numpy as np
from scipy.special import expit, logit

from simam_edu import energy
from simam_edu.exercises._exercise import Exercise
from simam_edu.wrong_simams import GALLERY, gains

MYSTERY = "lambda twice"


def mystery(x, lam):
    """Return what one of the exhibits makes of a batch; which one is the question."""
    return GALLERY[MYSTERY](x, lam)


def repaired_gain(gain, M):
    # The copy's variance is (M - 1)/M of the right one, and its squared score M/(M - 1) of the right one.
    from_score = logit(gain) - 1 / 2
    return expit(1 / 2 + (M - 1) / M * from_score)


def farthest_first(x, gains):
    d = np.abs(x - x.mean(axis=(-2, -1), keepdims=True)).reshape(-1, x.shape[-2] * x.shape[-1])
    found = gains.reshape(d.shape)
    highest = found.max(axis=1, keepdims=True)
    alone = (found == highest).sum(axis=1) == 1  # equal gains must not pass
    return bool((alone & (found.argmax(axis=1) == d.argmax(axis=1))).all())


def judged_gains(generator):
    x = generator.normal(size=(2, 2, 4, 4))
    low = x.copy()  # with a low outlier
    low[..., 1, 2] = -9.0
    x[0, 0, 2, 2] = 9.0  # the farthest of the batch stands where the half right gains are right
    found = [
        energy.gain(x),
        *(gains(GALLERY[name], x, 1e-4) for name in ("energy as gain", "constant", "no half")),
    ]
    half_right = np.where(np.arange(4).reshape(2, 2, 1, 1) == 3, found[1], found[0])
    return [(low, energy.gain(low)), *((x, of_x) for of_x in [half_right, *found])]


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("which_exhibit", "the name of an exhibit, as text", MYSTERY, {
        "clamped": "The clamped copy passes the same checks, but its gains are never below the right ones. On which side do those of the mystery lie, where the penalty is as large as the variance? See 'What each computes instead'.",
        "constant": "The constant copy passes the same checks, but it gives one channel one gain. Look at the gains of a single channel.",
        "naive variance": "The naive variance is caught by the check 'high' and no other. Hold the mystery against all checks with caught; see 'Which check catches which'.",
        "population": "Dividing by M changes the budget, so the check 'budget' would catch it, also without a penalty. Hold the mystery against all checks with caught; see 'Which check catches which'.",
    }),
    Exercise("repaired_gain", "a function of (gain, M) that returns the right gain for that of the copy that divides by M", repaired_gain, {
        "(M - 1) / M * -> M / (M - 1) *": "This goes the other way. The copy divides by a variance that is too small, so its gains are too large; see 'What each computes instead'.",
        ("logit(gain) - 1 / 2 -> logit(gain)", "expit(1 / 2 + -> expit("): "Here the whole importance is scaled, with the constant one half in it. Only the part with the squared score depends on the variance.",
        "expit(1 / 2 + (M - 1) / M * from_score) -> (M - 1) / M * gain": "Here the gain itself is scaled. The variance stands inside the sigmoid, so the gain must be turned into an importance first.",
    }, lambda g: [(float(expit(0.5)), 9), (0.7, 2), *((gains(GALLERY["population"], g.normal(size=(1, 1, side, side)), 0.0), side**2) for side in (2, 4, 8))]),
    Exercise("farthest_first", "a function of (x, gains) that returns whether the farthest neuron of every channel has a larger gain than all the others", farthest_first, {
        "np.abs(x - x.mean(axis=(-2, -1), keepdims=True)) -> x": "This looks at the neuron with the largest value. The farthest neuron may lie below the mean: SimAM is blind to the side.",
        "(alone & (found.argmax(axis=1) == d.argmax(axis=1))) -> (np.take_along_axis(found, d.argmax(axis=1)[:, None], axis=1) >= highest - 1e-12)": "This lets equal gains pass, and with them the copy that gives a whole channel one gain. The farthest neuron must be ahead of all the others.",
        "reshape(-1, x.shape[-2] * x.shape[-1]) -> reshape(1, -1)": "This looks at one neuron, the farthest of the whole batch. A copy that is right for one channel and wrong for another passes.",
    }, judged_gains),
    Exercise("telling_penalty", "the penalty over the variance at which the two importances differ most, as a number", 1 / math.sqrt(2), {
        1.0: "Where the penalty equals the variance, the right importance has lost half of what comes from the score. The difference of the two is a little past its highest point there.",
        math.sqrt(2): "This is the variance over the penalty. Asked for is the penalty over the variance.",
        0.5: "This is the square of the right answer, or the place where the copy's penalty equals the variance. The derivative of the difference does not vanish there.",
        0.0: "Without a penalty both are the same: twice nothing is nothing. This is where the difference is smallest.",
    }, rtol=1e-3),
)
