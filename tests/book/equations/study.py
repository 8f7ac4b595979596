"""The equations of the page on what the numbers say, what their names mean, and their numbers."""

from typing import Any

import numpy as np
import sympy as sp
from scipy import stats

from equations import Equation, symbol

n, q, s, delta = (symbol(name) for name in ("n", "q", "s", "delta"))
h = sp.Symbol("half", positive=True)
RUNS, SPREAD = sp.Symbol("runs", positive=True), sp.Symbol("spread", positive=True)

# Three rows of two columns: enough for every identity of second moments to show.
ROWS = [sp.symbols(f"{name}_1:4", real=True) for name in ("u", "v")]
COUNT = sp.Integer(3)


def mean(values: Any) -> Any:
    return sum(values) / COUNT


def covariance(a: Any, b: Any) -> Any:
    return sum((x - mean(a)) * (y - mean(b)) for x, y in zip(a, b, strict=True)) / (COUNT - 1)


U, V = ROWS
S_A, S_B = sp.sqrt(covariance(U, U)), sp.sqrt(covariance(V, V))
D = [u - v for u, v in zip(U, V, strict=True)]
STANDARD_ERROR = sp.sqrt(sum((x - mean(D)) ** 2 for x in D) / (COUNT * (COUNT - 1)))


def welch_satterthwaite() -> Any:
    """The degrees of freedom for any two variances of means, put together for equal numbers of runs."""
    of_means = [symbol(name) ** 2 / n for name in ("s_1", "s_2")]
    return sum(of_means) ** 2 / sum(v**2 / (n - 1) for v in of_means)


def interval(generator: np.random.Generator) -> dict[str, Any]:
    """Values, and half the width of the interval that scipy gives their mean."""
    x = generator.normal(90.0, 0.5, int(generator.integers(2, 9)))
    low, high = stats.t.interval(0.95, len(x) - 1, loc=x.mean(), scale=stats.sem(x))
    return {"omega": (high - low) / 2, "q": stats.t.ppf(0.975, len(x) - 1), "s": x.std(ddof=1), "n": len(x)}


def two_columns(generator: np.random.Generator) -> dict[str, Any]:
    """Two columns with a common part, the variance of their differences taken from the differences."""
    common = generator.normal(size=5)
    a, b = common + generator.normal(size=(2, 5))
    return {
        "s_d": float(np.std(a - b, ddof=1)),
        "s_a": float(np.std(a, ddof=1)),
        "s_b": float(np.std(b, ddof=1)),
        "R": float(stats.pearsonr(a, b).statistic),
        "m_d": float(np.mean(a - b)),
        "n": 5,
        "T": float(stats.ttest_rel(a, b).statistic),
    }


def shift(generator: np.random.Generator) -> dict[str, Any]:
    """The mean of n differences, as a weighted sum, in units of its standard deviation."""
    count, spread, gain = int(generator.integers(2, 9)), generator.uniform(0.1, 1), generator.normal()
    weights = np.full(count, 1 / count)
    of_mean = np.sqrt(weights @ (spread**2 * np.eye(count)) @ weights)
    return {"psi": gain * weights.sum() / of_mean, "delta": gain, "n": count, "s_d": spread}


def welch(generator: np.random.Generator) -> dict[str, Any]:
    """Two columns of equally many runs, and the degrees of freedom that scipy tests them with."""
    a, b = generator.normal(size=(2, 6)) * np.array([[0.2], [0.5]])
    freedom = stats.ttest_ind(a, b, equal_var=False).df
    return {"nu": float(freedom), "n": 6, "s_1": float(a.std(ddof=1)), "s_2": float(b.std(ddof=1))}


EQUATIONS = (
    Equation(
        "eq-half-width",
        # Where the mean, in units of its standard deviation, is at the quantile.
        symbols={"omega": sp.solve(h / (s / sp.sqrt(n)) - q, h)[0]},
        numbers=interval,
    ),
    Equation(
        "eq-variance-of-difference",
        two_columns,
        {"s_d": sp.sqrt(covariance(D, D)), "s_a": S_A, "s_b": S_B, "R": covariance(U, V) / (S_A * S_B)},
    ),
    Equation(
        "eq-paired",
        two_columns,
        {"m_d": mean(D), "n": COUNT, "s_d": sp.sqrt(covariance(D, D)), "T": mean(D) / STANDARD_ERROR},
    ),
    Equation(
        "eq-noncentrality",
        # The gain over the standard deviation of a sum of n differences, each weighed with 1 / n.
        symbols={"psi": delta / sp.sqrt(RUNS * (SPREAD / RUNS) ** 2), "s_d": SPREAD, "n": RUNS},
        numbers=shift,
    ),
    Equation("eq-welch-freedom", welch, {"nu": welch_satterthwaite()}),
)
