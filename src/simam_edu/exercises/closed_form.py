"""Exercises of the chapter on the closed form."""

from fractions import Fraction

import numpy as np  # noqa: F401 (a changed solution appends with it)

from simam_edu.exercises._exercise import Exercise, rows


def on_paper(divisor, distance=1):
    var = Fraction(8, divisor)  # the squared distances of 0, 2, 4 from their mean sum to 8
    return 4 * var / (distance**2 + 2 * var)


def best_line(t, mu, var, lam):
    w_t = 2 * (t - mu) / ((t - mu) ** 2 + 2 * var + 2 * lam)
    return w_t, -(t + mu) * w_t / 2  # no minus sign in front of the weight


def least_energy(t, others, lam):
    spread = others.var() + lam  # the plain mean of squares: M - 1 values, divided by M - 1
    return 4 * spread / ((t - others.mean()) ** 2 + 2 * spread)


def decision_point(t, mu_t):
    return (t + mu_t) / 2


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("least_energy_on_paper", "the least energy of t = 1 among the others 0, 2, 4 without a penalty, as a number or fraction", on_paper(3), {
        on_paper(2): "This is what dividing by one less than the number of the others gives. The variance in the energy is the plain mean of squares of the others; see 'Sums become mean and variance'.",
        on_paper(4): "Here the sum of squares is divided by the number of all neurons. The target is not among the others; see 'Sums become mean and variance'.",
        1 / on_paper(3): "This is one over the least energy, the importance; see the end of 'The least energy'.",
        on_paper(3, distance=3): "The distance of the target from the mean has become a sum. It is t minus the mean; see 'The least energy'.",
    }, rtol=1e-3),
    Exercise("best_line", "a function of (t, mu, var, lam) that returns the best weight and the best bias, in this order", best_line, {
        "w_t = 2 -> w_t = -2": "This is Eq. (3) as the paper prints it, with Eq. (4). The minus sign is a misprint: this line pulls the target towards minus one; see 'The sign in the paper'.",
        "return w_t -> return -w_t": "The bias is right, the weight has the sign that the paper prints in Eq. (3). With it the two do not even belong to one line through the midpoint; see 'The sign in the paper'.",
        "2 * var + 2 * lam -> var + lam": "In the denominator the variance and the penalty must be counted twice, because the equation for the weight carries a factor of one half on the squared distance; see 'Two equations, one solution'.",
        "-(t + mu) * w_t / 2 -> -mu * w_t": "This line is zero at the mean of the others, where it should be near minus one. Eq. (4) of the paper has half the sum of target and mean; see 'Halfway between target and mean'.",
    }, lambda g: [(2.0, 2.0, 0.5, 0.0), (-1.0, 1.0, 0.0, 0.25), *rows(g.normal(0, 3, (6, 2)), g.uniform(0.1, 2, (6, 2)))]),
    Exercise("least_energy", "a function of (t, others, lam) that returns the least energy of the target, from the values of the others", least_energy, {
        "var() -> var(ddof=1)": "This is what dividing by one less than the number of the others gives. The energy contains a plain mean of squares, so the sum is divided by the number of the others; see 'Sums become mean and variance'.",
        "spread = -> others = np.append(others, t); spread =": "Here the target takes part in the mean and the variance, as in Eq. (5) of the paper. The derivation leaves it out; see the chapter 'One mean, one variance' for what that changes.",
        "4 * spread / ( -> 1 / (4 * spread) * (": "This is one over the least energy, the importance; see the end of 'The least energy'.",
        "var() -> std()": "The standard deviation stands where the variance should: its square is missing. See 'The least energy'.",
    }, lambda g: [(mean + 3.0, g.normal(mean, scale, size), lam) for mean, scale, size, lam in ((0, 1, 5, 0.0), (10, 2, 8, 1e-4), (-4, 0.5, 3, 0.5))]),
    Exercise("decision_point", "a function of (t, mu_t), or an expression of sympy in symbols of these names, for the value at which the best line is zero", decision_point, {
        "return ( -> return -(": "This is the bias over the weight. The line is zero where the weight times the value is *minus* the bias.",
        "t + mu_t -> t - mu_t": "This is half the distance of target and mean, not the point halfway between them; see 'Halfway between target and mean'.",
        "(t + mu_t) / 2 -> mu_t": "This is the mean of the others. There the best line is below zero if the target counts for anything; see 'Halfway between target and mean'.",
    }, lambda g: [(4.0, 1.0), (-2.0, 5.0), *rows(g.normal(0, 3, (4, 2)))]),
)
