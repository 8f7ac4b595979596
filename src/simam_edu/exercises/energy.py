"""Exercises of the chapter on the energy of a neuron."""

from typing import Any

import numpy as np

from simam_edu.exercises.checking import Exercise, Mistake


def lines(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Lines, targets, others and labels; the first labels are those of SimAM."""
    labels = [(1.0, -1.0), (1.0, 0.0), (-2.0, 3.0), (0.5, 0.25)]
    cases: list[tuple[Any, ...]] = []
    for size, (y_t, y_o) in zip((5, 8, 3, 4), labels, strict=True):
        w, b, t = (float(value) for value in generator.normal(0, 1.5, 3))
        cases.append((w, b, t, generator.normal(1, 2, size), y_t, y_o))
    return cases


def labeled_energy(w: float, b: float, t: float, others: np.ndarray, y_t: float, y_o: float) -> Any:
    """Eq. (1) of the paper."""
    return (y_t - (w * t + b)) ** 2 + np.mean((y_o - (w * others + b)) ** 2)


def summed(w: float, b: float, t: float, others: np.ndarray, y_t: float, y_o: float) -> Any:
    """The sum over the others in the place of their mean."""
    return (y_t - (w * t + b)) ** 2 + np.sum((y_o - (w * others + b)) ** 2)


def averaged_over_all(w: float, b: float, t: float, others: np.ndarray, y_t: float, y_o: float) -> Any:
    """One mean over all neurons, the target among them."""
    return summed(w, b, t, others, y_t, y_o) / (len(others) + 1)


def with_absolute_misses(w: float, b: float, t: float, others: np.ndarray, y_t: float, y_o: float) -> Any:
    """Misses that are not squared."""
    return abs(y_t - (w * t + b)) + np.mean(np.abs(y_o - (w * others + b)))


def squared_mean(w: float, b: float, t: float, others: np.ndarray, y_t: float, y_o: float) -> Any:
    """The square of the others' mean miss."""
    return (y_t - (w * t + b)) ** 2 + np.mean(y_o - (w * others + b)) ** 2


def pairs_of_labels(generator: np.random.Generator) -> list[tuple[float, float, float]]:
    """Importances with labels of either order."""
    fixed = [(0.5, 1.0, 0.0), (0.75, -1.0, 1.0), (2.0, 5.0, -1.0)]
    drawn = generator.uniform(0.5, 6, (3, 3))
    return [*fixed, *((float(i), float(y_t), -float(y_o)) for i, y_t, y_o in drawn)]


def relabeled_importance(importance: float, y_t: float, y_o: float) -> float:
    """The importance with other labels."""
    return 4 * importance / (y_t - y_o) ** 2


def targets(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Targets with their others, with and without a penalty, and one target that lies on the mean."""
    cases: list[tuple[Any, ...]] = [(1.0, np.array([0.0, 1.0, 2.0]), 0.5)]
    for size, lam in ((4, 0.0), (9, 1e-4), (6, 0.5), (3, 2.0)):
        x = generator.normal(generator.normal(0, 3), generator.uniform(0.5, 2), size)
        cases.append((float(generator.normal(2, 3)), x, lam))
    return cases


def fisher(t: float, others: np.ndarray, lam: float) -> Any:
    """Fisher's criterion of the target as a class of its own."""
    return (t - others.mean()) ** 2 / (others.var() + lam)


def fisher_unbiased(t: float, others: np.ndarray, lam: float) -> Any:
    """The variance of the others divided by one less than their number."""
    return (t - others.mean()) ** 2 / (others.var(ddof=1) + lam)


def fisher_of_channel(t: float, others: np.ndarray, lam: float) -> Any:
    """Mean and variance of the whole channel."""
    channel = np.append(others, t)
    return (t - channel.mean()) ** 2 / (channel.var() + lam)


def fisher_total(t: float, others: np.ndarray, lam: float) -> Any:
    """The spread about the common center in the place of the spread inside the classes."""
    squared = (t - others.mean()) ** 2
    return squared / (others.var() + squared / 2 + lam)


def fisher_pooled(t: float, others: np.ndarray, lam: float) -> Any:
    """The mean of the two classes' variances, the target's being zero."""
    return (t - others.mean()) ** 2 / (others.var() / 2 + lam)


def weighted_fits(generator: np.random.Generator) -> list[tuple[float, ...]]:
    """Points with weights of the target below, at and above one."""
    cases: list[tuple[float, ...]] = [(2.0, 0.0, 1.0, 0.0, 1.0), (1.0, 1.0, 0.5, 0.1, 0.25)]
    for _ in range(5):
        t, mu, var, lam, rho = *generator.normal(0, 2, 2), *generator.uniform(0.1, 3, 3)
        cases.append((float(t), float(mu), float(var), float(lam), float(rho)))
    return cases


def weighted_importance(t: float, mu: float, var: float, lam: float, rho: float) -> float:
    """The importance if the target's squared miss is counted rho times."""
    return (1 + rho) / (4 * rho) + (t - mu) ** 2 / (4 * (var + lam))


def weighted_at_the_old_line(t: float, mu: float, var: float, lam: float, rho: float) -> float:
    """The weighted energy of the line that is best for the weight one."""
    spread = var + lam
    denominator = (t - mu) ** 2 + 2 * spread
    miss, weight = 2 * spread / denominator, 2 * (t - mu) / denominator
    return 1 / ((1 + rho) * miss**2 + spread * weight**2)


def energies(generator: np.random.Generator) -> list[tuple[float]]:
    """Energies between zero and two."""
    return [(0.01,), (1.0,), (1.9,), *((float(e),) for e in generator.uniform(0.05, 1.8, 4))]


EXERCISES = (
    Exercise(
        name="labeled_energy",
        asks="a function of (w, b, t, others, y_t, y_o) that returns the energy of Eq. (1) of the paper",
        truth=labeled_energy,
        inputs=lines,
        mistakes=(
            Mistake(
                answer=summed,
                hint="This adds up the misses of the others without dividing by their number, so the many "
                "outvote the target; see 'One neuron against the rest'.",
            ),
            Mistake(
                answer=averaged_over_all,
                hint="This is one mean over all neurons. In Eq. (1) of the paper the target has a term "
                "of its own, outside the mean; see 'One neuron against the rest'.",
            ),
            Mistake(
                answer=lambda w, b, t, others, y_t, y_o: labeled_energy(w, b, t, others, y_o, y_t),
                hint="The labels have changed places: the target should come close to y_t, "
                "the others to y_o.",
            ),
            Mistake(
                answer=with_absolute_misses,
                hint="These are the absolute misses. The energy adds up their squares, which is what "
                "gives it a closed form; see 'One neuron against the rest'.",
            ),
            Mistake(
                answer=squared_mean,
                hint="This is the square of the others' mean miss, where the mean of their squared misses "
                "belongs. It forgets their spread.",
            ),
        ),
    ),
    Exercise(
        name="relabeled_importance",
        asks="a function of (importance, y_t, y_o) that returns the importance with the new labels",
        truth=relabeled_importance,
        inputs=pairs_of_labels,
        mistakes=(
            Mistake(
                answer=lambda importance, y_t, y_o: importance * (y_t - y_o) ** 2 / 4,
                hint="This is how the energy changes. The importance is its inverse; "
                "see 'Why the labels are plus and minus one'.",
            ),
            Mistake(
                answer=lambda importance, y_t, y_o: importance / (y_t - y_o) ** 2,
                hint="The labels 1 and -1 themselves must change nothing, and here they do: they are two "
                "apart. Compare half the distances; see 'Why the labels are plus and minus one'.",
            ),
            Mistake(
                answer=lambda importance, y_t, y_o: 2 * importance / abs(y_t - y_o),
                hint="Misses are multiplied by half the distance of the labels, but the energy adds up "
                "their squares; see 'Why the labels are plus and minus one'.",
            ),
            Mistake(
                answer=lambda importance, y_t, y_o: importance,  # noqa: ARG005
                hint="The order of the neurons does not change, but the importance does; "
                "see 'Why the labels are plus and minus one'.",
            ),
        ),
    ),
    Exercise(
        name="fisher",
        asks="a function of (t, others, lam) that returns Fisher's criterion of the target",
        truth=fisher,
        inputs=targets,
        mistakes=(
            Mistake(
                answer=fisher_unbiased,
                hint="This divides the squares by one less than the number of the others. The energy "
                "contains their plain mean, and so does the criterion that belongs to it.",
            ),
            Mistake(
                answer=fisher_of_channel,
                hint="Here the target takes part in the mean and the variance. It is a class of its own; "
                "see 'Fisher's discriminant with one sample in a class'.",
            ),
            Mistake(
                answer=fisher_total,
                hint="This is the spread of both classes about their common center, the S_xx of 'Ridge regression, "
                "by another name'. Fisher's criterion has the spread inside the classes.",
            ),
            Mistake(
                answer=fisher_pooled,
                hint="This takes the mean of two variances, zero for the target. The spread inside the "
                "classes is their sum here; see 'Fisher's discriminant with one sample in a class'.",
            ),
            Mistake(
                answer=lambda t, others, lam: 4 / (fisher(t, others, lam) + 2),
                hint="This is the least energy. It is a function of the criterion, not the criterion itself.",
            ),
        ),
    ),
    Exercise(
        name="weighted_importance",
        asks="a function of (t, mu, var, lam, rho) that returns the importance with the weight rho "
        "on the target",
        truth=weighted_importance,
        inputs=weighted_fits,
        mistakes=(
            Mistake(
                answer=weighted_at_the_old_line,
                hint="This puts the weight into the energy but keeps the line that is best without it. "
                "With another energy another line is best, with another bias too.",
            ),
            Mistake(
                answer=lambda t, mu, var, lam, rho: weighted_importance(t, mu, var, lam, 1.0),  # noqa: ARG005
                hint="This does not depend on the weight of the target; it is the importance of SimAM. "
                "The weight changes the bias first: minimize over it again.",
            ),
            Mistake(
                answer=lambda t, mu, var, lam, rho: 1 / weighted_importance(t, mu, var, lam, rho),
                hint="This is the least energy. The importance is its inverse; "
                "see 'Why low energy means importance'.",
            ),
            Mistake(
                answer=lambda t, mu, var, lam, rho: 0.5 + rho * (t - mu) ** 2 / (4 * (var + lam)),
                hint="Here the weight multiplies the squared distance. Try a target at the mean of the others: "
                "there the distance is zero, and the weight still matters.",
            ),
        ),
    ),
    Exercise(
        name="wrong_share",
        asks="a function of e that returns the largest share of the others at the midpoint or beyond it",
        truth=lambda e: 2 * e / (2 + e),
        inputs=energies,
        mistakes=(
            Mistake(
                answer=lambda e: e,
                hint="This is the bound that holds for every line; see 'What the energy says about "
                "separation'. It is right and not sharp: at the best line, no channel attains it.",
            ),
            Mistake(
                answer=lambda e: 2 * e / (2 - e),
                hint="This is Chebyshev's inequality, which counts both sides of the mean, and it can exceed "
                "one. Only one side is asked for, and those on the other side cost variance too.",
            ),
            Mistake(
                answer=lambda e: e / (2 - e),
                hint="This is half of what Chebyshev's inequality gives. One side is not half of both: "
                "those on the other side may lie close to the mean, all in one place.",
            ),
            Mistake(
                answer=lambda e: e / (4 - e),
                hint="This takes the target in the place of the midpoint. The midpoint is only half as far "
                "from the mean.",
            ),
        ),
    ),
)
