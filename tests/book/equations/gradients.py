"""The equations on the gradient of SimAM.

The proofs hold for every number of neurons: the sums of products of neurons, as of x_i g_i, are symbols. The
spread tau is free, and the penalty is its square less the variance.
"""

from typing import Any

import numpy as np
import sympy as sp

from equations import MU, SHARED, VAR, least_energy, of_channel, random_channel
from page_latex import symbol
from page_math import Equation, in_power_sums
from page_symbols import lam, t
from simam_edu import gradient as steps

TAU = symbol("tau")
NAMES = {steps.x: "x", steps.z: "zeta", steps.a: "a", steps.g: "g"}
NAMES |= {steps.x_bar: "xbar", steps.y_bar: "ybar", steps.a_bar: "abar"}


def of_neuron(index: str) -> dict[str, Any]:
    """What the names of one neuron mean, in its value, its gain and what arrives at its output."""
    value, gain, arriving = (symbol(f"{name}_{index}") for name in ("x", "g", "ybar"))
    return {
        f"zeta_{index}": (value - MU) / TAU,
        f"y_{index}": value * gain,
        f"abar_{index}": arriving * value * gain * (1 - gain),
    }


def on_page(expression: Any) -> Any:
    """Return an expression of the package in the symbols of the page, all by values, gains and arriving."""
    named = expression.xreplace({base: sp.IndexedBase(word) for base, word in NAMES.items()})
    reduced = in_power_sums(named.subs(steps.tau, TAU), of_neuron("i"))
    alone = {e: symbol(f"{e.base}_{e.indices[0]}") for e in reduced.atoms(sp.Indexed)}
    known = {symbol(name): value for k in ("i", "j") for name, value in of_neuron(k).items()}
    return reduced.xreplace(alone).subs(known)


def jacobian_by_steps() -> Any:
    """One output by one input: the gradient where nothing but the output i has one, which is one."""
    alone = {k: v.replace(lambda e: isinstance(e, sp.Sum), lambda e: e.function) for k, v in STEPS.items()}
    own = (alone["direct"] + alone["deviation"]).subs(steps.j, steps.i)
    through_mean = alone["by_mean"] * alone["mean_slope"]
    through_spread = alone["by_spread"] * alone["spread_slope"]
    found = symbol("delta_ij") * on_page(own) + on_page(through_mean) + on_page(through_spread)
    return found.subs(symbol("ybar_i"), 1)


STEPS = {name: step.expression for name, step in steps.derive().items()}
GRADIENT = on_page(STEPS["gradient"])
TO_I = {symbol(f"{name}_j"): symbol(f"{name}_i") for name in ("x", "g", "ybar")}
MEANINGS = (
    {"lambda": TAU**2 - VAR, "mubar": on_page(STEPS["by_mean"]), "taubar": on_page(STEPS["by_spread"])}
    | {"J_ij": jacobian_by_steps(), "xbar_j": GRADIENT, "xbar_i": GRADIENT.subs(TO_I, simultaneous=True)}
    | of_neuron("i")
    | of_neuron("j")
)
GAIN = 1 / (1 + sp.exp(-1 / SHARED.subs(lam, TAU**2 - VAR)))
TARGET_IS_I = {"x_i": t, "zeta_i": (t - MU) / TAU, "lambda": TAU**2 - VAR, "g_i": GAIN, "y_i": t * GAIN}


def by_steps(function: Any, *at: Any) -> Any:
    """The derivatives of a function by its arguments, from imaginary steps."""
    step = 1e-30j
    return [function(*at[:k], at[k] + step, *at[k + 1 :]).imag / step.imag for k in range(len(at))]


def channel(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel with all of its neurons in x, what arrives, and all that follows, by other code."""
    point = random_channel(generator)
    x, penalty, mu = point["x"], point["lambda"], point["mu"]
    arriving = generator.normal(size=x.size)
    tau = float(np.hypot(point["sigma"], penalty**0.5))
    importance = np.array([1 / least_energy(value, mu, point["sigma"], penalty) for value in x])  # by fits

    def outputs(mean: Any, scale: Any, x: Any = x) -> Any:
        return x / (1 + np.exp(-0.5 - ((x - mean) / scale) ** 2 / 4))

    def simam(*values: Any) -> Any:
        x = np.array(values)
        scale = (np.sum((x - x.mean()) ** 2) / (x.size - 1) + penalty) ** 0.5
        return outputs(x.mean(), scale, x)

    slopes, gains = np.stack(by_steps(simam, *x), axis=1), simam(*x) / x
    arrays = {
        "x": x,
        "ybar": arriving,
        "g": gains,
        "y": x * gains,
        "zeta": np.sign(x - mu) * np.sqrt(np.maximum(4 * importance - 2, 0)),
        "abar": arriving * x / (2 * np.cosh(importance / 2)) ** 2,
        "xbar": arriving @ slopes,
    }
    i, j = generator.choice(x.size, 2, replace=bool(generator.integers(2)))
    scalars = {f"{name}_{k}": values[at] for name, values in arrays.items() for k, at in (("i", i), ("j", j))}
    by_statistics = by_steps(lambda *statistics: np.sum(arriving * outputs(*statistics)), mu, tau)
    rest = dict(zip(("mubar", "taubar"), by_statistics, strict=True))
    return point | arrays | scalars | rest | {"tau": tau, "delta_ij": float(i == j), "J_ij": slopes[i, j]}


OF_SUMS = "scores by-statistics simam-gradient attention-sum score-sums euler jacobian"
EQUATIONS = {
    "eq-output": of_channel(TARGET_IS_I, {}, channel),
    "eq-arriving": Equation(channel, of_neuron("i") | {"abar_i": on_page(STEPS["arriving"])}),
    **{f"eq-{name}": of_channel(MEANINGS, {}, channel) for name in OF_SUMS.split()},
}
