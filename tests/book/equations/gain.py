"""The equations on the gain: a function of the score, its bounds, and how a channel's scale comes in."""

import math
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from scipy import optimize, stats

from equations import (
    CHANNEL,
    EXACT,
    MU,
    P1,
    P2,
    SHARED,
    VAR,
    Equation,
    M,
    channel,
    lam,
    least_energy,
    of_channel,
    step,
    symbol,
    t,
)
from equations.closed_form import with_shared_statistics

ALPHA, C, K, Z = symbol("alpha"), symbol("c"), symbol("k"), symbol("z")
MOVED = {
    P1: ALPHA * P1 + (M - 1) * C,
    P2: ALPHA**2 * P2 + 2 * ALPHA * C * P1 + (M - 1) * C**2,
    t: ALPHA * t + C,
}
EQUAL = {P1: (M - 1) * C, P2: (M - 1) * C**2, t: C + sp.exp(ALPHA)}  # equal others, and a target above them
LEVELS = {P1: K - 1, P2: K - 1, t: 1}  # k ones, the target among them; the rest zeros


def gain(score: Any) -> Any:
    """The sigmoid of the inverse of the least energy, without a penalty, at a score."""
    least = step("minimum", symbol("mu"), symbol("sigma") ** 2).subs(lam, 0)
    return 1 / (1 + sp.exp(-sp.simplify(1 / least.subs(t, symbol("mu") + score * symbol("sigma")))))


def slope(score: Any) -> Any:
    """The derivative of the gain."""
    return sp.diff(gain(Z), Z).subs(Z, score)


def with_equal_others(expression: sp.Expr) -> sp.Expr:
    """An expression in the sums of a channel, for others that are all equal."""
    return sp.powdenest(sp.simplify(expression.subs(EQUAL, simultaneous=True)), force=True)


def gain_in_numbers(score: float) -> float:
    """The gain of a neuron with this score, from a fit, in a channel of mean three and deviation two."""
    return 0.5 + 0.5 * math.tanh(0.5 / least_energy(3 + 2 * score, 3.0, 2.0, 0.0))


def exact_gain(score: Any) -> Any:
    """The same in many digits, for mean zero and deviation one: the misses of the best line, squared."""
    score = mpmath.mpf(score)
    miss, weight = 1 - score**2 / (score**2 + 2), 2 * score / (score**2 + 2)  # both classes miss by this
    return 1 / (1 + mpmath.exp(-1 / (2 * miss**2 + weight**2)))


def at_a_score(generator: np.random.Generator) -> dict[str, Any]:
    """A random score, the gain and its slope as functions, and the lowest gain that a search finds."""
    lowest = optimize.minimize_scalar(gain_in_numbers, bounds=(-2, 3), method="bounded")
    return {
        "z": float(generator.uniform(-3, 3)),
        "g": gain_in_numbers,
        "g'": lambda score: float(mpmath.diff(exact_gain, score)),
        "g_0": float(lowest.fun),
    }


def of_two_channels(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel x and the channel alpha x + c, and the statistics of both by numpy."""
    point, alpha, c = channel(generator), float(generator.uniform(-3, -0.5)), float(generator.normal(0, 2))
    other = alpha * point["x"] + c
    statistics = {"mu'": other.mean(), "sigma'": other.std(ddof=1), "z'": stats.zscore(other, ddof=1)[-1]}
    return point | {"alpha": alpha, "c": c} | {name: float(value) for name, value in statistics.items()}


def without_penalty(mean: str, std: str) -> Any:
    """The numbers of a channel, its least energy without a penalty and with these statistics."""

    def numbers(generator: np.random.Generator) -> dict[str, Any]:
        point = channel(generator)
        return point | {"e_t^*": least_energy(point["t"], point[mean], point[std], 0.0)}

    return numbers


def with_a_spike(generator: np.random.Generator) -> dict[str, Any]:
    """A channel of equal others and one target that differs, and its least energy."""
    size = int(generator.integers(2, 40))
    low, height = generator.normal(), generator.uniform(1, 3)
    values = np.append(np.full(size - 1, low), low + height)
    mu, sigma = float(values.mean()), float(values.std(ddof=1))
    least = least_energy(values[-1], mu, sigma, 0.0)
    return {"t": float(values[-1]), "M": size, "mu": mu, "sigma": sigma, "e_t^*": least}


def with_two_levels(generator: np.random.Generator) -> dict[str, Any]:
    """A channel of two values, and the score of those k that have the first."""
    size = int(generator.integers(4, 40))
    k = int(generator.integers(1, size))
    values = np.where(np.arange(size) < k, generator.normal(4), generator.normal(-4))
    return {"M": size, "k": k, "z": float(stats.zscore(values, ddof=1)[0])}


OF_ALL = {"e_t^*": SHARED}
PRIMES = {name: CHANNEL[name].subs(MOVED, simultaneous=True) for name in ("mu", "sigma", "z")}
TWO = {f"{name}'": value for name, value in PRIMES.items()}

EQUATIONS = (
    *(of_channel(f"eq-{name}") for name in ("score", "budget", "residuals", "inflation", "score-residual")),
    of_channel("eq-importance-score", OF_ALL, {}, with_shared_statistics),
    of_channel("eq-below-two", OF_ALL, {}, with_shared_statistics),
    of_channel("eq-internal", {"e_t^*": SHARED.subs(lam, 0)}, {}, without_penalty("mu", "sigma")),
    of_channel("eq-external", {"e_t^*": EXACT.subs(lam, 0)}, {}, without_penalty("mu_t", "sigma_t")),
    of_channel("eq-affine", TWO, {}, of_two_channels),
    of_channel("eq-penalty-scale", TWO, {}, of_two_channels),
    Equation("eq-gain-of-score", at_a_score, functions={"g": gain}),
    Equation("eq-gain-slope", at_a_score, functions={"g": gain, "g'": slope}),
    Equation("eq-floor", at_a_score, {"g_0": gain(sp.solve(slope(Z), Z)[0])}),  # the only flat place
    # Two inequalities that are sharp: they are proven, and tested, where both sides meet.
    Equation(
        "eq-samuelson",
        with_a_spike,
        {"t": EQUAL[t], "mu": with_equal_others(MU), "sigma": sp.sqrt(with_equal_others(VAR))},
    ),
    Equation("eq-cap", with_a_spike, {"e_t^*": with_equal_others(SHARED.subs(lam, 0))}),
    Equation("eq-masking", with_two_levels, {"z": CHANNEL["z"].subs(LEVELS, simultaneous=True)}),
)
