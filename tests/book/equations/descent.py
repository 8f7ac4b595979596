"""The equations of the page on gradient descent, what their names mean, and their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from scipy import optimize

from equations import (
    MU_T,
    VAR_T,
    Equation,
    M,
    b,
    energy_by_loop,
    hessian_by_differences,
    lam,
    meaning,
    power_sum,
    random_channel,
    symbol,
    t,
    w,
)
from simam_edu import solvers
from simam_edu.derivation import derive

STEPS = {name: meaning(derive()[name].expression) for name in ("moment_energy", "hessian")}
HESSIAN = STEPS["hessian"]
ENERGY = STEPS["moment_energy"].subs({symbol("mu_t"): MU_T, symbol("sigma_t"): sp.sqrt(VAR_T)})
ETA, FROM = symbol("eta"), symbol("Delta_0")
TRACE, DET = HESSIAN.trace(), HESSIAN.det()
LARGE = (TRACE + sp.sqrt(TRACE**2 - 4 * DET)) / 2
SMALL = (TRACE - sp.sqrt(TRACE**2 - 4 * DET)) / 2


def gradient(weight: Any, bias: Any) -> sp.Matrix:
    """The derivatives of the energy, which has mean and variance of the others in it, in power sums."""
    return sp.Matrix([ENERGY.diff(w), ENERGY.diff(b)]).subs({w: weight, b: bias}, simultaneous=True)


def gradient_of_one(weight: Any, bias: Any) -> sp.Matrix:
    """The derivatives of the energy of a channel with one other neuron."""
    energy = (1 - (w * t + b)) ** 2 + (-1 - (w * symbol("x_i") + b)) ** 2 + lam * w**2
    return sp.Matrix([energy.diff(w), energy.diff(b)]).subs({w: weight, b: bias}, simultaneous=True)


def lowest_of_the_model() -> dict[str, Any]:
    """Where the tangent plane at a point, plus the squared distance over twice the step size, is lowest."""
    w_0, b_0, w_1, b_1 = (symbol(name) for name in ("w_0", "b_0", "w_1", "b_1"))
    slope = gradient(w_0, b_0)
    away = sp.Matrix([w_1 - w_0, b_1 - b_0])
    model = slope.dot(away) + away.dot(away) / (2 * ETA)
    found = sp.solve([model.diff(w_1), model.diff(b_1)], [w_1, b_1], dict=True)[0]
    return {"w_1": found[w_1], "b_1": found[b_1], "G_w": slope[0], "G_b": slope[1]}


def energy_after_a_shift(weight: Any, bias: Any, target: Any, values: Any, penalty: Any) -> Any:
    """The energy in power sums of the others, which may be those of shifted and scaled values."""
    first, second = power_sum(1), power_sum(2)
    if values == symbol("x'"):
        c, alpha = symbol("c"), symbol("alpha")
        second = (second - 2 * c * first + (M - 1) * c**2) / alpha**2
        first = (first - (M - 1) * c) / alpha
    of_others = (1 + bias) ** 2 + (2 * weight * (1 + bias) * first + weight**2 * second) / (M - 1)
    return of_others + (1 - weight * target - bias) ** 2 + penalty * weight**2


def floor_of_first_order() -> sp.Expr:
    """Half the trace of A Gamma for the Gamma that solves A Gamma + Gamma A = eta Sigma_G, all symmetric."""
    a11, a12, a22, c11, c12, c22, s11, s12 = sp.symbols("a11 a12 a22 c11 c12 c22 s11 s12", real=True)
    A, Gamma = sp.Matrix([[a11, a12], [a12, a22]]), sp.Matrix([[c11, c12], [c12, c22]])
    Sigma = sp.Matrix([[s11, s12], [s12, symbol("tr Sigma_G") - s11]])
    balance = A * Gamma + Gamma * A - ETA * Sigma
    found = sp.solve([balance[0, 0], balance[0, 1], balance[1, 1]], [c11, c12, c22], dict=True)[0]
    return (A * Gamma).trace().subs(found) / 2


def slope_by_differences(point: Mapping[str, Any]) -> Any:
    """The gradient of the energy by central differences, which for a quadratic function are exact."""

    def slope(weight: float, bias: float) -> np.ndarray:
        at = np.array([weight, bias])
        pairs = [(energy_by_loop(*(at + e), point), energy_by_loop(*(at - e), point)) for e in np.eye(2) / 2]
        return np.array([[high - low] for high, low in pairs])

    return slope


def with_a_slope(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, a line, and the gradient there."""
    point = random_channel(generator)
    return point | {"nabla e_t": slope_by_differences(point)}


def with_one_other(generator: np.random.Generator) -> dict[str, Any]:
    """The same, for a channel with one other neuron."""
    point = random_channel(generator)
    alone = point | {"x": point["x"][:1]}
    values = {name: point[name] for name in ("t", "w", "b", "lambda")}
    return values | {"x_i": float(point["x"][0]), "G_i": slope_by_differences(alone)}


def after_a_step(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and the first step that the package takes there."""
    point = random_channel(generator)
    eta = float(generator.uniform(0.05, 0.5))
    path = solvers.descend(
        point["t"], point["x"], lam=point["lambda"], step=eta, start=(0.3, -0.7), max_iterations=1
    ).path
    names = dict(zip(("w_0", "b_0", "w_1", "b_1"), (float(value) for value in path.ravel()), strict=True))
    slope = slope_by_differences(point)(names["w_0"], names["b_0"])
    return names | {"eta": eta, "G_w": float(slope[0, 0]), "G_b": float(slope[1, 0])}


def along_an_eigenvector(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel and the distances from its minimum along an eigenvector, before and after a step."""
    point = random_channel(generator)
    channel, eta = (point["t"], point["x"]), float(generator.uniform(0.05, 0.5))
    best = solvers.solve_linear(*channel, lam=point["lambda"])
    values, vectors = np.linalg.eigh(solvers.energy_hessian(*channel, lam=point["lambda"]))
    k = int(generator.integers(2))  # the page states it for the larger eigenvalue, and says so of both
    start = tuple(generator.normal(0, 3, 2))
    path = solvers.descend(*channel, lam=point["lambda"], step=eta, start=start, max_iterations=1).path
    before, after = (float(value) for value in (path - [best.w, best.b]) @ vectors[:, k])
    return {"Delta_0": before, "Delta_1": after, "eta": eta, "L": float(values[k])}


def with_curvatures(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, its Hessian by second differences, and what numpy finds about it."""
    point = random_channel(generator)
    hessian = hessian_by_differences(point)
    small, large = np.linalg.eigvalsh(hessian)
    return point | {
        "ell": float(small),
        "L": float(large),
        "kappa": float(np.linalg.cond(hessian)),
        "tr A": float(np.trace(hessian)),
        "det A": float(np.linalg.det(hessian)),
    }


def at_the_limit(generator: np.random.Generator) -> dict[str, Any]:
    """The step size at which the matrix of a step stops shrinking, found by a search."""
    point = random_channel(generator)
    hessian = solvers.energy_hessian(point["t"], point["x"], lam=point["lambda"])

    def growth(eta: float) -> float:
        return float(np.abs(np.linalg.eigvals(np.eye(2) - eta * hessian)).max() - 1)

    least = 1 / np.linalg.norm(hessian)  # where the steps still shrink
    return {"L": float(np.linalg.norm(hessian, 2)), "eta_max": optimize.brentq(growth, least, 1, xtol=1e-15)}


def with_a_count(generator: np.random.Generator) -> dict[str, Any]:
    """A condition number and the number of factors that multiply to epsilon."""
    kappa, epsilon = float(generator.uniform(50, 500)), float(10 ** generator.uniform(-9, -2))
    best = optimize.minimize_scalar(
        lambda eta: max(abs(1 - eta), abs(1 - eta * kappa)), bounds=(0, 1), method="bounded"
    )
    # The best factor by a search has few digits, so the exact one is polished where both are equal.
    eta = optimize.brentq(lambda eta: 1 - eta - (eta * kappa - 1), best.x / 2, 2 * best.x, xtol=1e-15)
    k = optimize.brentq(lambda k: (1 - eta) ** k - epsilon, 0, 1e5, xtol=1e-9)
    return {"kappa": kappa, "varepsilon": epsilon, "k": k, "ln": lambda v: np.nan if v == 1 else np.log(v)}


def is_a_step_count(sides: tuple[Any, ...]) -> bool:
    """Whether so many equal factors multiply to epsilon, and the last side tends to this for large kappa."""
    p = sp.Symbol("p", positive=True)
    known = {symbol("kappa"): 1 + p, symbol("varepsilon"): sp.exp(-sp.Symbol("q", positive=True))}
    _, exact, approximate = (sp.sympify(side).subs(known) for side in sides)
    if exact.has(sp.zoo, sp.nan, sp.I) or exact == 0:
        return False
    factor, epsilon = p / (2 + p), known[symbol("varepsilon")]  # the factor of a step with kappa = 1 + p
    product = sp.simplify(exact * sp.log(factor) - sp.log(epsilon))
    numbers = [product.subs({p: value, "q": 2}).evalf() for value in (sp.Rational(1, 3), 7)]
    equal = sp.expand_log(product, force=True).equals(0) and all(abs(value) < 1e-12 for value in numbers)
    return bool(equal and sp.limit(sp.simplify(approximate / exact), p, sp.oo) == 1)


def counts_steps(sides: tuple[Any, ...]) -> bool:
    """The same in numbers: the approximation is of second order in one over kappa."""
    k, exact, approximate = sides
    return bool(np.isclose(k, exact, rtol=1e-7) and np.isclose(approximate, exact, rtol=1e-3))


@dataclass(frozen=True)
class Others:
    """The values of the others, as one thing that a function is applied to."""

    values: np.ndarray


def in_two_coordinates(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, and the same shifted and scaled."""
    point = random_channel(generator)
    c, alpha = float(generator.normal(0, 3)), float(generator.uniform(0.5, 3))

    def energy(weight: float, bias: float, target: float, others: Others, penalty: float) -> float:
        return energy_by_loop(weight, bias, {"t": target, "x": others.values, "lambda": penalty})

    values = {name: point[name] for name in ("w", "b", "t", "lambda")} | {"c": c, "alpha": alpha}
    moved = {"t'": (point["t"] - c) / alpha, "x'": Others((point["x"] - c) / alpha)}
    return values | moved | {"x": Others(point["x"]), "e_t": energy}


def on_the_floor(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, a step size small enough for the first order, and the exact floor there."""
    point = random_channel(generator)
    channel, lam = (point["t"], point["x"]), point["lambda"]
    eta = 1e-9 * solvers.largest_mean_square_step(*channel, lam=lam)
    best = solvers.solve_linear(*channel, lam=lam)
    slopes = [
        slope_by_differences(point | {"x": point["x"][k : k + 1]})(best.w, best.b).ravel()
        for k in range(len(point["x"]))
    ]
    return {
        "eta": eta,
        "E": solvers.noise_floor(*channel, lam=lam, step=eta),
        "tr Sigma_G": float(np.var(slopes, axis=0).sum()),
    }


def same_to_first_order(sides: tuple[Any, ...]) -> bool:
    """Whether both sides are equal up to a relative difference of the order of the step size."""
    return bool(np.isclose(sides[0], sides[1], rtol=1e-6, atol=0))


EQUATIONS = (
    Equation("eq-gradient", with_a_slope, functions={"nabla e_t": gradient}),
    Equation("eq-update", after_a_step, lowest_of_the_model()),
    Equation(
        "eq-contraction",
        # Along an eigenvector the energy is a parabola: its slope is taken off the distance.
        symbols={"Delta_1": FROM - ETA * (symbol("L") * FROM**2 / 2).diff(FROM)},
        numbers=along_an_eigenvector,
    ),
    Equation(
        "eq-largest-step",
        at_the_limit,
        {
            "eta_max": max(
                sp.solve((1 - ETA * symbol("L")) ** 2 - 1, ETA), key=lambda e: e.subs(symbol("L"), 1)
            )
        },
    ),
    Equation(
        "eq-step-count", with_a_count, functions={"ln": sp.log}, proof=is_a_step_count, check=counts_steps
    ),
    Equation(
        "eq-condition",
        with_curvatures,
        {"kappa": LARGE / SMALL, "L": LARGE, "ell": SMALL, "tr A": TRACE, "det A": DET},
    ),
    Equation(
        "eq-shift",
        in_two_coordinates,
        {"t'": (t - symbol("c")) / symbol("alpha")},
        {"e_t": energy_after_a_shift},
    ),
    Equation("eq-one-neuron", with_one_other, functions={"G_i": gradient_of_one}),
    Equation("eq-noise-floor", on_the_floor, {"E": floor_of_first_order()}, check=same_to_first_order),
)
