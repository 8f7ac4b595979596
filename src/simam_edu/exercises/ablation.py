"""Exercises of the chapter on what makes SimAM work."""

from simam_edu.exercises._exercise import Exercise


def reverse(g):
    return 2 * g.mean(axis=(-2, -1), keepdims=True) - g


def factor(s, g, epsilon):
    return ((s**2 + epsilon) / (s**2 + epsilon / g**2)) ** 0.5


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("reversed_gains", "a function of gains of shape (n, c, h, w) that returns them mirrored at the mean of each channel", reverse, {
        "2 * g.mean(axis=(-2, -1), keepdims=True) -> 1": "This mirrors at one half. The mean of a channel's gains would change, and a norm behind would see another channel.",
        "axis=(-2, -1), keepdims=True -> ": "This mirrors at the mean of all channels and images together. Each channel of each image has a mean of its own.",
        "2 * g.mean(axis=(-2, -1), keepdims=True) -> g.mean(axis=(-2, -1), keepdims=True)": "These are the deviations from the mean, turned around. They are no gains yet: they lie about zero.",
    }, lambda r: [(r.uniform(0.62, 1.0, shape),) for shape in ((2, 3, 4, 5), (1, 1, 6, 6), (3, 2, 2, 2))]),
    Exercise("constant_gain", "a function of (s, g, epsilon) that returns the factor", factor, {
        "return ((s**2 + epsilon) / (s**2 + epsilon / g**2)) ** 0.5 -> return g": "This would be the factor without a norm. The norm divides by a standard deviation that is multiplied as well.",
        ") ** 0.5 -> )": "This is the factor of the variance. The norm divides by its root.",
        "epsilon / g**2 -> epsilon * g**2": "The constant is divided by the square of the gain: a small gain makes it matter more.",
        "return ((s**2 + epsilon) / (s**2 + epsilon / g**2)) -> return ((s**2 + epsilon / g**2) / (s**2 + epsilon))": "This is the inverse: by what the output without a gain is multiplied to give the one with it, turned around.",
    }, lambda _: [(1.0, 0.7, 1e-5), (1e-3, 0.7, 1e-5), (0.1, 0.3, 1e-3), (1e-2, 2.0, 1e-4)]),
)
