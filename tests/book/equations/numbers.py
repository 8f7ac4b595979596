"""The equations on what the numbers say, and on scales: what their names mean, and their numbers."""

from typing import Any

import numpy as np
import sympy as sp
from scipy import stats

from page_latex import symbol
from page_math import Equation
from page_symbols import z

n, q, s, delta, share, xi = (symbol(name) for name in ("n", "q", "s", "delta", "varphi", "xi"))
h = sp.Symbol("half", positive=True)
RUNS, SPREAD = sp.Symbol("runs", positive=True), sp.Symbol("spread", positive=True)
POSITIVE = {name: sp.Symbol(f"positive_{name}", positive=True) for name in ("g", "s", "epsilon")}

# Two columns of three rows: enough for every identity of second moments to show.
U, V = (sp.symbols(f"{name}_1:4", real=True) for name in ("u", "v"))
D = [u - v for u, v in zip(U, V, strict=True)]
COUNT = sp.Integer(3)


def mean(values: Any) -> Any:
    return sum(values) / COUNT


def covariance(a: Any, b: Any) -> Any:
    return sum((x - mean(a)) * (y - mean(b)) for x, y in zip(a, b, strict=True)) / (COUNT - 1)


S_A, S_B, S_D = (sp.sqrt(covariance(column, column)) for column in (U, V, D))
STANDARD_ERROR = sp.sqrt(sum((x - mean(D)) ** 2 for x in D) / (COUNT * (COUNT - 1)))
OF_MEANS = [symbol(name) ** 2 / n for name in ("s_1", "s_2")]  # the variances of two means
# In a channel of mean 0 and mean square 1 a share of equal neurons has the value xi.
MEAN, MEAN_SQUARE = share * xi, 1 - share + share * xi**2


def interval(generator: np.random.Generator) -> dict[str, Any]:
    """Values, and half the width of the interval that scipy gives their mean."""
    x = generator.normal(90.0, 0.5, int(generator.integers(2, 9)))
    low, high = stats.t.interval(0.95, len(x) - 1, loc=x.mean(), scale=stats.sem(x))
    return {"omega": (high - low) / 2, "q": stats.t.ppf(0.975, len(x) - 1), "s": x.std(ddof=1), "n": len(x)}


def two_columns(generator: np.random.Generator) -> dict[str, Any]:
    """Two columns with a common part, and what numpy and scipy find about them and their differences."""
    a, b = np.array([[1.0], [2.0]]) * (generator.normal(size=5) + generator.normal(size=(2, 5)))
    stds = [float(np.std(column, ddof=1)) for column in (a, b, a - b)]
    names = ("s_a", "s_b", "s_d", "s_1", "s_2")
    return dict(zip(names, [*stds, *stds[:2]], strict=True)) | {
        "R": float(stats.pearsonr(a, b).statistic),
        "m_d": float(np.mean(a - b)),
        "n": 5,
        "T": float(stats.ttest_rel(a, b).statistic),
        "nu": float(stats.ttest_ind(a, b, equal_var=False).df),
    }


def shift(generator: np.random.Generator) -> dict[str, Any]:
    """The mean of n differences, as a weighted sum, in units of its standard deviation."""
    count, spread, gain = int(generator.integers(2, 9)), generator.uniform(0.1, 1), generator.normal()
    weights = np.full(count, 1 / count)
    of_mean = np.sqrt(weights @ (spread**2 * np.eye(count)) @ weights)
    return {"psi": gain * weights.sum() / of_mean, "delta": gain, "n": count, "s_d": spread}


def scaled(generator: np.random.Generator) -> dict[str, Any]:
    """A value with a mean and a standard deviation, a gain, and a constant of the norm."""
    x, m, s, g, epsilon = generator.uniform(0.5, 1, 5) * [3, 1, 2, 1, 0.1]
    return {"x": x, "m": m, "s": s, "g": g, "epsilon": epsilon}


def with_equal_ones(generator: np.random.Generator) -> dict[str, Any]:
    """A channel of two levels, plus and minus one, and a third that is the equal ones."""
    half, count = int(generator.integers(2, 9)), int(generator.integers(1, 9))
    of_rest, value = generator.normal(), generator.normal()
    x = np.concatenate([np.ones(half), -np.ones(half), np.full(count, value)])
    scaled = (of_rest - x.mean()) / x.std()
    return {"z_varphi": scaled, "z": of_rest, "xi": value, "varphi": count / len(x)}


EQUATIONS = {
    # Where the mean, in units of its standard deviation, is at the quantile.
    "eq-half-width": Equation(interval, {"omega": sp.solve(h / (s / sp.sqrt(n)) - q, h)[0]}),
    "eq-variance-of-difference": Equation(
        two_columns, {"s_d": S_D, "s_a": S_A, "s_b": S_B, "R": covariance(U, V) / (S_A * S_B)}
    ),
    "eq-paired": Equation(
        two_columns, {"m_d": mean(D), "n": COUNT, "s_d": S_D, "T": mean(D) / STANDARD_ERROR}
    ),
    # The gain over the standard deviation of a sum of n differences, each weighed with 1 / n.
    "eq-noncentrality": Equation(
        shift, {"psi": delta / sp.sqrt(RUNS * (SPREAD / RUNS) ** 2), "s_d": SPREAD, "n": RUNS}
    ),
    # The rule of Welch and Satterthwaite for two variances of means.
    "eq-welch-freedom": Equation(
        two_columns, {"nu": sum(OF_MEANS) ** 2 / sum(v**2 / (n - 1) for v in OF_MEANS)}
    ),
    "eq-equal-share": Equation(with_equal_ones, {"z_varphi": (z - MEAN) / sp.sqrt(MEAN_SQUARE - MEAN**2)}),
    "eq-norm-takes-back": Equation(scaled, POSITIVE),
}
