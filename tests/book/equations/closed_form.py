"""The equations on the energy of a neuron, its minimum, and what both are made of."""

from functools import partial
from typing import Any

import numpy as np
import sympy as sp
import torch

from equations import (
    CHANNEL,
    MU,
    SHARED,
    VAR,
    channel,
    energy_in_sums,
    energy_of,
    least_energy,
    of_channel,
    step,
    with_least,
)
from page_latex import symbol
from page_math import Equation
from page_symbols import M, b, lam, mu, sigma, t, w
from simam_edu import SimAM, solvers

Y_T, Y_O = symbol("y_t"), symbol("y_o")
LABELS = {"target_label": Y_T, "other_label": Y_O}
SCALE = {"alpha": (Y_T - Y_O) / 2, "c": (Y_T + Y_O) / 2}
TILDES = {"wtilde_t": "weight", "btilde_t": "bias", "etilde_t^*": "minimum"}
LEAST_OF_X = step("minimum", mu, sigma**2).subs(t, symbol("x"))
# The sums on the page run over the transformed others.
TRANSFORMED = {"that": w * t + b, "xhat_i": w * symbol("x_i") + b}
TRANSFORMED |= {"energy": energy_in_sums(w, b, **LABELS).subs(lam, 0)}


def printed_energy(weight: Any, bias: Any) -> Any:
    """The energy of a line, held against the mean and variance of the whole channel."""
    line = {w: weight, b: bias}
    return step("moment_energy", mu, sigma**2).subs(line, simultaneous=True)


def least_with_mistakes(*_: Any) -> Any:
    """The least energy with so many mistakes: that of each neuron on its side, found by sympy."""
    s, k, k_t = sp.Symbol("s", real=True), symbol("k"), symbol("k_t")
    below, above = sp.Interval(-sp.oo, 0), sp.Interval(0, sp.oo)
    (right, wrong), (missed, hit) = (
        [sp.minimum((label - s) ** 2, s, side) for side in (below, above)] for label in (-1, 1)
    )
    return k_t * missed + (1 - k_t) * hit + (k * wrong + (M - 1 - k) * right) / (M - 1)


def with_labels(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, two labels, and the best line for them by least squares."""
    point = channel(generator)
    y_t, y_o = (float(value) for value in generator.normal(0, 2, 2))
    root = np.append(np.full(point["M"] - 1, (point["M"] - 1) ** -0.5), 1.0)
    wanted = np.append(np.full(point["M"] - 1, y_o), y_t)
    # The penalty is one more row.
    rows = np.stack([[*root * point["x"], point["lambda"] ** 0.5], [*root, 0.0]], axis=1)
    right = np.append(root * wanted, 0.0)

    def energy(weight: float, bias: float) -> float:
        return float(np.sum((rows @ [weight, bias] - right) ** 2))

    best = np.linalg.lstsq(rows, right)[0]
    tildes = dict(zip(TILDES, (*best, energy(*best)), strict=True))
    scale = {"alpha": (y_t - y_o) / 2, "c": (y_t + y_o) / 2}
    return point | scale | tildes | {"y_t": y_t, "y_o": y_o, "etilde_t": energy}


def with_any_line(generator: np.random.Generator) -> dict[str, Any]:
    """The same with a line that need not be the best, what it makes of the values, and no penalty in e."""
    point = with_labels(generator)
    weight, bias = (float(value) for value in generator.normal(0, 2, 2))
    fitted = np.polyval([weight, bias], point["x"])
    without = point["etilde_t"](weight, bias) - point["lambda"] * weight**2
    return point | {"w": weight, "b": bias, "that": fitted[-1], "xhat": fitted, "energy": without}


def at_the_fewest_misses(generator: np.random.Generator) -> dict[str, Any]:
    """A channel whose mistakes all lie at zero, and whose other neurons meet their labels."""
    point = with_any_line(generator)
    k, k_t = int(generator.integers(1, point["M"])), int(generator.integers(2))
    fitted = np.append(np.where(np.arange(point["M"] - 1) < k, 0.0, -1.0), 1.0 - k_t)
    x = (fitted - point["b"]) / point["w"]
    return point | {"k": k, "k_t": k_t, "e_t": energy_of({"x": x, "t": x[-1], "lambda": 0.0})}


def at_a_best_bias(generator: np.random.Generator) -> dict[str, Any]:
    """The bias at which a parabola through three energies is lowest, for any weight."""
    point = channel(generator)
    low, middle, high = (point["e_t"](point["w"], bias) for bias in (-1.0, 0.0, 1.0))
    return point | {"b": (low - high) / (2 * (low - 2 * middle + high))}


def printed_lines(generator: np.random.Generator) -> dict[str, Any]:
    """Two others with the statistics of the whole channel, and their best line."""
    point = channel(generator)
    x = np.array([point["mu"] - point["sigma"], point["mu"] + point["sigma"], point["t"]])
    best = solvers.solve_linear(point["t"], x[:2], lam=point["lambda"])
    return point | {"w_t": best.w, "b_t": best.b, "e_t": energy_of(point | {"x": x})}


def of_a_map(generator: np.random.Generator) -> dict[str, Any]:
    """A random map, what the module makes of it, and the least energy of each neuron by a fit."""
    x, penalty = generator.normal(generator.normal(), 2, (1, 1, 3, 4)), float(10 ** generator.uniform(-2, 0))
    mu, sigma = float(x.mean()), float(x.std(ddof=1))
    least = np.vectorize(lambda value: least_energy(value, mu, sigma, penalty))(x)
    y = SimAM(lam=penalty)(torch.from_numpy(x)).numpy()
    return {"x": x, "mu": mu, "sigma": sigma, "lambda": penalty, "e^*": least, "y": y}


# What needs no word beyond the meanings of a channel, and what has the energy as a function besides.
PLAIN = """
    ridge-sums ridge-squares ridge-weight fisher fisher-energy statistics-of-others
    sums weight back-substitution minimum inverse-minimum determinant midpoint
    shared mean-of-others variance-of-others exact-importance exact-cost
    mean-exact-variance share by-share
"""
WITH_ENERGY = "energy-moments excess printed-sign"

EQUATIONS = {
    **{f"eq-{name}": of_channel() for name in PLAIN.split()},
    **{f"eq-{name}": of_channel({}, {"e_t": energy_in_sums}) for name in WITH_ENERGY.split()},
    "eq-energy-labels": of_channel(
        TRANSFORMED,
        {"e_t": lambda *_: symbol("energy")},
        lambda g: (point := with_any_line(g)) | {"e_t": lambda *_: point["energy"]},
    ),
    "eq-energy": of_channel({}, {"e_t": energy_in_sums}, with_any_line),
    # An inequality that is sharp: it is proven, and tested, where both sides meet.
    "eq-mistakes": of_channel({}, {"e_t": least_with_mistakes}, at_the_fewest_misses),
    "eq-labels": of_channel(
        SCALE, {"e_t": energy_in_sums, "etilde_t": partial(energy_in_sums, **LABELS)}, with_labels
    ),
    "eq-labels-best": of_channel(
        SCALE | {k: step(name, **LABELS) for k, name in TILDES.items()}, {}, with_labels
    ),
    "eq-expanded-square": Equation(lambda g: dict(zip(("w", "b", "x_i"), g.normal(size=3), strict=True))),
    "eq-bias": of_channel({"b": step("bias_of_weight")}, {}, at_a_best_bias),
    "eq-system": of_channel(
        {"w": CHANNEL["w_t"], "b": CHANNEL["b_t"]},
        numbers=lambda g: (point := channel(g)) | {"w": point["w_t"], "b": point["b_t"]},
    ),
    "eq-importance": of_channel({"e_t^*": SHARED}, {}, with_least("mu", "sigma")),
    "eq-printed-importance": of_channel(
        {"w_t": step("weight", MU, VAR), "b_t": step("bias", MU, VAR)}, {"e_t": printed_energy}, printed_lines
    ),
    # The sigmoid is half a hyperbolic tangent, raised by one half.
    "eq-simam": Equation(
        of_a_map,
        {"e^*": LEAST_OF_X, "y": symbol("x") * (1 + sp.tanh(1 / (2 * LEAST_OF_X)).rewrite(sp.exp)) / 2},
    ),
}
