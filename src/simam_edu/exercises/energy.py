"""Exercises of the chapter on the energy of a neuron."""

import numpy as np

from simam_edu.exercises._exercise import Exercise, rows


def labeled_energy(w, b, t, others, y_t, y_o):
    # One term for the target, one mean for all the others: each side has one vote.
    return (y_t - (w * t + b)) ** 2 + np.mean((y_o - (w * others + b)) ** 2)


def relabeled_importance(importance, y_t, y_o):
    alpha = (y_t - y_o) / 2  # the energy is multiplied by its square, so the inverse is divided by it
    return importance / alpha**2


def weighted_importance(t, mu, var, lam, rho):
    return (1 + rho) / (4 * rho) + (t - mu) ** 2 / (4 * (var + lam))


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("labeled_energy", "a function of (w, b, t, others, y_t, y_o) that returns the energy of Eq. (1) of the paper", labeled_energy, {
        "np.mean -> np.sum": "This adds up the misses of the others without dividing by their number, so the many outvote the target; see 'One neuron against the rest'.",
        lambda w, b, t, others, y_t, y_o: np.mean(np.append(y_t - w * t - b, y_o - w * others - b) ** 2): "This is one mean over all neurons. In Eq. (1) of the paper the target has a term of its own, outside the mean; see 'One neuron against the rest'.",
        "others, y_t, y_o -> others, y_o, y_t": "The labels have changed places: the target should come close to y_t, the others to y_o.",
        ("(y_t - (w * t + b)) ** 2 -> abs(y_t - (w * t + b))", "((y_o - (w * others + b)) ** 2) -> (abs(y_o - (w * others + b)))"): "These are the absolute misses. The energy adds up their squares, which is what gives it a closed form; see 'One neuron against the rest'.",
        "((y_o - (w * others + b)) ** 2) -> (y_o - (w * others + b)) ** 2": "This is the square of the others' mean miss, where the mean of their squared misses belongs. It forgets their spread.",
    }, lambda g: [(*g.normal(0, 1.5, 3).tolist(), g.normal(1, 2, size), *labels) for size, *labels in ((5, 1.0, -1.0), (8, 1.0, 0.0), (3, -2.0, 3.0), (4, 0.5, 0.25))]),
    Exercise("relabeled_importance", "a function of (importance, y_t, y_o) that returns the importance with the new labels", relabeled_importance, {
        "/ alpha**2 -> * alpha**2": "This is how the energy changes. The importance is its inverse; see 'Why the labels are plus and minus one'.",
        "(y_t - y_o) / 2 -> y_t - y_o": "The labels 1 and -1 themselves must change nothing, and here they do: they are two apart. Compare half the distances; see 'Why the labels are plus and minus one'.",
        "alpha**2 -> abs(alpha)": "Misses are multiplied by half the distance of the labels, but the energy adds up their squares; see 'Why the labels are plus and minus one'.",
        " / alpha**2 -> ": "The order of the neurons does not change, but the importance does; see 'Why the labels are plus and minus one'.",
    }, lambda g: [(0.5, 1.0, 0.0), (0.75, -1.0, 1.0), (2.0, 5.0, -1.0), *rows(g.uniform(0.5, 6, (3, 3)) * [1, 1, -1])]),
    Exercise("weighted_importance", "a function of (t, mu, var, lam, rho) that returns the importance with the weight rho on the target", weighted_importance, {
        lambda t, mu, var, lam, rho: ((t - mu) ** 2 + 2 * (var + lam)) ** 2 / (4 * (var + lam) * ((1 + rho) * (var + lam) + (t - mu) ** 2)): "This puts the weight into the energy but keeps the line that is best without it. With another energy another line is best, with another bias too.",
        "return -> rho = 1; return": "This does not depend on the weight of the target; it is the importance of SimAM. The weight changes the bias first: minimize over it again.",
        ("return -> return 1 / (", "(var + lam)) -> (var + lam)))"): "This is the least energy. The importance is its inverse; see 'Why low energy means importance'.",
        "(1 + rho) / (4 * rho) + -> 0.5 + rho *": "Here the weight multiplies the squared distance. Try a target at the mean of the others: there the distance is zero, and the weight still matters.",
    }, lambda g: [(1.0, 1.0, 0.5, 0.1, 0.25), *rows(g.normal(0, 2, (6, 2)), g.uniform(0.1, 3, (6, 3)))]),
)
