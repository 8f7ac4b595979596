"""Exercises of the chapter on what attention weighs."""

import numpy as np

from simam_edu.exercises._exercise import Exercise


def nearest_product(gains):
    logs = np.log(gains)
    channels, positions = logs.mean(axis=1), logs.mean(axis=0)
    return np.exp(channels[:, None] + positions - logs.mean())


def expected_errors(missed, noise, C, M):
    full = noise**2
    numbers = C + M - 1  # a factor may go from one gate to the other
    product = missed + noise**2 * numbers / (C * M)
    return np.array([full, product])


def rank_reached(C, M):
    # On two positions both are equally far from their mean: one gain a channel.
    return min(C, M) if M > 2 else 1


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("nearest_product", "a function of a table of gains of shape (C, M) that returns the nearest product of a channel gate and a position gate", nearest_product, {
        " - logs.mean() -> ": "The mean of all is in the means of the channels and in those of the positions; here it is counted twice. Try a table of equal gains.",
        ("np.log(gains) -> gains", "np.exp( -> ("): "This adds a number for the channel to one for the position. A product adds up in the logarithms; see 'What a product cannot do'.",
        " + positions - logs.mean() -> + 0 * positions": "This is the nearest channel gate alone. It is equal at all positions.",
        "channels[:, None] + positions - logs.mean() -> 0 * channels[:, None] + positions": "This is the nearest position gate alone. It is equal in all channels.",
        "np.exp(channels[:, None] + positions - logs.mean()) -> channels[:, None] + positions - logs.mean()": "These are the logarithms of the gains. Asked for are the gains.",
        ("np.log(gains) -> gains", "np.exp(channels[:, None] + positions - logs.mean()) -> channels[:, None] * positions / logs.mean()"): "This product has the right means of rows and columns, but it is not the nearest in the logarithms: take these first, then the means.",
    }, lambda g: [(g.uniform(0.1, 1, shape),) for shape in ((2, 2), (3, 5), (4, 4), (2, 9))]),
    Exercise("expected_errors", "a function of (missed, noise, C, M) that returns an array of two expected mean squared errors, of the full gate and of the product", expected_errors, {
        "C + M - 1 -> C + M": "This counts one number too many: multiply the channel gate by two and divide the position gate by two, and the product is the same.",
        "missed + -> ": "This is what noise alone does to a product. A product also misses what no product can make.",
        "full = noise**2 -> full = missed + noise**2": "A full gate can make every table, so it misses nothing but for the noise.",
        "noise**2 * numbers / (C * M) -> noise**2": "Here the product is as noisy as the full gate. Its numbers are means of many estimates.",
        ("full = noise**2 -> full = noise", "missed + noise**2 -> missed + noise"): "An expected squared error has the square of the noise's standard deviation.",
        "np.array([full, product]) -> np.array([product, full])": "The two have changed places: the full gate comes first.",
    }, lambda g: [(0.0, 1.0, 2, 2), (0.5, 0.5, 3, 7), *((*g.uniform(0.05, 1, 2).tolist(), c, m) for c, m in ((2, 16), (16, 64), (5, 3)))]),
    Exercise("rank_reached", "a function of (C, M) that returns the largest rank that SimAM's table of gains can have", rank_reached, {
        " if M > 2 else 1 -> ": "With two positions, where is the mean, and how far is each of them from it? See 'Three dimensions out, none in'.",
        "min(C, M) -> M": "A table cannot have a larger rank than it has rows.",
        "min(C, M) -> C": "A table cannot have a larger rank than it has columns.",
        "min(C, M) -> C * M": "This is how many gains there are. The rank of a table is at most its smaller side.",
        lambda *_: 1: "This is the rank of a product of a channel gate and a position gate. SimAM's gates are freer.",
    }, lambda _: [(16, 1024), (2, 4), (64, 3), (5, 5), (3, 2), (1, 9)]),
)
