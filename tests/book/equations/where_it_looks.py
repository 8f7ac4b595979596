"""The equation of the page on maps: what a constant border does to a score."""

from typing import Any

import numpy as np
import sympy as sp
from scipy import stats

from equations import CHANNEL, P1, P2, Equation, M, symbol, t

K = symbol("k")
# t and the others of P1 and P2 are the M - k neurons of the picture; the border lies at their mean.
MEAN = (P1 + t) / (M - K)
SQUARES = P2 + t**2 - (M - K) * MEAN**2
BORDERED = {P1: P1 + K * MEAN, P2: P2 + K * MEAN**2}


def with_a_border(generator: np.random.Generator) -> dict[str, Any]:
    """The score of a neuron among those of the picture, and once the border has come."""
    size, k = int(generator.integers(6, 30)), int(generator.integers(1, 4))
    picture = np.append(generator.normal(size=size - k - 1), 3.0)
    whole = np.append(picture, np.full(k, picture.mean()))
    scores = [float(stats.zscore(x, ddof=1)[size - k - 1]) for x in (picture, whole)]
    return {"M": size, "k": k, "z": scores[0], "z'": scores[1]}


EQUATIONS = (
    Equation(
        "eq-border-score",
        with_a_border,
        {
            "z": (t - MEAN) / sp.sqrt(SQUARES / (M - K - 1)),
            "z'": CHANNEL["z"].subs(BORDERED, simultaneous=True),
        },
    ),
)
