"""The registry of the numbered equations by their labels, and what its entries share.

Most equations are about one channel: a target, the others, and what follows from them. ``CHANNEL`` says in
sympy what each name means there, ``channel`` gives its number; :func:`of_channel` is an entry that says only
what is meant otherwise.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from scipy import stats

from page_latex import symbol
from page_math import Equation
from page_symbols import P1, P2, M, b, lam, t, w
from simam_edu import derivation, energy, solvers

# What the statistics mean, as sums of powers: of the others, and of all neurons of the channel.
MU_T = P1 / (M - 1)
VAR_T = P2 / (M - 1) - MU_T**2
MU = (P1 + t) / M
SUM_OF_SQUARES = P2 + t**2 - M * MU**2  # about the mean of all
VAR = SUM_OF_SQUARES / (M - 1)


def registry() -> dict[str, Equation]:
    """Return the entry of every label, whatever page it stands on."""
    modules = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    return {label: entry for module in modules for label, entry in module.EQUATIONS.items()}


def meaning(expression: sp.Basic) -> Any:
    """Return an expression of the package in the symbols of the pages, which are told apart by name only."""
    return expression.xreplace(
        {s: symbol(s.name) for s in expression.free_symbols if isinstance(s, sp.Symbol)}
    )


derived = cache(derivation.derive)  # it takes a while, and every wrong sign asks for it


def step(name: str, mean: Any = MU_T, variance: Any = VAR_T, **labels: Any) -> Any:
    """A step of the derivation, with a mean and a variance in the place of those of the others."""
    statistics = {symbol("mu_t"): mean, symbol("sigma_t"): sp.sqrt(variance)}
    return meaning(derived(**labels)[name].expression).subs(statistics, simultaneous=True)


def energy_in_sums(weight: Any, bias: Any, **labels: Any) -> Any:
    """The energy that a derivation starts from, multiplied out, with power sums of the others."""
    sums = {derivation.SUM: P1, derivation.SUM_OF_SQUARES: P2}
    expanded = meaning(derived(**labels)["expanded_energy"].expression.xreplace(sums))
    return expanded.subs({w: weight, b: bias}, simultaneous=True)


# The least energy, held against the others as derived, and against the whole channel.
EXACT, SHARED = step("minimum"), step("minimum", MU, VAR)
# What is left of the two regressions once the bias is the best: the slope at zero, and the curvature.
HESSIAN, GRADIENT = step("hessian"), step("gradient")

CHANNEL = {
    "mu_t": MU_T,
    "sigma_t": sp.sqrt(VAR_T),
    "mu": MU,
    "sigma": sp.sqrt(VAR),
    "w_t": step("weight"),
    "b_t": step("bias"),
    "e_t^*": EXACT,
    "d_t": t - MU_T,
    "det A": step("determinant"),
    "D": step("determinant") / 4,
    "x_0": step("decision_point"),
    "S_xy": -GRADIENT[0].subs({w: 0, b: 0}) / 2,
    "S_xx": HESSIAN.det() / HESSIAN[1, 1] / 2 - lam,
    # Fisher's criterion: the squared distance of the means of the two classes, over their spread.
    "F": (w * t - w * MU_T) ** 2 / (w**2 * VAR_T + lam * w**2),
    "S": SUM_OF_SQUARES,
    "d": t - MU,
    "gamma": M / (M - 1),
    "u": (t - MU) ** 2 / (SUM_OF_SQUARES + (M - 1) * lam),
    "a": 1 / SHARED,
    "a_t": 1 / EXACT,
    "z": (t - MU) / sp.sqrt(VAR),
    # The studentized residuals: of the regression by a constant, and of a t-test of target and others.
    "r": sp.sqrt((t - MU) ** 2 / (VAR * (1 - 1 / M))),
    "r_t": sp.sqrt((t - MU_T) ** 2 / (VAR_T * (M - 1) / (M - 2) * (1 + 1 / (M - 1)))),
    "s_t": sp.sqrt(VAR_T * (M - 1) / (M - 2)),
}


def random_channel(generator: np.random.Generator) -> dict[str, Any]:
    """Return a channel, its last neuron the target, a penalty, a line, and the statistics by numpy."""
    others = generator.normal(generator.normal(0, 2), generator.uniform(0.5, 2), generator.integers(3, 9))
    x = np.append(others, generator.normal(0, 3))
    names = {"t": x[-1], "lambda": 10 ** generator.uniform(-2, 0), "w": generator.normal()}
    names |= {"b": generator.normal(), "mu_t": others.mean(), "sigma_t": others.std()}
    names |= {"mu": x.mean(), "sigma": x.std(ddof=1)}
    return {"x": x, "M": x.size} | {name: float(value) for name, value in names.items()}


def problem(point: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a solver takes for the target of a channel."""
    return {"t": point["t"], "others": point["x"][:-1], "lam": point["lambda"]}


def energy_of(point: Mapping[str, Any]) -> Callable[[float, float], Any]:
    """The energy of a channel as a function of weight and bias."""
    return lambda weight, bias: energy.neuron_energy(weight, bias, **problem(point))


def least_energy(target: float, mean: float, std: float, penalty: float) -> float:
    """The least energy for two others that have this mean and standard deviation."""
    return solvers.solve_linear(target, np.array([mean - std, mean + std]), lam=penalty).energy


def channel(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and the number of every name of ``CHANNEL``, by solvers, numpy and scipy."""
    point = random_channel(generator)
    x, target, size, penalty = (point[name] for name in ("x", "t", "M", "lambda"))
    best = solvers.solve_linear(**problem(point))
    determinant = float(np.linalg.det(solvers.energy_hessian(**problem(point))))
    # Both classes have the weight of one neuron in the regression of the labels on the values.
    labels, weights = np.append(-np.ones(size - 1), 1.0), np.append(np.full(size - 1, 1 / (size - 1)), 1.0)
    covariance = 2 * np.cov(x, labels, ddof=0, aweights=weights)
    line = point["w"] * x
    within = line[:-1].var() + penalty * point["w"] ** 2
    squares, distance = float(np.sum((x - point["mu"]) ** 2)), target - point["mu"]
    leverage = np.linalg.pinv(np.ones((size, 1)))[0, -1]  # of the regression by a constant
    alpha, c = float(generator.uniform(-3, -0.5)), float(generator.normal(0, 2))
    moved = alpha * x + c
    return point | {
        "e_t": energy_of(point),
        "w_t": best.w,
        "b_t": best.b,
        "e_t^*": best.energy,
        "d_t": target - point["mu_t"],
        "det A": determinant,
        "D": determinant / 4,
        "Delta_w": float(generator.normal()),
        "Delta_b": float(generator.normal()),
        "x_0": -best.b / best.w,
        "S_xy": float(covariance[0, 1]),
        "S_xx": float(covariance[0, 0]),
        "F": float((line[-1] - line[:-1].mean()) ** 2 / within),
        "S": squares,
        "d": distance,
        "gamma": np.float64(size) / (size - 1),
        "u": distance**2 / (squares + (size - 1) * penalty),
        "a": 1 / least_energy(target, point["mu"], point["sigma"], penalty),
        "a_t": 1 / best.energy,
        "z": float(stats.zscore(x, ddof=1)[-1]),
        "r": float(distance / np.sqrt(squares / (size - 1) * (1 - leverage))),
        "r_t": float(stats.ttest_ind(x[-1:], x[:-1]).statistic),
        "s_t": float(x[:-1].std(ddof=1)),
        # The same channel, moved.
        "alpha": alpha,
        "c": c,
        "mu'": float(moved.mean()),
        "sigma'": float(moved.std(ddof=1)),
        "z'": float(stats.zscore(moved, ddof=1)[-1]),
    }


def with_least(mean: str, std: str, *, penalized: bool = True) -> Any:
    """The numbers of a channel, its least energy for these statistics, with or without the penalty."""

    def numbers(generator: np.random.Generator) -> dict[str, Any]:
        point = channel(generator)
        penalty = point["lambda"] if penalized else 0.0
        return point | {"e_t^*": least_energy(point["t"], point[mean], point[std], penalty)}

    return numbers


def of_channel(
    symbols: Mapping[str, Any] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    numbers: Callable[[np.random.Generator], Mapping[str, Any]] = channel,
) -> Equation:
    """An entry about a channel, with what its names mean otherwise."""
    return Equation(numbers, CHANNEL | dict(symbols or {}), functions or {})
