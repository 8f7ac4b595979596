"""The equation of the page with the wrong SimAMs, what its names mean, and its numbers."""

from typing import Any

import numpy as np

from equations import Equation, best_line, energy_by_loop, meaning, random_channel, symbol
from simam_edu.derivation import derive

AGAINST_ALL = {symbol("mu_t"): symbol("mu"), symbol("sigma_t"): symbol("sigma")}
STEPS = {name: meaning(derive()[name].expression) for name in ("moment_energy", "weight", "bias")}


def energy_against_all(weight: Any, bias: Any) -> Any:
    """The energy of a line, held against the mean and variance of the whole channel."""
    line = {symbol("w"): weight, symbol("b"): bias}
    return STEPS["moment_energy"].subs(AGAINST_ALL | line, simultaneous=True)


def printed_lines(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, two others with the statistics of all of it, and their best line by least squares."""
    point = random_channel(generator)
    two = np.array([point["mu"] - point["sigma"], point["mu"] + point["sigma"]])
    weight, bias, _ = best_line(point["t"], two, point["lambda"])
    return point | {
        "w_t": weight,
        "b_t": bias,
        "e_t": lambda w, b: energy_by_loop(w, b, point | {"x": two}),
    }


# For any mean and any variance, so those of the whole channel need no sums here.
EQUATIONS = (
    Equation(
        "eq-printed-importance",
        printed_lines,
        {"w_t": STEPS["weight"].subs(AGAINST_ALL), "b_t": STEPS["bias"].subs(AGAINST_ALL)},
        {"e_t": energy_against_all},
    ),
)
