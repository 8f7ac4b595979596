"""Exercises of the appendix on Fisher's criterion, ridge regression and a bound."""

import numpy as np

from simam_edu.exercises._exercise import Exercise, rows


def fisher(t, others, lam):
    # The target is a class of its own. It adds nothing to the mean or the spread of the others.
    return (t - others.mean()) ** 2 / (others.var() + lam)


def wrong_share(e):
    return 2 * e / (2 + e)


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("fisher", "a function of (t, others, lam) that returns Fisher's criterion of the target", fisher, {
        "var() -> var(ddof=1)": "This divides the squares by one less than the number of the others. The energy contains their plain mean, and so does the criterion that belongs to it.",
        "return -> others = np.append(others, t); return": "Here the target takes part in the mean and the variance. It is a class of its own; see 'Fisher's discriminant with one sample in a class'.",
        "others.var() -> others.var() + (t - others.mean()) ** 2 / 2": "This is the spread of both classes about their common center, the S_xx of 'Ridge regression, by another name'. Fisher's criterion has the spread inside the classes.",
        "others.var() -> others.var() / 2": "This takes the mean of two variances, zero for the target. The spread inside the classes is their sum here; see 'Fisher's discriminant with one sample in a class'.",
        ("return ( -> return 4 / (2 + (", "+ lam) -> + lam))"): "This is the least energy. It is a function of the criterion, not the criterion itself.",
    }, lambda g: [(1.0, np.array([0.0, 1.0, 2.0]), 0.5), *((g.normal(2, 3), g.normal(g.normal(0, 3), g.uniform(0.5, 2), size), lam) for size, lam in ((4, 0.0), (9, 1e-4), (6, 0.5), (3, 2.0)))]),
    Exercise("wrong_share", "a function of e that returns the largest share of the others at the midpoint or beyond it", wrong_share, {
        "2 * e / (2 + e) -> e": "This is the bound that holds for every line; see 'What the energy says about separation'. It is right and not sharp: at the best line, no channel attains it.",
        "2 + e -> 2 - e": "This is Chebyshev's inequality, which counts both sides of the mean, and it can exceed one. Only one side is asked for, and those on the other side cost variance too.",
        "2 * e / (2 + e) -> e / (2 - e)": "This is half of what Chebyshev's inequality gives. One side is not half of both: those on the other side may lie close to the mean, all in one place.",
        "2 * e / (2 + e) -> e / (4 - e)": "This takes the target in the place of the midpoint. The midpoint is only half as far from the mean.",
    }, lambda g: [(0.01,), (1.0,), (1.9,), *rows(g.uniform(0.05, 1.8, (4, 1)))]),
)
