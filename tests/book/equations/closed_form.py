"""The equations on the energy of a neuron, its minimum, and what both are made of."""

from typing import Any

import numpy as np
import sympy as sp
import torch

from equations import (
    CHANNEL,
    MU,
    SHARED,
    VAR,
    Equation,
    M,
    best_line,
    channel,
    energy_by_loop,
    energy_in_sums,
    lam,
    least_energy,
    meaning,
    of_channel,
    step,
    symbol,
    t,
)
from simam_edu import SimAM
from simam_edu.derivation import derive

W_T, B_T, Y_T, Y_O = (symbol(name) for name in ("w_t", "b_t", "y_t", "y_o"))
LABELS = {"target_label": Y_T, "other_label": Y_O}
ANY_LINE = {"w_t": W_T, "b_t": B_T}  # and not the best
SCALE = {"alpha": (Y_T - Y_O) / 2, "c": (Y_T + Y_O) / 2}
TILDES = {"wtilde_t": "weight", "btilde_t": "bias", "etilde_t^*": "minimum"}


def labeled_energy(weight: Any, bias: Any) -> Any:
    """The energy with any two labels."""
    return energy_in_sums(weight, bias, **LABELS)


def printed_energy(weight: Any, bias: Any) -> Any:
    """The energy of a line, held against the mean and variance of the whole channel."""
    line = {symbol("w"): weight, symbol("b"): bias}
    return step("moment_energy", symbol("mu"), symbol("sigma") ** 2).subs(line, simultaneous=True)


# The sums on the page run over the transformed others.
TRANSFORMED = ANY_LINE | {
    "that": W_T * t + B_T,
    "xhat_i": W_T * symbol("x_i") + B_T,
    "energy": labeled_energy(W_T, B_T).subs(lam, 0),
}


def least_with_mistakes() -> Any:
    """The least energy with so many mistakes: that of each neuron on its side, found by sympy."""
    s, k, k_t = sp.Symbol("s", real=True), symbol("k"), symbol("k_t")
    of_other, of_target = (-1 - s) ** 2, (1 - s) ** 2
    below, above = sp.Interval.open(-sp.oo, 0), sp.Interval.open(0, sp.oo)
    wrong, right = (sp.minimum(of_other, s, side) for side in (sp.Interval(0, sp.oo), below))
    missed, hit = (sp.minimum(of_target, s, side) for side in (sp.Interval(-sp.oo, 0), above))
    return k_t * missed + (1 - k_t) * hit + (k * wrong + (M - 1 - k) * right) / (M - 1)


def with_labels(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, two labels, and the best line for them by least squares."""
    point = channel(generator)
    y_t, y_o = (float(value) for value in generator.normal(0, 2, 2))
    best = best_line(point["t"], point["x"][:-1], point["lambda"], y_t, y_o)

    def energy(weight: float, bias: float) -> float:
        # Misses counted from the line: where the line reaches the label, seen from the neuron.
        squares = (weight * point["x"] + bias - np.append(np.full(point["M"] - 1, y_o), y_t)) ** 2
        return float(squares[:-1].mean() + squares[-1] + point["lambda"] * weight**2)

    scale = {"alpha": float(np.ptp([y_t, y_o]) / 2 * np.sign(y_t - y_o)), "c": float(np.mean([y_t, y_o]))}
    tildes = dict(zip(TILDES, best, strict=True))
    return point | scale | tildes | {"y_t": y_t, "y_o": y_o, "etilde_t": energy}


def with_any_line(generator: np.random.Generator) -> dict[str, Any]:
    """The same with a line that need not be the best, what it makes of the values, and no penalty in e."""
    point = with_labels(generator)
    weight, bias = (float(value) for value in generator.normal(0, 2, 2))
    fitted = np.polyval([weight, bias], point["x"])
    without = point["etilde_t"](weight, bias) - point["lambda"] * weight**2
    return point | {"w_t": weight, "b_t": bias, "that": fitted[-1], "xhat": fitted, "energy": without}


def at_the_fewest_misses(generator: np.random.Generator) -> dict[str, Any]:
    """A channel whose mistakes all lie at zero, and whose other neurons meet their labels."""
    point = with_any_line(generator)
    k, k_t = int(generator.integers(1, point["M"])), int(generator.integers(2))
    fitted = np.append(np.where(np.arange(point["M"] - 1) < k, 0.0, -1.0), 1.0 - k_t)
    tight = {"x": (fitted - point["b_t"]) / point["w_t"], "lambda": 0.0}
    return point | {"k": k, "k_t": k_t, "e_t": lambda w, b: energy_by_loop(w, b, tight)}


def at_a_best_bias(generator: np.random.Generator) -> dict[str, Any]:
    """The bias at which a parabola through three energies is lowest, for any weight."""
    point = channel(generator)
    low, middle, high = (energy_by_loop(point["w"], bias, point) for bias in (-1.0, 0.0, 1.0))
    return point | {"b": (low - high) / (2 * (low - 2 * middle + high))}


def with_shared_statistics(generator: np.random.Generator) -> dict[str, Any]:
    """The least energy with the statistics of the whole channel."""
    point = channel(generator)
    return point | {"e_t^*": 1 / point["a"]}


def printed_lines(generator: np.random.Generator) -> dict[str, Any]:
    """Two others with the statistics of the whole channel, and their best line by least squares."""
    point = channel(generator)
    two = [point["mu"] - point["sigma"], point["mu"] + point["sigma"]]
    weight, bias, _ = best_line(point["t"], two, point["lambda"])
    against = point | {"x": [*two, point["t"]]}
    return point | {"w_t": weight, "b_t": bias, "e_t": lambda w, b: energy_by_loop(w, b, against)}


def of_a_map(generator: np.random.Generator) -> dict[str, Any]:
    """A random map, what the module makes of it, and the least energy of each neuron by a fit."""
    x, penalty = generator.normal(generator.normal(), 2, (1, 1, 3, 4)), float(10 ** generator.uniform(-2, 0))
    mu, sigma = float(x.mean()), float(x.std(ddof=1))
    least = np.vectorize(lambda value: least_energy(value, mu, sigma, penalty))(x)
    y = SimAM(lam=penalty)(torch.from_numpy(x)).numpy()
    return {"x": x, "mu": mu, "sigma": sigma, "lambda": penalty, "e^*": least, "y": y}


LEAST_OF_X = meaning(derive()["minimum"].expression).subs(
    {symbol("mu_t"): symbol("mu"), symbol("sigma_t"): symbol("sigma"), t: symbol("x")}
)

# What needs no word beyond the meanings of a channel, and what has the energy as a function besides.
PLAIN = """
    ridge-sums ridge-squares ridge-weight fisher fisher-energy statistics-of-others
    sums weight back-substitution minimum inverse-minimum determinant midpoint
    shared mean-of-others variance-of-others exact-importance exact-cost
    mean-exact-variance share by-share
"""
WITH_ENERGY = "energy-moments excess printed-sign"

EQUATIONS = (
    of_channel(
        "eq-energy-labels",
        TRANSFORMED,
        {"e_t": lambda *_: symbol("energy")},
        numbers=lambda g: (point := with_any_line(g)) | {"e_t": lambda *_: point["energy"]},
    ),
    of_channel("eq-energy", ANY_LINE, {"e_t": energy_in_sums}, with_any_line),
    # An inequality that is sharp: it is proven, and tested, where both sides meet.
    of_channel("eq-mistakes", {}, {"e_t": lambda *_: least_with_mistakes()}, at_the_fewest_misses),
    of_channel("eq-labels", SCALE, {"e_t": energy_in_sums, "etilde_t": labeled_energy}, with_labels),
    of_channel(
        "eq-labels-best", SCALE | {k: step(name, **LABELS) for k, name in TILDES.items()}, {}, with_labels
    ),
    *(of_channel(f"eq-{name}") for name in PLAIN.split()),
    *(of_channel(f"eq-{name}", {}, {"e_t": energy_in_sums}) for name in WITH_ENERGY.split()),
    Equation("eq-expanded-square", lambda g: dict(zip(("w", "b", "x_i"), g.normal(size=3), strict=True))),
    of_channel("eq-bias", {"b": step("bias_of_weight")}, {}, at_a_best_bias),
    of_channel(
        "eq-system",
        {"w": CHANNEL["w_t"], "b": CHANNEL["b_t"]},
        numbers=lambda g: (point := channel(g)) | {"w": point["w_t"], "b": point["b_t"]},
    ),
    of_channel("eq-importance", {"e_t^*": SHARED}, {}, with_shared_statistics),
    of_channel(
        "eq-printed-importance",
        {"w_t": step("weight", MU, VAR), "b_t": step("bias", MU, VAR)},
        {"e_t": printed_energy},
        printed_lines,
    ),
    Equation(
        "eq-simam",
        of_a_map,
        # The sigmoid is half a hyperbolic tangent, raised by one half.
        {
            "e^*": LEAST_OF_X,
            "y": symbol("x") * (1 + sp.tanh(1 / (2 * LEAST_OF_X)).rewrite(sp.exp)) / 2,
        },
    ),
)
