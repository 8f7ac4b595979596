"""The equations of the page on the gain, what their names mean, and their numbers."""

import math
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from scipy import optimize, stats

from equations import (
    EXACT,
    LEAST,
    MU,
    MU_T,
    OF_ALL,
    OF_OTHERS,
    SHARED,
    VAR,
    VAR_T,
    Equation,
    M,
    lam,
    least_energy,
    power_sum,
    random_channel,
    symbol,
    t,
)

P1, P2, Z = power_sum(1), power_sum(2), symbol("z")
ALPHA, C, K = symbol("alpha"), symbol("c"), symbol("k")
SCORE = (t - MU) / sp.sqrt(VAR)
INTERNAL = sp.sqrt((t - MU) ** 2 / (VAR * (1 - 1 / M)))
EXTERNAL = sp.sqrt((t - MU_T) ** 2 / (VAR_T * (M - 1) / (M - 2) * (1 + 1 / (M - 1))))  # of a t-test
MOVED = {
    P1: ALPHA * P1 + (M - 1) * C,
    P2: ALPHA**2 * P2 + 2 * ALPHA * C * P1 + (M - 1) * C**2,
    t: ALPHA * t + C,
}
EQUAL = {P1: (M - 1) * C, P2: (M - 1) * C**2, t: C + sp.exp(ALPHA)}  # equal others, and a target above them
LEVELS = {P1: K - 1, P2: K - 1, t: 1}  # k ones, the target among them; the rest zeros


def gain(score: Any) -> Any:
    """The sigmoid of the inverse of the least energy, without a penalty, at a score."""
    mu_t, sigma_t = symbol("mu_t"), symbol("sigma_t")
    return 1 / (1 + sp.exp(-sp.simplify(1 / LEAST.subs(lam, 0).subs(t, mu_t + score * sigma_t))))


def slope(score: Any) -> Any:
    """The derivative of the gain."""
    return sp.diff(gain(Z), Z).subs(Z, score)


def moved(expression: sp.Expr) -> sp.Expr:
    """An expression in the sums of a channel, for the channel multiplied by alpha with c added."""
    return expression.subs(MOVED, simultaneous=True)


def with_equal_others(expression: sp.Expr) -> sp.Expr:
    """An expression in the sums of a channel, for others that are all equal."""
    return sp.powdenest(sp.simplify(expression.subs(EQUAL, simultaneous=True)), force=True)


def gain_in_numbers(score: float) -> float:
    """The gain of a neuron with this score, from a fit, in a channel of mean three and deviation two."""
    return 0.5 + 0.5 * math.tanh(0.5 / least_energy(3 + 2 * score, 3.0, 2.0, 0.0))


def exact_gain(score: Any) -> Any:
    """The same in many digits, for mean zero and deviation one: the misses of the best line, squared."""
    top = 1 - mpmath.mpf(score) ** 2 / (mpmath.mpf(score) ** 2 + 2)  # both classes miss by this
    weight = 2 * mpmath.mpf(score) / (mpmath.mpf(score) ** 2 + 2)
    return 1 / (1 + mpmath.exp(-1 / (2 * top**2 + weight**2)))


def at_a_channel(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, the score of its target and the least energy with the shared statistics."""
    point = random_channel(generator)
    channel = np.append(point["x"], point["t"])
    least = least_energy(point["t"], point["mu"], point["sigma"], point["lambda"])
    return point | {"z": float(stats.zscore(channel, ddof=1)[-1]), "e_t^*": least}


def at_a_score(generator: np.random.Generator) -> dict[str, Any]:
    """A random score, and the gain and its slope as functions."""
    return {
        "z": float(generator.uniform(-3, 3)),
        "g": gain_in_numbers,
        "g'": lambda score: float(mpmath.diff(exact_gain, score)),
    }


def at_the_floor(_: np.random.Generator) -> dict[str, Any]:
    """The lowest gain that a search over the scores finds."""
    found = optimize.minimize_scalar(gain_in_numbers, bounds=(-2, 3), method="bounded")
    return {"g_0": float(found.fun)}


def of_all_neurons(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel with all of its neurons in x."""
    point = random_channel(generator)
    return point | {"x": np.append(point["x"], point["t"])}


def of_two_channels(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel x and the channel alpha x + c, and the statistics of both by numpy."""
    point = at_a_channel(generator)
    alpha, c = float(generator.uniform(-3, -0.5)), float(generator.normal(0, 2))
    other = alpha * np.append(point["x"], point["t"]) + c
    primes = {
        "mu'": float(other.mean()),
        "sigma'": float(other.std(ddof=1)),
        "z'": float(stats.zscore(other, ddof=1)[-1]),
    }
    return point | primes | {"alpha": alpha, "c": c}


def with_residuals(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, its least energy without a penalty, and its studentized residuals by two regressions.

    The internal residual comes from a fit by a constant and its hat matrix. The external one is the t of a
    second column that is one for the target only.
    """
    point = at_a_channel(generator)
    values = np.append(point["x"], point["t"])
    constant = np.ones((values.size, 1))
    hat = constant @ np.linalg.pinv(constant)
    residuals = values - hat @ values
    internal = residuals[-1] / math.sqrt(residuals @ residuals / (values.size - 1) * (1 - hat[-1, -1]))
    design = np.column_stack([constant, np.arange(values.size) == values.size - 1])
    fit, *_ = np.linalg.lstsq(design, values)
    noise = np.sum((values - design @ fit) ** 2) / (values.size - 2)
    external = fit[1] / math.sqrt(noise * np.linalg.inv(design.T @ design)[1, 1])
    return point | {
        "r": float(internal),
        "r_t": float(external),
        "s_t": float(np.std(point["x"], ddof=1)),
        "e_t^*": least_energy(point["t"], point["mu"], point["sigma"], 0.0),
    }


def with_exact_statistics(generator: np.random.Generator) -> dict[str, Any]:
    """The same, with the least energy against the others."""
    point = with_residuals(generator)
    return point | {"e_t^*": least_energy(point["t"], point["mu_t"], point["sigma_t"], 0.0)}


def with_a_spike(generator: np.random.Generator) -> dict[str, Any]:
    """A channel of equal others and one target that differs, and its least energy."""
    size = int(generator.integers(2, 40))
    low, height = generator.normal(), generator.uniform(1, 3)
    channel = np.append(np.full(size - 1, low), low + height)
    mu, sigma = float(channel.mean()), float(channel.std(ddof=1))
    least = least_energy(channel[-1], mu, sigma, 0.0)
    return {"t": float(channel[-1]), "M": size, "mu": mu, "sigma": sigma, "e_t^*": least}


def with_two_levels(generator: np.random.Generator) -> dict[str, Any]:
    """A channel of two values, and the score of those k that have the first."""
    size = int(generator.integers(4, 40))
    k = int(generator.integers(1, size))
    channel = np.where(np.arange(size) < k, generator.normal(4), generator.normal(-4))
    return {"M": size, "k": k, "z": float(stats.zscore(channel, ddof=1)[0])}


EQUATIONS = (
    Equation("eq-score", at_a_channel, OF_ALL | {"z": SCORE}),
    Equation("eq-importance-score", at_a_channel, OF_ALL | {"z": SCORE, "e_t^*": SHARED}),
    Equation("eq-gain-of-score", at_a_score, functions={"g": gain}),
    Equation("eq-gain-slope", at_a_score, functions={"g": gain, "g'": slope}),
    Equation("eq-below-two", at_a_channel, OF_ALL | {"e_t^*": SHARED}),
    Equation(
        "eq-floor",
        symbols={"g_0": gain(sp.solve(slope(Z), Z)[0])},  # the only flat place
        numbers=at_the_floor,
    ),
    Equation("eq-budget", of_all_neurons, OF_ALL),
    Equation(
        "eq-affine",
        of_two_channels,
        OF_ALL
        | {"z": SCORE, "mu'": moved(MU), "sigma'": sp.sqrt(moved(VAR))}
        | {"z'": moved(t - MU) / sp.sqrt(moved(VAR))},
    ),
    Equation(
        "eq-residuals",
        with_residuals,
        OF_ALL | {"r": INTERNAL, "r_t": EXTERNAL, "s_t": sp.sqrt(VAR_T * (M - 1) / (M - 2))},
    ),
    Equation("eq-internal", with_residuals, {"r": INTERNAL, "e_t^*": SHARED.subs(lam, 0)}),
    Equation("eq-external", with_exact_statistics, {"r_t": EXTERNAL, "e_t^*": EXACT.subs(lam, 0)}),
    Equation("eq-inflation", random_channel, OF_ALL | OF_OTHERS),
    Equation("eq-score-residual", with_residuals, {"z": SCORE, "r_t": EXTERNAL}),
    # Two inequalities that are sharp: they are proven, and tested, where both sides meet.
    Equation(
        "eq-samuelson",
        with_a_spike,
        {"t": EQUAL[t], "mu": with_equal_others(MU), "sigma": sp.sqrt(with_equal_others(VAR))},
    ),
    Equation("eq-cap", with_a_spike, {"e_t^*": with_equal_others(SHARED.subs(lam, 0))}),
    Equation("eq-masking", with_two_levels, {"z": SCORE.subs(LEVELS, simultaneous=True)}),
    Equation("eq-penalty-scale", of_two_channels, OF_ALL | {"sigma'": sp.sqrt(moved(VAR))}),
)
