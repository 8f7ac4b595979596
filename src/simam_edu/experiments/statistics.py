r"""What can be said about means and differences of a few runs, as plain functions.

Runs of one column differ by their seed only and are taken as independent and normal. Every
interval and test is Student's; columns that share their seeds are compared seed by seed.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

MAX_RUNS = 1_000_000
"""Where the search for a number of runs ends: a difference that needs more is none of networks."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean of runs or of differences, and how sure it is; ``None`` is what one value cannot tell."""

    n: int  #: how many values
    mean: float
    std: float | None  #: with n - 1 below
    low: float | None  #: the ends of the interval
    high: float | None
    p: float | None  #: two-sided, of the test that the true mean is zero; None where there is no spread, too

    @property
    def clear(self) -> bool:
        """Whether the values have a spread and zero lies outside of their interval.

        >>> estimate([0.25, 0.5, 0.75]).clear, estimate([0.25, 0.5, 0.75, 0.5]).clear
        (False, True)
        """
        if self.p is None or self.low is None or self.high is None:
            return False
        return not self.low <= 0 <= self.high


def estimate(values: ArrayLike, *, level: float = 0.95) -> Estimate:
    r"""Return the mean of values with Student's interval and test.

    .. math:: \bar x \pm t_{n-1} \frac{s}{\sqrt n}, \qquad T = \frac{\bar x \sqrt n}{s}

    where :math:`t_{n-1}` is the quantile that leaves ``(1 - level) / 2`` above it. Of the
    differences of two columns over the same seeds, this is the paired t-test.

    Args:
        values: One value per run, or one difference per seed, at least one, all finite.
        level: How often, over many studies, the interval holds the true mean, in (0, 1).

    Raises:
        ValueError: If an argument is out of its range.

    >>> found = estimate([0.25, 0.5, 0.75])  # points above no module, of three seeds
    >>> f"{found.mean} from {found.low:.2f} to {found.high:.2f}, p = {found.p:.3f}"
    '0.5 from -0.12 to 1.12, p = 0.074'
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or len(x) == 0 or not np.isfinite(x).all():
        raise ValueError(f"values must be a list of at least one finite number, got {values!r}")
    _check_fraction("level", level)
    n, mean = len(x), float(x.mean())
    if n == 1:
        return Estimate(n=1, mean=mean, std=None, low=None, high=None, p=None)
    # The mean of equal values is rounded, and each of them may seem to be off it.
    std = float(x.std(ddof=1)) if np.ptp(x) > 0 else 0.0
    return _student(n, mean, std, dof=n - 1, level=level)


def welch(mean: float, std: float, other_mean: float, other_std: float, *, n: int) -> Estimate:
    r"""Return the difference ``mean - other_mean`` of independent runs, with Welch's 95 % interval and test.

    For tables that print means and standard deviations only, so that nothing can be paired.

    .. math:: T = \frac{m_1 - m_2}{\sqrt{(s_1^2 + s_2^2) / n}}, \qquad
        f = \frac{(n - 1)(s_1^2 + s_2^2)^2}{s_1^4 + s_2^4}

    Each column has ``n`` runs, at least 2. The ``std`` that is returned is that of a difference of two
    single runs.

    Raises:
        ValueError: If an argument is out of its range.

    >>> found = welch(92.73, 0.18, 92.33, 0.19, n=5)  # the paper's ResNet-20
    >>> f"{found.mean:.2f} from {found.low:.2f} to {found.high:.2f}, p = {found.p:.3f}"
    '0.40 from 0.13 to 0.67, p = 0.009'
    """
    _check_runs(n)
    if not np.isfinite([mean, std, other_mean, other_std]).all() or std < 0 or other_std < 0:
        raise ValueError(
            "means and standard deviations must be finite and the latter at least 0, "
            f"got {mean} ± {std} and {other_mean} ± {other_std}"
        )
    variances = np.array([std, other_std]) ** 2
    dof = (n - 1) * variances.sum() ** 2 / (variances**2).sum() if variances.any() else n - 1
    return _student(n, mean - other_mean, float(np.sqrt(variances.sum())), dof=dof, level=0.95)


def _student(n: int, mean: float, std: float, *, dof: float, level: float) -> Estimate:
    if std == 0:  # values without any spread do not tell how far others would: no test is made of them
        return Estimate(n=n, mean=mean, std=std, low=mean, high=mean, p=None)
    error = std / np.sqrt(n)
    low, high = map(float, stats.t.interval(level, dof, loc=mean, scale=error))
    p = float(2 * stats.t.sf(abs(mean) / error, dof))
    return Estimate(n=n, mean=mean, std=std, low=low, high=high, p=p)


def holm(p_values: Sequence[float]) -> list[float]:
    r"""Return the p-values corrected for how many they are.

    The smallest is multiplied by their number :math:`m`, the next by :math:`m - 1` and so on; none may be
    below one that was smaller, or above 1. The chance that any true zero difference falls below a threshold
    is then at most that threshold, however the tests depend on each other.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6(2):65-70, 1979.

    Raises:
        ValueError: If a p-value is not in [0, 1].

    >>> holm([0.03, 0.01, 0.04])
    [0.06, 0.03, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p_values must be in [0, 1], got {list(p_values)}")
    order = p.argsort(kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return [float(value) for value in corrected]


def power(delta: float, std: float, *, n: int, paired: bool = True, alpha: float = 0.05) -> float:
    r"""Return the chance that a two-sided t-test with threshold ``alpha`` finds a true difference ``delta``.

    With noncentrality :math:`\nu` and :math:`f` degrees of freedom it is :math:`P(|T_f(\nu)| > t_f)`, where
    :math:`t_f` leaves ``alpha / 2`` above it at :math:`\nu = 0`.

    Args:
        delta: The true difference of the means.
        std: Standard deviation, above 0: of the differences where paired, else of the runs of each column.
        n: Seeds, or runs of each column, at least 2.
        paired: Whether the columns share their seeds. Then :math:`\nu = \delta \sqrt n / s` and
            :math:`f = n - 1`, else :math:`\nu = \delta \sqrt{n / 2} / s` and :math:`f = 2 (n - 1)`.
        alpha: In (0, 1).

    Raises:
        ValueError: If an argument is out of its range.

    >>> [round(power(0.3, 0.2, n=n), 2) for n in (3, 6)]
    [0.32, 0.83]
    """
    _check_runs(n)
    if not (np.isfinite(delta) and 0 < std < np.inf):
        raise ValueError(f"delta must be finite and std finite and above 0, got {delta} and {std}")
    _check_fraction("alpha", alpha)
    dof = n - 1 if paired else 2 * (n - 1)
    noncentrality = abs(delta) / std * np.sqrt(n if paired else n / 2)
    threshold = stats.t.isf(alpha / 2, dof)
    # The other tail is nan in scipy where it is too small for a double.
    below = np.nan_to_num(stats.nct.cdf(-threshold, dof, noncentrality))
    return float(stats.nct.sf(threshold, dof, noncentrality) + below)


def runs_needed(
    delta: float, std: float, *, chance: float = 0.8, paired: bool = True, alpha: float = 0.05
) -> int:
    """Return the smallest number of seeds, at least 2, for which :func:`power` reaches a chance in (0, 1).

    Raises:
        ValueError: If an argument is out of its range, or a million runs are not enough.

    For Cohen's medium and large effect, in two samples:

    >>> [runs_needed(delta, 1.0, paired=False) for delta in (0.5, 0.8)]
    [64, 26]
    """
    _check_fraction("chance", chance)

    def reached(n: int) -> float:
        return power(delta, std, n=n, paired=paired, alpha=alpha)

    needed = bisect_left(range(MAX_RUNS + 1), chance, lo=2, key=reached)
    if needed > MAX_RUNS:
        raise ValueError(f"delta must be found by at most {MAX_RUNS} runs, got {delta} with std {std}")
    return needed


def _check_runs(n: int) -> None:
    if n < 2:
        raise ValueError(f"n must be at least 2, got {n}")


def _check_fraction(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must be between 0 and 1, got {value}")
