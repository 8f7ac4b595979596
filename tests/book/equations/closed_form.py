"""The equations of the page on the closed form, what their names mean, and their numbers."""

from typing import Any

import numpy as np

from equations import (
    OF_OTHERS,
    Equation,
    b,
    best_line,
    energy_by_loop,
    energy_in_sums,
    hessian_by_differences,
    meaning,
    random_channel,
    symbol,
    t,
    w,
)
from simam_edu.derivation import derive

STEPS = {name: meaning(step.expression) for name, step in derive().items()}
DENOMINATOR = STEPS["determinant"] / 4


def energy(weight: Any, bias: Any) -> Any:
    """The energy over weight and bias, with mean and variance in the place of the sums."""
    return STEPS["moment_energy"].subs({w: weight, b: bias}, simultaneous=True)


def at_a_channel(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and its energy as a function, by a loop over the neurons."""
    point = random_channel(generator)
    return point | {"e_t": lambda weight, bias: energy_by_loop(weight, bias, point)}


def at_the_minimum(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and the best weight, bias and least energy by least squares."""
    point = at_a_channel(generator)
    weight, bias, least = best_line(point["t"], point["x"], point["lambda"])
    return point | {
        "w_t": weight,
        "b_t": bias,
        "e_t^*": least,
        "d_t": point["t"] - point["mu_t"],
        "D": np.linalg.det(hessian_by_differences(point)) / 4,
        "Delta_w": float(generator.normal()),
        "Delta_b": float(generator.normal()),
    }


def at_a_best_bias(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and weight, and the bias at which a parabola through three energies is lowest."""
    point = random_channel(generator)
    low, middle, high = (energy_by_loop(point["w"], bias, point) for bias in (-1.0, 0.0, 1.0))
    return point | {"b": (low - high) / (2 * (low - 2 * middle + high))}


def at_the_curvature(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and the determinant of second differences of its energy."""
    point = random_channel(generator)
    return point | {"det A": float(np.linalg.det(hessian_by_differences(point)))}


def at_the_decision(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and the value at which its best line is zero."""
    point = at_the_minimum(generator)
    return point | {"x_0": -point["b_t"] / point["w_t"]}


def at_one_neuron(generator: np.random.Generator) -> dict[str, Any]:
    """One of the others in the place of x_i, which stands alone here."""
    return {"w": generator.normal(), "b": generator.normal(), "x_i": generator.normal()}


BEST = {"w_t": STEPS["weight"], "b_t": STEPS["bias"], "e_t^*": STEPS["minimum"]}
NAMED = {"D": DENOMINATOR, "d_t": t - symbol("mu_t")}

EQUATIONS = (
    Equation("eq-expanded-square", at_one_neuron),
    Equation("eq-statistics-of-others", random_channel, OF_OTHERS),
    Equation("eq-sums", random_channel, OF_OTHERS),
    Equation("eq-energy-moments", at_a_channel, OF_OTHERS, {"e_t": energy_in_sums}),
    Equation(
        "eq-system",
        lambda generator: (point := at_the_minimum(generator)) | {"w": point["w_t"], "b": point["b_t"]},
        {"w": STEPS["weight"], "b": STEPS["bias"]},
    ),
    Equation("eq-bias", at_a_best_bias, {"b": STEPS["bias_of_weight"]}),
    Equation("eq-weight", at_the_minimum, BEST),
    Equation("eq-back-substitution", at_the_minimum, BEST | NAMED),
    Equation("eq-minimum", at_the_minimum, BEST),
    Equation("eq-inverse-minimum", at_the_minimum, BEST),
    Equation("eq-determinant", at_the_curvature, {"det A": STEPS["determinant"]}),
    Equation("eq-excess", at_the_minimum, BEST | NAMED, {"e_t": energy}),
    Equation("eq-midpoint", at_the_decision, {"x_0": -STEPS["bias"] / STEPS["weight"]}),
    Equation("eq-printed-sign", at_the_minimum, BEST | NAMED, {"e_t": energy}),
)
