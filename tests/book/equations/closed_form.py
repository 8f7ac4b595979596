"""The equations of the page on the closed form, what their names mean, and their numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp
from scipy import optimize

from equations import (
    MU_T,
    OF_OTHERS,
    VAR_T,
    Equation,
    M,
    b,
    energy_by_loop,
    lam,
    meaning,
    power_sum,
    random_channel,
    symbol,
    t,
    w,
)
from simam_edu.derivation import derive

STEPS = {name: meaning(step.expression) for name, step in derive().items()}
MOMENTS = {"mu_t": MU_T, "sigma_t": sp.sqrt(VAR_T)}
DENOMINATOR = STEPS["determinant"] / 4


def energy(weight: Any, bias: Any) -> Any:
    """The energy over weight and bias, with mean and variance in the place of the sums."""
    return STEPS["moment_energy"].subs({w: weight, b: bias}, simultaneous=True)


def energy_in_sums(weight: Any, bias: Any) -> Any:
    """The energy from the power sums of the others, multiplied out from Eq. (2)."""
    of_others = (1 + bias) ** 2 + (2 * weight * (1 + bias) * power_sum(1) + weight**2 * power_sum(2)) / (
        M - 1
    )
    return of_others + (1 - (weight * t + bias)) ** 2 + lam * weight**2


def at_a_channel(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and its energy as a function, by a loop over the neurons."""
    point = random_channel(generator)
    return point | {"e_t": lambda weight, bias: energy_by_loop(weight, bias, point)}


def at_the_minimum(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and the best weight, bias and least energy that scipy finds for it."""
    point = at_a_channel(generator)
    found = optimize.minimize(lambda p: energy_by_loop(*p, point), np.zeros(2), method="BFGS", tol=1e-14)
    best = _polished(found.x, point)
    distance = point["t"] - point["mu_t"]
    denominator = np.linalg.det(_hessian(point)) / 4
    least = energy_by_loop(*best, point)
    return point | {
        "w_t": best[0],
        "b_t": best[1],
        "e_t^*": least,
        "d_t": distance,
        "D": denominator,
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
    return point | {"det A": float(np.linalg.det(_hessian(point)))}


def at_the_decision(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and the value at which its best line is zero."""
    point = at_the_minimum(generator)
    return point | {"x_0": -point["b_t"] / point["w_t"]}


def at_one_neuron(generator: np.random.Generator) -> dict[str, Any]:
    """One of the others in the place of x_i, which stands alone here."""
    return {"w": generator.normal(), "b": generator.normal(), "x_i": generator.normal()}


def _hessian(point: Mapping[str, Any]) -> np.ndarray:
    """Second differences of the energy; it is quadratic, so they are exact for any step."""

    def e(weight: float, bias: float) -> float:
        return energy_by_loop(weight, bias, point)

    mixed = e(1, 1) - e(1, 0) - e(0, 1) + e(0, 0)
    by_weight = e(1, 0) - 2 * e(0, 0) + e(-1, 0)
    by_bias = e(0, 1) - 2 * e(0, 0) + e(0, -1)
    return np.array([[by_weight, mixed], [mixed, by_bias]])


def _polished(point: np.ndarray, channel: Mapping[str, Any]) -> np.ndarray:
    """One Newton step by differences from where scipy stopped: a line search ends at half the digits."""
    slope = [
        (energy_by_loop(*(point + step), channel) - energy_by_loop(*(point - step), channel)) / 2
        for step in np.eye(2)
    ]
    return point - np.linalg.solve(_hessian(channel), np.array(slope))


BEST = {"w_t": STEPS["weight"], "b_t": STEPS["bias"], "e_t^*": STEPS["minimum"]}
NAMED = {"D": DENOMINATOR, "d_t": t - symbol("mu_t")}

EQUATIONS = (
    Equation("eq-expanded-square", at_one_neuron),
    Equation("eq-statistics-of-others", random_channel, OF_OTHERS),
    Equation("eq-sums", random_channel, OF_OTHERS),
    Equation("eq-energy-moments", at_a_channel, MOMENTS, {"e_t": energy_in_sums}),
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
