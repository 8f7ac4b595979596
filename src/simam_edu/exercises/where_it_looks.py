"""Exercises of the chapter on maps: where does it look?"""

import numpy as np
from scipy.special import expit

from simam_edu.exercises._exercise import Exercise


def border_gain(z, share):
    # The border lies at the mean: it adds nothing to the sum of squares, which more neurons share.
    return expit(1 / 2 + z**2 / (4 * (1 - share)))


def pixel_auc(values, mask):
    # every pair of a pixel of the object and one of the background
    pairs = values[mask][:, None] - values[~mask]
    return np.mean((pairs > 0) + (pairs == 0) / 2)


def maps(g):
    values, mask = g.integers(0, 6, (8, 8)).astype(float), g.random((8, 8)) < 0.3
    return [(values, mask), (values + 3 * mask, mask), (np.ones((8, 8)), mask)]


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("border_gain", "a function of (z, share) that returns the gain of a neuron with score z once a constant border at the mean is that share of a large map", border_gain, {
        "4 * (1 - share) -> 4 * (1 - share) ** 2": "The variance shrinks by the share that is left, once; the score is divided by its root. See 'Constant borders'.",
        "4 * (1 - share) -> 4 * share": "The share that counts is that of the picture, not that of the border; see 'Constant borders'.",
        "/ (4 * (1 - share)) -> * (1 - share) / 4": "Here the border lowers the score. It makes the variance smaller, so the same distance is more standard deviations.",
        "1 / 2 + -> ": "The constant one half of the importance is missing before the sigmoid.",
    }, lambda g: [(2.0, 0.44), (0.0, 0.5), (-1.5, 0.25), (3.0, 0.7), *((float(g.normal()), float(g.uniform(0.1, 0.9))) for _ in range(3))]),
    Exercise("pixel_auc", "a function of (values, mask), a map and where the object is, that returns the area under the curve", pixel_auc, {
        " + (pairs == 0) / 2 -> + 0": "Ties count as losses here. A map that says nothing would then have zero in place of one half; count a tie as half a win.",
        "pairs > 0 -> pairs < 0": "This is how often the background has the larger value. Ask which of the two the map should prefer.",
        "(pairs > 0) -> (pairs >= 0)": "Ties count more than once here. A map that says nothing must have one half.",
    }, maps),
)
