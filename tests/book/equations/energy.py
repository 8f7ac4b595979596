"""The equations of the page on the energy of a neuron, what their names mean, and their numbers."""

from typing import Any

import numpy as np
import sympy as sp

from equations import (
    MU_T,
    OF_OTHERS,
    Equation,
    M,
    b,
    best_line,
    energy_by_loop,
    energy_in_sums,
    lam,
    meaning,
    power_sum,
    random_channel,
    symbol,
    t,
    w,
)
from simam_edu.derivation import derive

Y_T, Y_O = symbol("y_t"), symbol("y_o")
P1, P2 = power_sum(1), power_sum(2)
LABELS = {"target_label": Y_T, "other_label": Y_O}
STEPS, RELABELED = derive(), derive(**LABELS)
BEST = {name: meaning(STEPS[name].expression) for name in ("weight", "bias", "minimum", "determinant")}
SCALE = {"alpha": (Y_T - Y_O) / 2, "c": (Y_T + Y_O) / 2}


def labeled_energy(weight: Any, bias: Any) -> Any:
    """The energy with any two labels."""
    return energy_in_sums(weight, bias, **LABELS)


# The sums on the page run over the transformed others.
TRANSFORMED = {
    "that": symbol("w_t") * t + symbol("b_t"),
    "xhat_i": symbol("w_t") * symbol("x_i") + symbol("b_t"),
    "energy": labeled_energy(symbol("w_t"), symbol("b_t")).subs(lam, 0),
}
# What is left of the two regressions once the bias is the best: the slope at zero, and the curvature.
HESSIAN, GRADIENT = (meaning(STEPS[name].expression) for name in ("hessian", "gradient"))
SUMS = {
    "x_0": (t + MU_T) / 2,
    "S_xy": -GRADIENT[0].subs({w: 0, b: 0}) / 2,
    "S_xx": HESSIAN.det() / HESSIAN[1, 1] / 2 - lam,
}


def with_labels(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, a line, two labels, and the energies by a loop and from the transformed values."""
    point = random_channel(generator)
    weight, bias, y_t, y_o = (float(value) for value in generator.normal(0, 2, 4))

    def energy(weight: float, bias: float, penalty: float = 0.0) -> float:
        # Misses counted from the line: where the line reaches the label, seen from the neuron.
        squares = [(weight * value + bias - y_o) ** 2 for value in point["x"]]
        return float(
            sum(squares) / len(squares) + (weight * point["t"] + bias - y_t) ** 2 + penalty * weight**2
        )

    return point | {
        "w_t": weight,
        "b_t": bias,
        "that": float(np.polyval([weight, bias], point["t"])),
        "xhat": np.polyval([weight, bias], point["x"]),
        "y_t": y_t,
        "y_o": y_o,
        "alpha": float(np.ptp([y_t, y_o]) / 2 * np.sign(y_t - y_o)),
        "c": float(np.mean([y_t, y_o])),
        "e_t": energy,
        "etilde_t": lambda weight, bias: energy(weight, bias, point["lambda"]),
    }


def with_simam_labels(generator: np.random.Generator) -> dict[str, Any]:
    """The same, with the energy of SimAM."""
    point = with_labels(generator)
    return point | {"e_t": lambda weight, bias: energy_by_loop(weight, bias, point)}


def at_the_best_lines(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and what least squares finds for SimAM's labels and for two others."""
    point = with_labels(generator)
    channel = point["t"], point["x"], point["lambda"]
    old, new = best_line(*channel), best_line(*channel, point["y_t"], point["y_o"])
    names = ("w_t", "b_t", "e_t^*")
    tildes = ("wtilde_t", "btilde_t", "etilde_t^*")
    return point | dict(zip(names, old, strict=True)) | dict(zip(tildes, new, strict=True))


def at_a_regression(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, its best line by least squares, and numpy's covariance of values and labels."""
    point = at_the_best_lines(generator)
    values = np.append(point["x"], point["t"])
    labels = np.append(-np.ones(point["M"] - 1), 1.0)
    weights = np.append(np.full(point["M"] - 1, 1 / (point["M"] - 1)), 1.0)
    covariance = 2 * np.cov(values, labels, ddof=0, aweights=weights)
    center = float(np.average(values, weights=weights))
    return point | {"x_0": center, "S_xy": float(covariance[0, 1]), "S_xx": float(covariance[0, 0])}


def at_a_criterion(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, its best line by least squares, and Fisher's criterion of the transformed classes."""
    point = at_the_best_lines(generator)
    ones, rest = np.array([point["w"] * point["t"]]), point["w"] * point["x"]
    within = float(ones.var() + rest.var() + point["lambda"] * point["w"] ** 2)
    return point | {"F": float((ones.mean() - rest.mean()) ** 2 / within)}


def within_classes() -> Any:
    """Fisher's criterion in power sums: means and spread of the two classes after a transform."""
    mean = (w * P1 + (M - 1) * b) / (M - 1)
    mean_square = (w**2 * P2 + 2 * w * b * P1 + (M - 1) * b**2) / (M - 1)
    return (w * t + b - mean) ** 2 / (mean_square - mean**2 + lam * w**2)


def least_with_mistakes() -> Any:
    """The least energy with so many mistakes: that of each neuron on its side, found by sympy."""
    s, k, k_t = sp.Symbol("s", real=True), symbol("k"), symbol("k_t")
    of_other, of_target = (-1 - s) ** 2, (1 - s) ** 2
    below, above = sp.Interval.open(-sp.oo, 0), sp.Interval.open(0, sp.oo)
    wrong, right = (sp.minimum(of_other, s, side) for side in (sp.Interval(0, sp.oo), below))
    missed, hit = (sp.minimum(of_target, s, side) for side in (sp.Interval(-sp.oo, 0), above))
    return k_t * missed + (1 - k_t) * hit + (k * wrong + (M - 1 - k) * right) / (M - 1)


def at_the_fewest_misses(generator: np.random.Generator) -> dict[str, Any]:
    """A channel whose mistakes all lie at zero, and whose other neurons meet their labels."""
    point = random_channel(generator)
    count, k_t = len(point["x"]), int(generator.integers(2))
    k = int(generator.integers(1, count + 1))
    w_t, b_t = point["w"], point["b"]
    fitted = np.where(np.arange(count) < k, 0.0, -1.0)
    tight = {"x": (fitted - b_t) / w_t, "t": (1.0 - k_t - b_t) / w_t, "lambda": 0.0}
    return point | {
        "k": k,
        "k_t": k_t,
        "w_t": w_t,
        "b_t": b_t,
        "e_t": lambda weight, bias: energy_by_loop(weight, bias, point | tight),
    }


EQUATIONS = (
    Equation("eq-energy-labels", with_labels, TRANSFORMED, {"e_t": lambda *_: symbol("energy")}),
    Equation("eq-energy", with_simam_labels, functions={"e_t": energy_in_sums}),
    # An inequality that is sharp: it is proven, and tested, where both sides meet.
    Equation("eq-mistakes", at_the_fewest_misses, functions={"e_t": lambda *_: least_with_mistakes()}),
    Equation("eq-labels", with_simam_labels, SCALE, {"e_t": energy_in_sums, "etilde_t": labeled_energy}),
    Equation(
        "eq-labels-best",
        at_the_best_lines,
        SCALE
        | {"w_t": BEST["weight"], "b_t": BEST["bias"], "e_t^*": BEST["minimum"]}
        | {
            name: meaning(RELABELED[step].expression)
            for name, step in (("wtilde_t", "weight"), ("btilde_t", "bias"), ("etilde_t^*", "minimum"))
        },
    ),
    *(
        Equation(
            label,
            at_a_regression,
            OF_OTHERS
            | {
                name: value.subs({symbol(n): v for n, v in OF_OTHERS.items()}) for name, value in SUMS.items()
            },
        )
        for label in ("eq-ridge-sums", "eq-ridge-squares")
    ),
    Equation(
        "eq-ridge-weight",
        at_a_regression,
        {"w_t": BEST["weight"], "e_t^*": BEST["minimum"]} | {s: SUMS[s] for s in ("S_xy", "S_xx")},
    ),
    Equation("eq-fisher", at_a_criterion, OF_OTHERS | {"F": within_classes()}),
    Equation(
        "eq-fisher-energy",
        at_a_criterion,
        {"e_t^*": BEST["minimum"].subs({symbol(n): v for n, v in OF_OTHERS.items()}), "F": within_classes()},
    ),
)
