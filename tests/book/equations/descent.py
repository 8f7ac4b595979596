"""The equations on gradient descent: a step, its limits, how many it takes, and its noise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from equations import (
    GRADIENT,
    channel,
    derived,
    energy_in_sums,
    meaning,
    of_channel,
    problem,
    random_channel,
    step,
)
from page_latex import symbol
from page_math import Equation, vanishes
from page_symbols import P1, P2, M, b, lam, t, w
from simam_edu import solvers
from simam_edu.energy import neuron_energy

ETA, L, FROM = symbol("eta"), symbol("L"), symbol("Delta_0")
A = meaning(derived()["hessian"].expression)  # in the mean and the deviation themselves, and not in sums
ROOT = sp.sqrt(A.trace() ** 2 - 4 * A.det())
LARGE, SMALL = (A.trace() + ROOT) / 2, (A.trace() - ROOT) / 2
CURVATURES = {"kappa": LARGE / SMALL, "L": LARGE, "ell": SMALL, "tr A": A.trace(), "det A": A.det()}
OF_ONE = step("gradient", symbol("x_i"), sp.S.Zero)  # a channel with one other neuron
UPDATE = {f"{k}_1": symbol(f"{k}_0") - ETA * symbol(f"G_{k}") for k in ("w", "b")}
LIMIT = max(sp.solve((1 - ETA * L) ** 2 - 1, ETA), key=lambda found: found.subs(L, 1))
P, Q = sp.symbols("p q", positive=True)
# The number of factors (kappa - 1) / (kappa + 1) that multiply to epsilon.
COUNT = {"kappa": 1 + P, "varepsilon": sp.exp(-Q), "k": -Q / (sp.log(P) - sp.log(P + 2))}


def at_a_line(gradient: sp.Matrix) -> Callable[[Any, Any], sp.Matrix]:
    """A gradient as a function of weight and bias."""
    return lambda weight, bias: gradient.subs({w: weight, b: bias}, simultaneous=True)


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


def is_a_step_count(sides: tuple[Any, ...]) -> bool:
    """Whether the first sides are equal, and the last one tends to them for large kappa."""
    count, exact, approximate = sides
    return vanishes(sp.expand_log(count - exact)) and sp.limit(approximate / count, P, sp.oo) == 1


def with_derivatives(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, its gradient and Hessian, and the gradient with one other neuron."""
    point = channel(generator)
    given = problem(point)
    alone = given | {"others": point["x"][:1]}
    hessian = solvers.energy_hessian(**given)
    small, large = np.linalg.eigvalsh(hessian)
    return point | {
        "nabla e_t": lambda w, b: solvers.energy_gradient(w, b, **given)[:, None],
        "G_i": lambda w, b: solvers.energy_gradient(w, b, **alone)[:, None],
        "x_i": point["x"][0],
        "ell": small,
        "L": large,
        "kappa": np.linalg.cond(hessian),
        "tr A": np.trace(hessian),
        "eta_max": solvers.largest_stable_step(**given),
    }


def after_a_step(generator: np.random.Generator) -> dict[str, Any]:
    """The second step that the package takes at a random channel, along an eigenvector, too."""
    given, eta = problem(random_channel(generator)), float(generator.uniform(0.05, 0.5))
    path = solvers.descend(**given, step=eta, max_iterations=2).path[1:]
    names = dict(zip(("w_0", "b_0", "w_1", "b_1"), (float(value) for value in path.ravel()), strict=True))
    slope = solvers.energy_gradient(*path[0], **given)
    best = solvers.solve_linear(**given)
    values, vectors = np.linalg.eigh(solvers.energy_hessian(**given))
    k = int(generator.integers(2))  # the page states it for the larger eigenvalue, and says so of both
    before, after = (float(value) for value in (path - [best.w, best.b]) @ vectors[:, k])
    of_step = {"eta": eta, "G_w": slope[0], "G_b": slope[1], "L": float(values[k])}
    return names | of_step | {"Delta_0": before, "Delta_1": after}


def with_a_count(generator: np.random.Generator) -> dict[str, Any]:
    """A large condition number, and how many factors of the fastest step multiply to epsilon."""
    kappa, epsilon = float(generator.uniform(1e5, 2e5)), float(10 ** generator.uniform(-9, -2))
    factor = np.abs(1 - 2 / (1 + kappa) * np.array([1, kappa])).max()
    count = float(np.emath.logn(factor, epsilon))
    return {
        "kappa": kappa,
        "varepsilon": epsilon,
        "k": count,
        "ln": lambda v: np.nan if v == 1 else np.log(v),
    }


def in_two_coordinates(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, and the same shifted and scaled."""
    point = random_channel(generator)
    c, alpha = generator.normal(0, 3), generator.uniform(0.5, 3)
    moved = {"t'": (point["t"] - c) / alpha, "x'": (point["x"] - c) / alpha}

    def energy(weight: float, bias: float, target: float, x: np.ndarray, penalty: float) -> float:
        return neuron_energy(weight, bias, target, x[:-1], lam=penalty)

    return point | moved | {"c": c, "alpha": alpha, "e_t": energy}


def on_the_floor(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, and its floor over a step size small enough for the first order."""
    given = problem(random_channel(generator))
    eta = 1e-12 * solvers.largest_mean_square_step(**given)
    best = solvers.solve_linear(**given)
    alone = [given | {"others": x} for x in given["others"][:, None]]
    slopes = [solvers.energy_gradient(best.w, best.b, **one) for one in alone]
    floor = solvers.noise_floor(**given, step=eta) / eta
    return {"eta": 1.0, "E": floor, "tr Sigma_G": float(np.var(slopes, axis=0).sum())}


EQUATIONS = {
    "eq-gradient": of_channel({}, {"nabla e_t": at_a_line(GRADIENT)}, with_derivatives),
    "eq-one-neuron": Equation(with_derivatives, functions={"G_i": at_a_line(OF_ONE)}),
    "eq-update": Equation(after_a_step, UPDATE),
    # Along an eigenvector the energy is a parabola: its slope is taken off the distance.
    "eq-contraction": Equation(after_a_step, {"Delta_1": FROM - ETA * (L * FROM**2 / 2).diff(FROM)}),
    "eq-largest-step": Equation(with_derivatives, {"eta_max": LIMIT}),
    "eq-step-count": Equation(with_a_count, COUNT, {"ln": sp.log}, is_a_step_count),
    "eq-condition": Equation(with_derivatives, CURVATURES),
    "eq-shift": Equation(
        in_two_coordinates, {"t'": (t - symbol("c")) / symbol("alpha")}, {"e_t": energy_after_a_shift}
    ),
    "eq-noise-floor": Equation(on_the_floor, {"E": floor_of_first_order()}),
}
