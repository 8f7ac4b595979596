"""The equation of the page on what makes SimAM work."""

from typing import Any

import numpy as np
import sympy as sp

from equations import Equation


def scaled(generator: np.random.Generator) -> dict[str, Any]:
    """A value of a channel with its mean and standard deviation, a gain, and a constant of the norm."""
    values = generator.normal(1.0, 2.0, 20)
    numbers = {"x": values[0], "m": values.mean(), "s": values.std(ddof=1)}
    return numbers | {"g": generator.uniform(0.3, 1), "epsilon": generator.uniform(0.01, 0.1)}


POSITIVE = {name: sp.Symbol(f"positive_{name}", positive=True) for name in ("g", "s", "epsilon")}
EQUATIONS = (Equation("eq-norm-takes-back", scaled, POSITIVE),)
