"""Exercises of the chapter on the closed form."""

from fractions import Fraction
from typing import Any

import numpy as np

from simam_edu.energy import minimal_energy, optimal_weight_bias
from simam_edu.exercises.checking import Exercise, Mistake

# The one channel of the exercise that is solved with pen and paper.
PAPER_TARGET, PAPER_OTHERS = 4, (0, 1, 2)


def fits(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Targets on both sides of the mean, one on it, and penalties of all sizes."""
    cases = [(2.0, 2.0, 0.5, 0.0), (-1.0, 1.0, 0.0, 0.25), (0.0, 3.0, 2.0, 1.5)]
    for _ in range(6):
        t, mu, var, lam = *generator.normal(0, 3, 2), *generator.uniform(0.1, 2, 2)
        cases.append((float(t), float(mu), float(var), float(lam)))
    return cases


def maps(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Targets with their others, away from zero as well."""
    shapes = [(0.0, 1.0, 5), (10.0, 2.0, 8), (-4.0, 0.5, 3)]
    return [
        (float(generator.normal(mean, 3 * scale)), generator.normal(mean, scale, size), lam)
        for (mean, scale, size), lam in zip(shapes, (0.0, 1e-4, 0.5), strict=True)
    ]


def best_line(t: float, mu: float, var: float, lam: float) -> tuple[Any, Any]:
    """The weight and bias of the closed form."""
    return optimal_weight_bias(t, mu, var, lam=lam)


def with_the_printed_sign(t: float, mu: float, var: float, lam: float) -> tuple[Any, Any]:
    """Eqs. (3) and (4) as the paper prints them."""
    w, b = best_line(t, mu, var, lam)
    return -w, -b


def with_the_printed_weight_only(t: float, mu: float, var: float, lam: float) -> tuple[Any, Any]:
    """The printed weight with the right bias."""
    w, b = best_line(t, mu, var, lam)
    return -w, b


def with_one_spread(t: float, mu: float, var: float, lam: float) -> tuple[Any, Any]:
    """The factor two in front of the spread and the penalty forgotten."""
    w = 2 * (t - mu) / ((t - mu) ** 2 + var + lam)
    return w, -(t + mu) * w / 2


def through_zero_at_the_mean(t: float, mu: float, var: float, lam: float) -> tuple[Any, Any]:
    """The bias that puts the zero of the line at the mean."""
    w, _ = best_line(t, mu, var, lam)
    return w, -mu * w


def least_energy(t: float, others: np.ndarray, lam: float) -> Any:
    """The least energy of a target, from the others themselves."""
    return minimal_energy(t, others.mean(), others.var(), lam=lam)


def with_unbiased_variance(t: float, others: np.ndarray, lam: float) -> Any:
    """The variance of the others divided by one less than their number."""
    return minimal_energy(t, others.mean(), others.var(ddof=1), lam=lam)


def with_all_neurons(t: float, others: np.ndarray, lam: float) -> Any:
    """Mean and variance with the target among them, as in Eq. (5)."""
    channel = np.append(others, t)
    return minimal_energy(t, channel.mean(), channel.var(), lam=lam)


def inverted(t: float, others: np.ndarray, lam: float) -> Any:
    """The importance in the place of the energy."""
    return 1 / least_energy(t, others, lam)


def with_standard_deviation(t: float, others: np.ndarray, lam: float) -> Any:
    """The standard deviation in the place of the variance."""
    return minimal_energy(t, others.mean(), others.std(), lam=lam)


def energy_on_paper(*, divisor: int, sign: int = 1, inverse: bool = False) -> Fraction:
    """The least energy of the channel on paper without a penalty, as an exact fraction, or a wrong one."""
    count = len(PAPER_OTHERS)
    mean = Fraction(sum(PAPER_OTHERS), count)
    var = Fraction(sum((value - mean) ** 2 for value in PAPER_OTHERS)) / divisor
    energy = Fraction(4 * var / ((PAPER_TARGET - sign * mean) ** 2 + 2 * var))
    return 1 / energy if inverse else energy


def decision_point(t: float, mu_t: float) -> float:
    """Halfway between the target and the mean of the others."""
    return (t + mu_t) / 2


def pairs(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Targets and means."""
    return [(4.0, 1.0), (-2.0, 5.0), *((float(t), float(mu)) for t, mu in generator.normal(0, 3, (4, 2)))]


EXERCISES = (
    Exercise(
        name="least_energy_on_paper",
        asks="the least energy of t = 4 among the others 0, 1, 2 without a penalty, as a number or fraction",
        truth=energy_on_paper(divisor=len(PAPER_OTHERS)),
        mistakes=(
            Mistake(
                answer=energy_on_paper(divisor=len(PAPER_OTHERS) - 1),
                hint="This is what dividing by one less than the number of the others gives. The variance in the energy is the plain mean of "
                "squares of the others; see 'Sums become mean and variance'.",
            ),
            Mistake(
                answer=energy_on_paper(divisor=len(PAPER_OTHERS) + 1),
                hint="Here the sum of squares is divided by the number of all neurons. The target is not among the others; see 'Sums become mean and variance'.",
            ),
            Mistake(
                answer=energy_on_paper(divisor=len(PAPER_OTHERS), inverse=True),
                hint="This is one over the least energy, the importance; see the end of 'The least energy'.",
            ),
            Mistake(
                answer=energy_on_paper(divisor=len(PAPER_OTHERS), sign=-1),
                hint="The distance of the target from the mean has become a sum. It is t minus the mean; see 'The least energy'.",
            ),
        ),
    ),
    Exercise(
        name="best_line",
        asks="a function of (t, mu, var, lam) that returns the best weight and the best bias, in this order",
        truth=best_line,
        inputs=fits,
        mistakes=(
            Mistake(
                answer=with_the_printed_sign,
                hint="This is Eq. (3) as the paper prints it, with Eq. (4). The minus sign is a misprint: this line pulls the target towards minus one; "
                "see 'The sign in the paper'.",
            ),
            Mistake(
                answer=with_the_printed_weight_only,
                hint="The bias is right, the weight has the sign that the paper prints in Eq. (3). With it the two do not even belong to one line through the midpoint; "
                "see 'The sign in the paper'.",
            ),
            Mistake(
                answer=with_one_spread,
                hint="In the denominator the variance and the penalty must be counted twice, because the equation for the weight carries a factor of one half on the squared "
                "distance; see 'Two equations, one solution'.",
            ),
            Mistake(
                answer=through_zero_at_the_mean,
                hint="This line is zero at the mean of the others, where it should be near minus one. Eq. (4) of the paper has half the sum of target and mean; see 'Halfway between target and mean'.",
            ),
        ),
    ),
    Exercise(
        name="least_energy",
        asks="a function of (t, others, lam) that returns the least energy of the target, from the values of the others",
        truth=least_energy,
        inputs=maps,
        mistakes=(
            Mistake(
                answer=with_unbiased_variance,
                hint="This is what dividing by one less than the number of the others gives. The energy contains a plain mean of squares, so the sum is divided by "
                "the number of the others; see 'Sums become mean and variance'.",
            ),
            Mistake(
                answer=with_all_neurons,
                hint="Here the target takes part in the mean and the variance, as in Eq. (5) of the paper. The derivation leaves it out; see the chapter 'One mean, one variance' for what that changes.",
            ),
            Mistake(
                answer=inverted,
                hint="This is one over the least energy, the importance; see the end of 'The least energy'.",
            ),
            Mistake(
                answer=with_standard_deviation,
                hint="The standard deviation stands where the variance should: its square is missing. See 'The least energy'.",
            ),
        ),
    ),
    Exercise(
        name="decision_point",
        asks="a function of (t, mu_t), or an expression of sympy in symbols of these names, for the value at which the best line is zero",
        truth=decision_point,
        inputs=pairs,
        mistakes=(
            Mistake(
                answer=lambda t, mu_t: -(t + mu_t) / 2,
                hint="This is the bias over the weight. The line is zero where the weight times the value is *minus* the bias.",
            ),
            Mistake(
                answer=lambda t, mu_t: (t - mu_t) / 2,
                hint="This is half the distance of target and mean, not the point halfway between them; see 'Halfway between target and mean'.",
            ),
            Mistake(
                answer=lambda t, mu_t: mu_t,  # noqa: ARG005
                hint="This is the mean of the others. There the best line is below zero if the target counts for anything; see 'Halfway between target and mean'.",
            ),
        ),
    ),
)
