"""The registry of the numbered equations by their labels, and what its entries share."""

import importlib
import math
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from page_latex import COUNT as M
from page_latex import symbol
from page_math import Equation, power_sum
from simam_edu import derivation
from simam_edu.derivation import derive

t, w, b, lam = symbol("t"), symbol("w"), symbol("b"), symbol("lambda")

# What the statistics mean, as sums of powers: of the others, and of all neurons of the channel.
MU_T = power_sum(1) / (M - 1)
VAR_T = power_sum(2) / (M - 1) - MU_T**2
MU = (power_sum(1) + t) / M
SUM_OF_SQUARES = power_sum(2) + t**2 - M * MU**2  # about the mean of all
VAR = SUM_OF_SQUARES / (M - 1)
OF_OTHERS = {"mu_t": MU_T, "sigma_t": sp.sqrt(VAR_T)}
OF_ALL = {"mu": MU, "sigma": sp.sqrt(VAR)}


def registry() -> dict[str, Equation]:
    """Return the entry of every label, whatever page it stands on."""
    modules = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    entries = [entry for module in modules for entry in module.EQUATIONS]
    found = {entry.label: entry for entry in entries}
    if len(found) != len(entries):
        raise ValueError(f"each label must have one entry, got {sorted(entry.label for entry in entries)}")
    return found


def meaning(expression: sp.Basic) -> Any:
    """Return an expression of the package in the symbols of the pages, which are told apart by name only."""
    return expression.xreplace(
        {s: symbol(s.name) for s in expression.free_symbols if isinstance(s, sp.Symbol)}
    )


# The least energy, held against the others as derived, and against the whole channel.
LEAST = meaning(derive()["minimum"].expression)
EXACT = LEAST.subs({symbol(name): value for name, value in OF_OTHERS.items()}, simultaneous=True)
SHARED = LEAST.subs({symbol("mu_t"): MU, symbol("sigma_t"): sp.sqrt(VAR)}, simultaneous=True)


def energy_in_sums(weight: Any, bias: Any, **labels: Any) -> Any:
    """The energy that a derivation starts from, multiplied out, with power sums of the others."""
    return _expanded(**labels).subs({w: weight, b: bias}, simultaneous=True)


@cache  # a derivation takes a while, and every wrong sign asks for it
def _expanded(**labels: Any) -> Any:
    sums = {derivation.SUM: power_sum(1), derivation.SUM_OF_SQUARES: power_sum(2)}
    return meaning(derive(**labels)["expanded_energy"].expression.xreplace(sums))


def random_channel(generator: np.random.Generator) -> dict[str, Any]:
    """Return a target, the others as ``x``, a penalty, a weight and a bias, and their statistics by numpy."""
    x = generator.normal(generator.normal(0, 2), generator.uniform(0.5, 2), int(generator.integers(3, 9)))
    target = float(generator.normal(0, 3))
    channel = np.append(x, target)
    return {
        "x": x,
        "t": target,
        "M": channel.size,
        "lambda": float(10 ** generator.uniform(-2, 0)),
        "w": float(generator.normal()),
        "b": float(generator.normal()),
        "mu_t": float(x.mean()),
        "sigma_t": float(x.std()),
        "mu": float(channel.mean()),
        "sigma": float(channel.std(ddof=1)),
    }


def energy_by_loop(w: float, b: float, point: Mapping[str, Any]) -> float:
    """Return the energy of Eq. (2) of the paper, added up neuron by neuron."""
    of_others = sum((-1.0 - (w * value + b)) ** 2 for value in point["x"]) / len(point["x"])
    return float(of_others + (1.0 - (w * point["t"] + b)) ** 2 + point["lambda"] * w**2)


def best_line(
    target: float, x: Any, penalty: float, y_t: float = 1.0, y_o: float = -1.0
) -> tuple[float, float, float]:
    """The best weight and bias and the least energy by least squares, the penalty as one more row."""
    root = 1 / math.sqrt(len(x))
    of_others = np.column_stack([root * np.asarray(x), np.full(len(x), root)])
    rows = np.vstack([of_others, [target, 1.0], [math.sqrt(penalty), 0.0]])
    wanted = np.append(np.full(len(x), root * y_o), [y_t, 0.0])
    (weight, bias), *_ = np.linalg.lstsq(rows, wanted)
    residuals = rows @ [weight, bias] - wanted
    return float(weight), float(bias), float(residuals @ residuals)


def least_energy(target: float, mean: float, std: float, penalty: float) -> float:
    """The least energy for two others that have this mean and standard deviation."""
    return best_line(target, [mean - std, mean + std], penalty)[2]


def hessian_by_differences(point: Mapping[str, Any]) -> np.ndarray:
    """Second differences of the energy; it is quadratic, so they are exact for any step."""
    e = {(i, j): energy_by_loop(i, j, point) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    mixed = e[1, 1] - e[1, 0] - e[0, 1] + e[0, 0]
    by_weight, by_bias = (e[k] + e[-k[0], -k[1]] - 2 * e[0, 0] for k in ((1, 0), (0, 1)))
    return np.array([[by_weight, mixed], [mixed, by_bias]])
