"""The equations on the gain: a function of the score, its bounds, and how a channel's scale comes in."""

from typing import Any

import numpy as np
import sympy as sp
from scipy import differentiate, optimize, stats

from equations import CHANNEL, EXACT, MU, SHARED, VAR, least_energy, of_channel, step, with_least
from page_latex import symbol
from page_math import Equation
from page_symbols import P1, P2, M, lam, mu, sigma, t, z
from simam_edu import energy

ALPHA, C, K = symbol("alpha"), symbol("c"), symbol("k")
MOVED = {
    P1: ALPHA * P1 + (M - 1) * C,
    P2: ALPHA**2 * P2 + 2 * ALPHA * C * P1 + (M - 1) * C**2,
    t: ALPHA * t + C,
}
EQUAL = {P1: (M - 1) * C, P2: (M - 1) * C**2, t: C + sp.exp(ALPHA)}  # equal others, and a target above them
LEVELS = {P1: K - 1, P2: K - 1, t: 1}  # k ones, the target among them; the rest zeros
# t and the others of P1 and P2 are the M - k neurons of a picture; its border lies at their mean.
MEAN = (P1 + t) / (M - K)
SQUARES = P2 + t**2 - (M - K) * MEAN**2
BORDERED = {P1: P1 + K * MEAN, P2: P2 + K * MEAN**2}


def gain(score: Any) -> Any:
    """The sigmoid of the inverse of the least energy, without a penalty, at a score."""
    least = step("minimum", mu, sigma**2).subs(lam, 0)
    return 1 / (1 + sp.exp(-sp.simplify(1 / least.subs(t, mu + score * sigma))))


def slope(score: Any) -> Any:
    """The derivative of the gain."""
    return sp.diff(gain(z), z).subs(z, score)


def with_equal_others(expression: sp.Expr) -> sp.Expr:
    """An expression in the sums of a channel, for others that are all equal."""
    return sp.powdenest(sp.simplify(expression.subs(EQUAL, simultaneous=True)), force=True)


def at_a_score(generator: np.random.Generator) -> dict[str, Any]:
    """A random score, the gain and its slope as functions, and the lowest gain that a search finds."""

    def gain(score: Any) -> Any:
        return 1 / (1 + np.exp(-1 / energy.minimal_energy(score, 0.0, 1.0, lam=0.0)))

    lowest = optimize.minimize_scalar(gain, bounds=(-2, 3), method="bounded")
    return {
        "z": float(generator.uniform(-3, 3)),
        "g": gain,
        "g'": lambda score: differentiate.derivative(gain, score).df,
        "g_0": float(lowest.fun),
    }


def with_levels(generator: np.random.Generator, k: int, size: int) -> dict[str, Any]:
    """A channel of two values, and the score and the least energy of those k that have the first."""
    values = np.where(np.arange(size) < k, generator.normal(4), generator.normal(-4))
    mu, sigma = float(values.mean()), float(values.std(ddof=1))
    point = {"t": float(values[0]), "M": size, "k": k, "mu": mu, "sigma": sigma}
    score = float(stats.zscore(values, ddof=1)[0])
    return point | {"z": score, "e_t^*": least_energy(values[0], mu, sigma, 0.0)}


def with_a_spike(generator: np.random.Generator) -> dict[str, Any]:
    """A channel of equal others and one target that differs."""
    return with_levels(generator, 1, int(generator.integers(2, 40)))


def with_two_levels(generator: np.random.Generator) -> dict[str, Any]:
    """A channel of two values."""
    size = int(generator.integers(4, 40))
    return with_levels(generator, int(generator.integers(1, size)), size)


def with_a_border(generator: np.random.Generator) -> dict[str, Any]:
    """The score of a neuron among those of the picture, and once the border has come."""
    size, k = int(generator.integers(6, 30)), int(generator.integers(1, 4))
    picture = np.append(3.0, generator.normal(size=size - k - 1))
    scores = [stats.zscore(x, ddof=1)[0] for x in (picture, np.append(picture, [picture.mean()] * k))]
    return {"M": size, "k": k, "z": float(scores[0]), "z'": float(scores[1])}


TWO = {f"{name}'": CHANNEL[name].subs(MOVED, simultaneous=True) for name in ("mu", "sigma", "z")}
BORDER = {"z": (t - MEAN) / sp.sqrt(SQUARES / (M - K - 1))}
BORDER |= {"z'": CHANNEL["z"].subs(BORDERED, simultaneous=True)}
SPIKE = {"t": EQUAL[t], "mu": with_equal_others(MU), "sigma": sp.sqrt(with_equal_others(VAR))}

EQUATIONS = {
    **{
        f"eq-{name}": of_channel() for name in ("score", "budget", "residuals", "inflation", "score-residual")
    },
    "eq-importance-score": of_channel({"e_t^*": SHARED}, {}, with_least("mu", "sigma")),
    "eq-below-two": of_channel({"e_t^*": SHARED}, {}, with_least("mu", "sigma")),
    "eq-internal": of_channel({"e_t^*": SHARED.subs(lam, 0)}, {}, with_least("mu", "sigma", penalized=False)),
    "eq-external": of_channel(
        {"e_t^*": EXACT.subs(lam, 0)}, {}, with_least("mu_t", "sigma_t", penalized=False)
    ),
    "eq-affine": of_channel(TWO),
    "eq-penalty-scale": of_channel(TWO),
    "eq-gain-of-score": Equation(at_a_score, functions={"g": gain}),
    "eq-gain-slope": Equation(at_a_score, functions={"g": gain, "g'": slope}),
    "eq-floor": Equation(at_a_score, {"g_0": gain(sp.solve(slope(z), z)[0])}),  # the only flat place
    # Two inequalities that are sharp: they are proven, and tested, where both sides meet.
    "eq-samuelson": Equation(with_a_spike, SPIKE),
    "eq-cap": Equation(with_a_spike, {"e_t^*": with_equal_others(SHARED.subs(lam, 0))}),
    "eq-masking": Equation(with_two_levels, {"z": CHANNEL["z"].subs(LEVELS, simultaneous=True)}),
    "eq-border-score": Equation(with_a_border, BORDER),
}
