"""Exercises of the chapter on the formula: from the energy to the gain."""

from typing import Any

import numpy as np
from scipy import special

from simam_edu import energy
from simam_edu.exercises.checking import Exercise, Mistake


def budgets(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Sizes, variances and penalties; two channels without a penalty."""
    cases: list[tuple[Any, ...]] = [(2, 1.0, 0.0), (16, 9.0, 0.0), (4, 0.5, 0.5), (49, 1e-3, 0.1)]
    for _ in range(4):
        cases.append((int(generator.integers(3, 100)), *map(float, generator.uniform(0.1, 2, 2))))
    return cases


def mean_importance(M: int, var: float, lam: float) -> float:
    """The mean importance of the neurons of a channel."""
    return 0.5 + (M - 1) / (4 * M) * var / (var + lam)


def with_mean_square_one(M: int, var: float, lam: float) -> float:  # noqa: ARG001
    """The mean of the squared scores taken for one, which holds with 1/M in the variance."""
    return 0.5 + var / (var + lam) / 4


def moved_channels(generator: np.random.Generator) -> list[tuple[float, float, float]]:
    """Penalties, factors of either sign, on both sides of one, and offsets."""
    fixed = [(1e-4, 10.0, 0.0), (0.1, -2.0, 5.0), (4.0, 0.5, -1.0), (0.0, 3.0, 1.0)]
    return [*fixed, *((float(lam), float(a), float(c)) for lam, a, c in generator.uniform(0.1, 3, (3, 3)))]


def levels(generator: np.random.Generator) -> list[tuple[int, int]]:
    """Objects from one neuron to all but one."""
    sizes = [int(size) for size in generator.integers(5, 200, 3)]
    return [(16, 2), (16, 8), (49, 40), (64, 1), (4, 3), *((size, size // 3) for size in sizes)]


def scores_of_levels(M: int, k: int, *, ddof: int = 1) -> tuple[float, float]:
    """The squared scores of k ones and M - k zeros."""
    share = k / M
    var = M * share * (1 - share) / (M - ddof)
    return (1 - share) ** 2 / var, share**2 / var


def two_levels(M: int, k: int) -> np.ndarray:
    """The gains of object and background, by the oracle."""
    x = np.zeros((1, M))
    x[0, :k] = 1.0
    return energy.gain(x, lam=0.0)[0, [0, -1]]


def outliers(generator: np.random.Generator) -> list[tuple[float, int]]:
    """Gains between the floor and the cap of small and large maps, with one just above the floor."""
    fixed = [(0.63, 16), (0.7, 4), (0.8, 16), (0.95, 49), (0.9, 64)]
    return [*fixed, *((float(gain), 1024) for gain in generator.uniform(0.65, 0.95, 3))]


def squared_score(gain: float) -> Any:
    """The squared score behind a gain without a penalty."""
    return 4 * (special.logit(gain) - 0.5)


def squared_residual(gain: float, M: int) -> Any:
    """The squared externally studentized residual behind the gain of the shared statistics."""
    squared = squared_score(gain)
    return squared * M * (M - 2) / ((M - 1) ** 2 - M * squared)


def p_value(gain: float, M: int) -> Any:
    """The two-sided p-value of a neuron with this gain."""
    return 2 * special.stdtr(M - 2, -np.sqrt(squared_residual(gain, M)))


def p_value_one_sided(gain: float, M: int) -> Any:
    """Only one of the two tails."""
    return p_value(gain, M) / 2


def p_value_normal(gain: float, M: int) -> Any:
    """The residual held against a normal distribution."""
    return 2 * special.ndtr(-np.sqrt(squared_residual(gain, M)))


def p_value_of_score(gain: float, M: int) -> Any:
    """The score in the place of the residual."""
    return 2 * special.stdtr(M - 2, -np.sqrt(squared_score(gain)))


def p_value_one_more(gain: float, M: int) -> Any:
    """One degree of freedom too many."""
    return 2 * special.stdtr(M - 1, -np.sqrt(squared_residual(gain, M)))


def turning_mean(low: float, middle: float) -> float:
    """The mean in standard deviations at which (m - 2) times one factor is m times the other."""
    return 2 * low / (low - middle)


EXERCISES = (
    Exercise(
        name="mean_importance",
        asks="a function of (M, var, lam) that returns the mean importance of the neurons of a channel",
        truth=mean_importance,
        inputs=budgets,
        mistakes=(
            Mistake(
                answer=with_mean_square_one,
                hint="Here the squared scores have the mean one. They would with 1/M in the variance; "
                "with 1/(M-1) their sum is M-1, over M neurons. See 'A fixed budget'.",
            ),
            Mistake(
                answer=lambda M, var, lam: mean_importance(M, var, lam) - 0.5,
                hint="The constant one half of the importance is missing; see 'A parabola in the score'.",
            ),
            Mistake(
                answer=lambda M, var, lam: mean_importance(M, 1.0, 0.0),  # noqa: ARG005
                hint="This is the budget without a penalty. The penalty shrinks what comes from the scores "
                "by the variance over variance plus penalty; see 'What the penalty switches off'.",
            ),
            Mistake(
                answer=lambda M, var, lam: M * mean_importance(M, var, lam),
                hint="This is the sum over the channel, M times the mean; see 'A fixed budget'.",
            ),
        ),
    ),
    Exercise(
        name="same_gains",
        asks="a function of (lam, alpha, c) that returns the penalty with which alpha x + c has the gains of x",
        truth=lambda lam, a, c: lam * a**2,  # noqa: ARG005
        inputs=moved_channels,
        mistakes=(
            Mistake(
                answer=lambda lam, a, c: lam / a**2,  # noqa: ARG005
                hint="This goes the other way: it is the penalty with which x has the gains that a x + c "
                "has with lam. See 'What the penalty switches off'.",
            ),
            Mistake(
                answer=lambda lam, a, c: lam * abs(a),  # noqa: ARG005
                hint="This grows like a standard deviation. The penalty is added to a variance; "
                "see 'What the penalty switches off'.",
            ),
            Mistake(
                answer=lambda lam, a, c: lam,  # noqa: ARG005
                hint="The gains are unchanged by scale without a penalty only; "
                "see 'What the penalty switches off'.",
            ),
            Mistake(
                answer=lambda lam, a, c: lam * a**2 + c**2,
                hint="The offset has found its way in. It moves the mean and leaves the variance as it is; "
                "see 'What SimAM does not see'.",
            ),
        ),
    ),
    Exercise(
        name="two_levels",
        asks="a function of (M, k) that returns the gain of an object neuron and that of a background neuron, "
        "in this order",
        truth=two_levels,
        inputs=levels,
        mistakes=(
            Mistake(
                answer=lambda M, k: special.expit(0.5 + np.array(scores_of_levels(M, k, ddof=0)) / 4),
                hint="This is what the variance with 1/M gives, as Eq. (5) of the paper prints it. "
                "This chapter takes 1/(M-1), as the authors' code does; see 'A parabola in the score'.",
            ),
            Mistake(
                answer=lambda M, k: two_levels(M, k)[::-1],
                hint="Object and background have changed places: ask which of the two lies farther "
                "from the mean, and return the object first.",
            ),
            Mistake(
                answer=lambda M, k: 0.5 + np.array(scores_of_levels(M, k)) / 4,
                hint="These are the importances. The gain is their sigmoid, Eq. (6) of the paper; "
                "see 'What the sigmoid does'.",
            ),
            Mistake(
                answer=lambda M, k: special.expit(np.array(scores_of_levels(M, k)) / 4),
                hint="The constant one half of the importance is missing before the sigmoid; "
                "see 'A parabola in the score'.",
            ),
        ),
    ),
    Exercise(
        name="turning_mean",
        asks="the mean over the standard deviation at which both outputs are equal, as a number",
        truth=turning_mean(*special.expit([1.5, 0.5])),
        rtol=1e-3,
        mistakes=(
            Mistake(
                answer=turning_mean(1.5, 0.5),
                hint="Here the values are multiplied by the importance. SimAM multiplies them by the gain, "
                "its sigmoid; see 'What the sigmoid does'.",
            ),
            Mistake(
                answer=turning_mean(*special.expit([1.0, 0.0])),
                hint="The constant one half of the importance is missing in both gains; "
                "see 'A parabola in the score'.",
            ),
            Mistake(
                answer=-turning_mean(*special.expit([1.5, 0.5])),
                hint="A negative mean belongs to a neuron above the mean. This one lies below it, at mu minus two.",
            ),
            Mistake(
                answer=turning_mean(*special.expit([1.0, 0.5])),
                hint="Here the importance grows with the score and not with its square; "
                "see 'A parabola in the score'.",
            ),
        ),
    ),
    Exercise(
        name="p_value",
        asks="a function of (gain, M) that returns the two-sided p-value of the neuron",
        truth=p_value,
        inputs=outliers,
        mistakes=(
            Mistake(
                answer=p_value_one_sided,
                hint="This is one tail only. A low outlier has the same gain as a high one, "
                "so both tails count; see 'What SimAM does not see'.",
            ),
            Mistake(
                answer=p_value_normal,
                hint="This holds the residual against a normal distribution, as if the variance were known. "
                "It is estimated from the others; see 'The outlier test that it is'.",
            ),
            Mistake(
                answer=p_value_of_score,
                hint="This holds the score against Student's distribution. The target inflates the variance "
                "in its own score; turn it into the external residual first, "
                "see 'The outlier test that it is'.",
            ),
            Mistake(
                answer=p_value_one_more,
                hint="One degree of freedom too many. The noise is estimated from M-1 neurons "
                "about their own mean; see 'The outlier test that it is'.",
            ),
        ),
    ),
)
