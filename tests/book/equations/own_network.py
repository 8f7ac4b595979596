"""The equation of the page on one's own network, what its names mean, and its numbers."""

from typing import Any

import numpy as np
import sympy as sp

from equations import Equation, symbol

z, share, xi = (symbol(name) for name in ("z", "varphi", "xi"))
# The rest has mean 0 and mean square 1; the equal ones have the value xi.
MEAN = (1 - share) * 0 + share * xi
MEAN_SQUARE = (1 - share) * 1 + share * xi**2


def channel(generator: np.random.Generator) -> dict[str, Any]:
    """A channel of two levels, plus and minus one, and a third that is the equal ones."""
    half, count = int(generator.integers(2, 9)), int(generator.integers(1, 9))
    of_rest, value = generator.normal(), generator.normal()
    x = np.concatenate([np.ones(half), -np.ones(half), np.full(count, value)])
    scaled = (of_rest - x.mean()) / x.std()
    return {"z_varphi": scaled, "z": of_rest, "xi": value, "varphi": count / len(x)}


EQUATIONS = (Equation("eq-equal-share", channel, {"z_varphi": (z - MEAN) / sp.sqrt(MEAN_SQUARE - MEAN**2)}),)
