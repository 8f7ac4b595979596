"""Exercises of the chapter "One mean, one variance"."""

from simam_edu.exercises._exercise import Exercise


def others_variance(x):
    M, squares = x.size, (x - x.mean()) ** 2
    return (squares.sum() - M / (M - 1) * squares) / (M - 1)


def exact_importance(shared, M):
    u, gamma = 4 * (shared - 1 / 2) / (M - 1), M / (M - 1)  # the share, whatever the penalty
    return 1 / 2 + (M - 1) / 4 * gamma**2 * u / (1 - gamma * u)


def merged(n1, m1, S1, n2, m2, S2):
    # Each part's sum moves from its own mean to the common one; the two moves add up to the last term.
    n = n1 + n2
    return m1 + (m2 - m1) * n2 / n, S1 + S2 + (m2 - m1) ** 2 * n1 * n2 / n


def part(g, size, mean):
    d = g.normal(size=size)
    return size, mean + float(d.mean()), float(d.var() * size)


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("others_variance", "a function of x that returns the variance of the others for every neuron, in the shape of x", others_variance, {
        "M / (M - 1) * squares -> 0 * squares": "This is the shared variance: one number for all. Each neuron still takes part in it; see 'The exact statistics in the same pass'.",
        "M / (M - 1) * squares -> squares": "The target is out of the sum, but the distances are still those from the mean of all. Without the target the mean moves; see 'The exact statistics in the same pass'.",
        "squares) / (M - 1) -> squares) / (M - 2)": "This divides by M-2, as an unbiased estimate would. The energy has the mean over the M-1 others, under Eq. (4) of the paper.",
        "squares) / (M - 1) -> squares) / M": "This divides by M. The others are M-1; see 'The exact statistics in the same pass'.",
    }, lambda g: [(g.normal(3.0, 1.0, (2, 2)),), (g.normal(-1.0, 2.0, (3, 5)),), (g.laplace(size=(4, 4)),)]),
    Exercise("exact_importance", "a function of (shared, M) that returns the importance against the others", exact_importance, {
        " / (1 - gamma * u) -> ": "The distance now goes to the mean of the others, but the variance is still that of all. Leaving the target out makes it smaller; see 'A ceiling for every channel'.",
        "gamma**2 * u -> u": "The variance is that of the others, but the distance still goes to the mean of all; see 'The exact statistics in the same pass'.",
        "return 1 / 2 + -> return": "The constant one half of the importance is missing in the result; see 'The shared statistics'.",
        "2) / (M - 1) -> 2) / M": "This reads the given importance as one with 1/M in the variance. The shared form has 1/(M-1); see 'The shared statistics'.",
    }, lambda g: [(0.5 + g.uniform(0.1, 0.9) * (M - 1) ** 2 / (4 * M), M) for M in (3, 4, 16, 64)]),
    Exercise("merged_statistics", "a function of (n1, m1, S1, n2, m2, S2) that returns the mean and the sum of squares of both parts together", merged, {
        " + (m2 - m1) ** 2 * n1 * n2 / n -> ": "The sums are added, but each is about the mean of its own part. Both must move to the common mean, which makes them larger.",
        ("m1 + (m2 - m1) * n2 / n -> (m1 + m2) / 2", "(m2 - m1) ** 2 * n1 * n2 / n -> n * (m2 - m1) ** 2 / 4"): "The parts count alike here, whatever their sizes. Weigh each mean with its number of neurons.",
        "(m2 - m1) ** 2 * n1 * n2 / n -> n1 * m1**2 + n2 * m2**2 - (n1 * m1 + n2 * m2) ** 2 / n": ("In exact arithmetic this is right. On a large mean it is the difference of two huge sums and loses its digits; see the appendix on number formats.", {2}),
    }, lambda g: [(*part(g, n1, mean), *part(g, n2, mean)) for mean, n1, n2 in ((0.0, 3, 9), (5.0, 16, 8), (1e8, 24, 40))], needs_digits=True),
)
