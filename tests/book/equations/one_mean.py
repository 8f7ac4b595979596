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
    least_energy,
    random_channel,
    t,
)
from page_latex import COUNT as M
from page_math import Equation

FROM_ALL = {"S": SUM_OF_SQUARES, "d": (t - MU) ** 2}


def of_all_neurons(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel with all of its neurons in x, and its least energy with the shared statistics."""
    point = random_channel(generator)
    least = least_energy(point["t"], point["mu"], point["sigma"], point["lambda"])
    return point | {"x": np.append(point["x"], point["t"]), "e_t^*": least}


def with_one_left_out(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, its sum of squares, and its least energy with the statistics of the others."""
    point = random_channel(generator)
    return point | {
        "S": float(np.sum((np.append(point["x"], point["t"]) - point["mu"]) ** 2)),
        "d": (point["t"] - point["mu"]) ** 2,
        "k": np.float64(point["M"]) / (point["M"] - 1),
        "e_t^*": least_energy(point["t"], point["mu_t"], point["sigma_t"], point["lambda"]),
    }


EQUATIONS = (
    Equation("eq-shared", symbols=OF_ALL, numbers=of_all_neurons),
    Equation("eq-importance", symbols=OF_ALL | {"e_t^*": SHARED}, numbers=of_all_neurons),
    Equation("eq-mean-of-others", symbols=OF_ALL | OF_OTHERS, numbers=with_one_left_out),
    Equation("eq-variance-of-others", symbols=FROM_ALL | OF_OTHERS, numbers=with_one_left_out),
    Equation(
        "eq-exact-importance",
        symbols=FROM_ALL | {"e_t^*": EXACT, "k": M / (M - 1)},
        numbers=with_one_left_out,
    ),
)
