"""The equations on gradient descent: a step, its limits, how many it takes, and its noise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from scipy import optimize

from equations import (
    GRADIENT,
    P1,
    P2,
    Equation,
    M,
    b,
    channel,
    energy_by_loop,
    energy_in_sums,
    hessian_by_differences,
    lam,
    meaning,
    of_channel,
    random_channel,
    step,
    symbol,
    t,
    w,
)
from simam_edu import solvers
from simam_edu.derivation import derive

ETA, L, FROM = symbol("eta"), symbol("L"), symbol("Delta_0")
A = meaning(derive()["hessian"].expression)  # in the mean and the deviation themselves, and not in sums
ROOT = sp.sqrt(A.trace() ** 2 - 4 * A.det())
LARGE, SMALL = (A.trace() + ROOT) / 2, (A.trace() - ROOT) / 2
CURVATURES = {"kappa": LARGE / SMALL, "L": LARGE, "ell": SMALL, "tr A": A.trace(), "det A": A.det()}
OF_ONE = step("gradient", symbol("x_i"), sp.S.Zero)  # a channel with one other neuron
KAPPA, Q = 1 + sp.Symbol("p", positive=True), sp.Symbol("q", positive=True)
STEPS_TO = {"kappa": KAPPA, "varepsilon": sp.exp(-Q)}


def at_a_line(gradient: sp.Matrix) -> Callable[[Any, Any], sp.Matrix]:
    """A gradient as a function of weight and bias."""
    return lambda weight, bias: gradient.subs({w: weight, b: bias}, simultaneous=True)


def lowest_of_the_model() -> dict[str, Any]:
    """Where the tangent plane at a point, plus the squared distance over twice the step size, is lowest."""
    w_0, b_0, w_1, b_1 = (symbol(name) for name in ("w_0", "b_0", "w_1", "b_1"))
    away = sp.Matrix([w_1 - w_0, b_1 - b_0])
    model = sp.Matrix([symbol("G_w"), symbol("G_b")]).dot(away) + away.dot(away) / (2 * ETA)
    found = sp.solve([model.diff(w_1), model.diff(b_1)], [w_1, b_1])
    return {"w_1": found[w_1], "b_1": found[b_1]}


def energy_after_a_shift(weight: Any, bias: Any, target: Any, values: Any, penalty: Any) -> Any:
    """The energy in power sums of the others, which may be those of shifted and scaled values."""
    others = {t: target, lam: penalty}
    if values == symbol("x'"):
        c, alpha = symbol("c"), symbol("alpha")
        others |= {P1: (P1 - (M - 1) * c) / alpha, P2: (P2 - 2 * c * P1 + (M - 1) * c**2) / alpha**2}
    return energy_in_sums(w, b).subs({w: weight, b: bias} | others, simultaneous=True)


def floor_of_first_order() -> sp.Expr:
    """Half the trace of H Gamma for the Gamma that solves H Gamma + Gamma H = eta Sigma_G, all symmetric."""
    a11, a12, a22, c11, c12, c22, s11, s12 = sp.symbols("a11 a12 a22 c11 c12 c22 s11 s12", real=True)
    H, Gamma = sp.Matrix([[a11, a12], [a12, a22]]), sp.Matrix([[c11, c12], [c12, c22]])
    Sigma = sp.Matrix([[s11, s12], [s12, symbol("tr Sigma_G") - s11]])
    balance = H * Gamma + Gamma * H - ETA * Sigma
    found = sp.solve([balance[0, 0], balance[0, 1], balance[1, 1]], [c11, c12, c22], dict=True)[0]
    return (H * Gamma).trace().subs(found) / 2


def slope_by_differences(point: Mapping[str, Any]) -> Any:
    """The gradient of the energy by central differences, which for a quadratic function are exact."""

    def slope(weight: float, bias: float) -> np.ndarray:
        at = np.array([weight, bias])
        pairs = [(energy_by_loop(*(at + e), point), energy_by_loop(*(at - e), point)) for e in np.eye(2) / 2]
        return np.array([[high - low] for high, low in pairs])

    return slope


def with_slopes(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, the gradient of its energy, and that with one other neuron."""
    point = channel(generator)
    alone = {"x": point["x"][[0, -1]], "lambda": point["lambda"]}
    slopes = {"nabla e_t": slope_by_differences(point), "G_i": slope_by_differences(alone)}
    return point | slopes | {"x_i": float(point["x"][0])}


def after_a_step(generator: np.random.Generator) -> dict[str, Any]:
    """The first step that the package takes at a random channel, along an eigenvector, too."""
    point, eta = random_channel(generator), float(generator.uniform(0.05, 0.5))
    others, lam = (point["t"], point["x"][:-1]), point["lambda"]
    path = solvers.descend(*others, lam=lam, step=eta, max_iterations=2).path[1:]
    names = dict(zip(("w_0", "b_0", "w_1", "b_1"), (float(value) for value in path.ravel()), strict=True))
    slope = slope_by_differences(point)(names["w_0"], names["b_0"]).ravel()
    best = solvers.solve_linear(*others, lam=lam)
    values, vectors = np.linalg.eigh(solvers.energy_hessian(*others, lam=lam))
    k = int(generator.integers(2))  # the page states it for the larger eigenvalue, and says so of both
    before, after = (float(value) for value in (path - [best.w, best.b]) @ vectors[:, k])
    of_step = {"eta": eta, "G_w": slope[0], "G_b": slope[1], "L": float(values[k])}
    return names | of_step | {"Delta_0": before, "Delta_1": after}


def with_curvatures(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, and what numpy finds about the second differences of its energy."""
    point = channel(generator)
    hessian = hessian_by_differences(point)
    small, large = (float(value) for value in np.linalg.eigvalsh(hessian))
    trace = float(np.trace(hessian))
    return point | {"ell": small, "L": large, "kappa": float(np.linalg.cond(hessian)), "tr A": trace}


def at_the_limit(generator: np.random.Generator) -> dict[str, Any]:
    """The step size at which the matrix of a step stops shrinking, found by a search."""
    point = random_channel(generator)
    hessian = hessian_by_differences(point)

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
    _, exact, approximate = (sp.sympify(side) for side in sides)
    if exact.has(sp.zoo, sp.nan, sp.I) or exact == 0:
        return False
    p = KAPPA - 1
    factor, epsilon = p / (KAPPA + 1), STEPS_TO["varepsilon"]  # the factor of a step
    product = sp.simplify(exact * sp.log(factor) - sp.log(epsilon))
    numbers = [product.subs({p: value, Q: 2}).evalf() for value in (sp.Rational(1, 3), 7)]
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
    others = point["x"][:-1]
    c, alpha = float(generator.normal(0, 3)), float(generator.uniform(0.5, 3))

    def energy(weight: float, bias: float, target: float, others: Others, penalty: float) -> float:
        return energy_by_loop(weight, bias, {"x": [*others.values, target], "lambda": penalty})

    values = {name: point[name] for name in ("w", "b", "t", "lambda")} | {"c": c, "alpha": alpha}
    moved = {"t'": (point["t"] - c) / alpha, "x'": Others((others - c) / alpha)}
    return values | moved | {"x": Others(others), "e_t": energy}


def on_the_floor(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, a step size small enough for the first order, and the exact floor there."""
    point = random_channel(generator)
    others, lam = (point["t"], point["x"][:-1]), point["lambda"]
    eta = 1e-9 * solvers.largest_mean_square_step(*others, lam=lam)
    best = solvers.solve_linear(*others, lam=lam)
    alone = [{"x": [value, point["t"]], "lambda": lam} for value in point["x"][:-1]]
    slopes = [slope_by_differences(one)(best.w, best.b).ravel() for one in alone]
    return {
        "eta": eta,
        "E": solvers.noise_floor(*others, lam=lam, step=eta),
        "tr Sigma_G": float(np.var(slopes, axis=0).sum()),
    }


def same_to_first_order(sides: tuple[Any, ...]) -> bool:
    """Whether both sides are equal up to a relative difference of the order of the step size."""
    return bool(np.isclose(sides[0], sides[1], rtol=1e-6, atol=0))


EQUATIONS = (
    of_channel("eq-gradient", {}, {"nabla e_t": at_a_line(GRADIENT)}, with_slopes),
    Equation("eq-one-neuron", with_slopes, functions={"G_i": at_a_line(OF_ONE)}),
    Equation("eq-update", after_a_step, lowest_of_the_model()),
    # Along an eigenvector the energy is a parabola: its slope is taken off the distance.
    Equation("eq-contraction", after_a_step, {"Delta_1": FROM - ETA * (L * FROM**2 / 2).diff(FROM)}),
    Equation(
        "eq-largest-step",
        at_the_limit,
        {"eta_max": max(sp.solve((1 - ETA * L) ** 2 - 1, ETA), key=lambda found: found.subs(L, 1))},
    ),
    Equation("eq-step-count", with_a_count, STEPS_TO, {"ln": sp.log}, is_a_step_count, counts_steps),
    Equation("eq-condition", with_curvatures, CURVATURES),
    Equation(
        "eq-shift",
        in_two_coordinates,
        {"t'": (t - symbol("c")) / symbol("alpha")},
        {"e_t": energy_after_a_shift},
    ),
    Equation("eq-noise-floor", on_the_floor, {"E": floor_of_first_order()}, check=same_to_first_order),
)
