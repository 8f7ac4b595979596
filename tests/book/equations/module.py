"""The equations of the page on the module, what their names mean, and their numbers."""

from typing import Any

import numpy as np
import sympy as sp
import torch

from equations import Equation, least_energy, meaning, symbol
from simam_edu import SimAM
from simam_edu.derivation import derive

LEAST_ENERGY = meaning(derive()["minimum"].expression).subs(
    {symbol("mu_t"): symbol("mu"), symbol("sigma_t"): symbol("sigma"), symbol("t"): symbol("x")}
)


def one_neuron(generator: np.random.Generator) -> dict[str, Any]:
    """A neuron of a random map, what the module makes of it, and its least energy by a linear fit."""
    values = generator.normal(generator.normal(), generator.uniform(0.5, 2), (1, 1, 3, 4))
    penalty = float(10 ** generator.uniform(-2, 0))
    x, mu, sigma = float(values[0, 0, 1, 2]), float(values.mean()), float(values.std(ddof=1))
    least = least_energy(x, mu, sigma, penalty)
    y = SimAM(lam=penalty)(torch.from_numpy(values))[0, 0, 1, 2]
    return {"x": x, "mu": mu, "sigma": sigma, "lambda": penalty, "e^*": least, "y": float(y)}


EQUATIONS = (
    Equation(
        "eq-simam",
        symbols={
            "e^*": LEAST_ENERGY,
            # The sigmoid is half a hyperbolic tangent, raised by one half.
            "y": symbol("x") * (1 + sp.tanh(1 / (2 * LEAST_ENERGY)).rewrite(sp.exp)) / 2,
        },
        numbers=one_neuron,
    ),
)
