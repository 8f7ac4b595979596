"""The equations of the page on one mean and one variance, what their names mean, and their numbers."""

from typing import Any

import numpy as np

from equations import (
    EXACT,
    MU,
    OF_ALL,
    OF_OTHERS,
    SHARED,
    SUM_OF_SQUARES,
    Equation,
    M,
    lam,
    least_energy,
    random_channel,
    t,
)

FROM_ALL = {"S": SUM_OF_SQUARES, "d": t - MU}
GAMMA = M / (M - 1)
SHARE = (t - MU) ** 2 / (SUM_OF_SQUARES + (M - 1) * lam)


def of_all_neurons(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel with all of its neurons in x, and its least energy with the shared statistics."""
    point = random_channel(generator)
    channel = np.append(point["x"], point["t"])
    least = least_energy(point["t"], point["mu"], point["sigma"], point["lambda"])
    return point | {"x": channel, "S": float(np.sum((channel - point["mu"]) ** 2)), "e_t^*": least}


def with_one_left_out(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, its sum of squares, and its least energy with the statistics of the others."""
    point = random_channel(generator)
    return point | {
        "S": float(np.sum((np.append(point["x"], point["t"]) - point["mu"]) ** 2)),
        "d": point["t"] - point["mu"],
        "gamma": np.float64(point["M"]) / (point["M"] - 1),
        "e_t^*": least_energy(point["t"], point["mu_t"], point["sigma_t"], point["lambda"]),
    }


def by_share(generator: np.random.Generator) -> dict[str, Any]:
    """The same, with the target's share and both importances, each from a fit of its own."""
    point = with_one_left_out(generator)
    shared = least_energy(point["t"], point["mu"], point["sigma"], point["lambda"])
    share = point["d"] ** 2 / (point["S"] + (point["M"] - 1) * point["lambda"])
    return point | {"u": share, "a": 1 / shared, "a_t": 1 / point["e_t^*"]}


EQUATIONS = (
    Equation("eq-shared", of_all_neurons, OF_ALL),
    Equation("eq-importance", of_all_neurons, OF_ALL | {"e_t^*": SHARED}),
    Equation("eq-mean-of-others", with_one_left_out, OF_ALL | OF_OTHERS),
    Equation("eq-variance-of-others", with_one_left_out, FROM_ALL | OF_OTHERS),
    Equation("eq-exact-importance", with_one_left_out, FROM_ALL | {"e_t^*": EXACT, "gamma": GAMMA}),
    Equation("eq-exact-cost", with_one_left_out, FROM_ALL | {"e_t^*": EXACT}),
    Equation("eq-mean-exact-variance", of_all_neurons, OF_ALL | {"S": SUM_OF_SQUARES}),
    Equation("eq-share", by_share, FROM_ALL | {"u": SHARE, "gamma": GAMMA}),
    Equation("eq-by-share", by_share, {"u": SHARE, "gamma": GAMMA, "a": 1 / SHARED, "a_t": 1 / EXACT}),
)
