r"""The energy of a neuron and what follows from it, in numpy and float64: the oracle.

The torch module is tested against these functions, and they against the symbolic
derivation and the numerical solvers. Equation numbers are those of Yang, Zhang, Li and
Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
Networks", ICML 2021. A *channel* is one map of :math:`M = H \times W` neurons: a
target, labelled +1, and :math:`M - 1` others, labelled -1. In every function

- ``x`` holds maps: the last two axes are a channel, those before independent channels;
- ``t`` is the target, ``others`` are the others, along the last axis; ``mu`` and
  ``var`` are the mean and the variance that the target is compared with;
- ``lam`` is the penalty :math:`\lambda \ge 0`, the regularization coefficient of
  :math:`w^2`, in units of ``x`` squared.

Arguments broadcast; where all are scalars, so is the result. Every finite float64 is
valid, whatever its scale. A ``ValueError`` names an argument that is not finite, out of
its range, or no real map of at least two neurons.
"""

from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Real
from numpy.typing import ArrayLike

from simam_edu import _exact
from simam_edu.arguments import check_lam

Statistics = Literal["shared", "population", "leave_one_out"]
"""Which mean and variance a neuron is compared with.

- ``"shared"``: one mean and one variance with :math:`1/(M-1)` for the whole channel, as
  the authors' code has it.
- ``"population"``: the same with :math:`1/M`, as Eq. (5) is printed.
- ``"leave_one_out"``: the mean and variance of the :math:`M-1` others, as the
  derivation asks, with the :math:`1/(M-1)` of Eq. (2): the population form over the
  others.
"""

DEFAULT_LAM = 1e-4
"""The authors chose 1e-4 with ResNet-20 on 45,000 images of CIFAR (section 4)."""


def neuron_energy(
    w: Real[Any, "*#lead"] | float,
    b: Real[Any, "*#lead"] | float,
    t: Real[Any, "*#lead"] | float,
    others: Real[np.ndarray, "*#lead m"],
    *,
    lam: float,
) -> Float[Any, "*lead"]:
    r"""Return the energy of one neuron for a linear transform with w and b, Eq. (2).

    .. math::

        e_t = \frac{1}{M-1} \sum_{i=1}^{M-1} \bigl(-1 - (w x_i + b)\bigr)^2
              + \bigl(1 - (w t + b)\bigr)^2 + \lambda w^2

    It is at least 0, and inf where it exceeds the largest float64, so that a descent
    that diverges can be seen to do so.

    >>> print(neuron_energy(0.5, -1.0, 4.0, np.array([0.0, 1.0, 2.0]), lam=1.0).round(4))
    0.6667
    """
    lam = check_lam(lam)
    others = np.asarray(others, dtype=np.float64)
    if others.ndim == 0 or others.shape[-1] == 0:
        raise ValueError(
            f"others must hold at least one neuron along its last axis, got shape {others.shape}; "
            "a channel of one neuron has no energy"
        )
    w, b, t = (np.asarray(value, dtype=np.float64) for value in (w, b, t))
    with np.errstate(over="ignore", invalid="ignore"):
        residual = -1.0 - (w[..., None] * others + b[..., None])  # (*lead, m)
        energy = _exact.mean_of_squares(residual) + (1.0 - (w * t + b)) ** 2 + lam * w * w
    if not np.all(np.isfinite(energy)):  # as it is whenever a value is nan or inf
        _exact.check_finite(w=w, b=b, t=t, others=others)
    return energy


def optimal_weight_bias(
    t: ArrayLike, mu: ArrayLike, var: ArrayLike, *, lam: float
) -> tuple[Float[Any, "*lead"], Float[Any, "*lead"]]:
    r"""Return the weight and bias that minimize the energy, Eqs. (3) and (4).

    .. math::

        w_t = \frac{2 (t - \mu_t)}{(t - \mu_t)^2 + 2 \sigma_t^2 + 2 \lambda}, \qquad
        b_t = -\tfrac12 (t + \mu_t)\, w_t

    Eq. (3) is printed with a minus sign before the fraction: a misprint, as the chapter
    on the closed form proves and the authors confirm in issue 11 of their repository.

    >>> print(*optimal_weight_bias(4.0, 1.0, 0.5, lam=0.0))
    0.6 -1.5

    Raises:
        ValueError: Also if the minimum is not unique or ``w_t`` exceeds float64: where
            ``var`` and ``lam`` are 0 and ``t`` is within about 1e-308 of ``mu``.
    """
    scaled_t, scaled_mu, _, denominator, common, exponent = _exact.point(t, mu, var, lam)
    scaled_w = 2.0 * (scaled_t - scaled_mu) / denominator
    with np.errstate(over="ignore"):
        w_t = np.ldexp(scaled_w, common - 2 * exponent)
    if not np.all(np.isfinite(w_t)):
        raise ValueError(
            "lam must be positive where var is 0 and t is within 1e-308 of mu, got lam = 0; "
            "there the weight 2 / (t - mu) exceeds the largest float64"
        )
    return w_t, np.ldexp(-(scaled_t + scaled_mu) * scaled_w, 2 * (common - exponent) - 1)


def minimal_energy(t: ArrayLike, mu: ArrayLike, var: ArrayLike, *, lam: float) -> Float[Any, "*lead"]:
    r"""Return the least energy of a neuron, in [0, 2], for given statistics, Eq. (5).

    .. math::

        e_t^* = \frac{4 (\sigma_t^2 + \lambda)}{(t - \mu_t)^2 + 2 \sigma_t^2 + 2 \lambda}

    It is as accurate as its arguments: a mean of 1e8 is rounded by up to 1e-8.
    :func:`importance` does not round the mean.

    >>> minimal_energy([1.0, 4.0], 1.0, 0.5, lam=0.0)
    array([2. , 0.2])

    Raises:
        ValueError: Also where the minimum is not unique.
    """
    _, _, var_lam, denominator, _, _ = _exact.point(t, mu, var, lam)
    return 4.0 * var_lam / denominator


def channel_statistics(
    x: Real[np.ndarray, "*lead h w"], *, ddof: int
) -> tuple[Float[np.ndarray, "*lead 1 1"], Float[np.ndarray, "*lead 1 1"]]:
    r"""Return the mean and variance of each channel over all its neurons.

    .. math::

        \mu = \frac1M \sum_{i=1}^{M} x_i, \qquad
        \sigma^2 = \frac{1}{M - \mathrm{ddof}} \sum_{i=1}^{M} (x_i - \mu)^2

    ``ddof`` is 1 for the authors' code and 0 for Eq. (5) as printed. It has no default,
    since the paper and its code differ. A variance below the smallest float64 is 0.

    >>> channel_statistics(np.array([[0.0, 1.0, 2.0, 5.0]]), ddof=0)
    (array([[2.]]), array([[3.5]]))

    Raises:
        ValueError: Also if a variance exceeds float64: from values of 1e154 or so.
    """
    if ddof not in (0, 1):
        raise ValueError(f"ddof must be 0 or 1, got {ddof!r}; 1 is the authors' code, 0 is Eq. (5)")
    x = _exact.check_maps(x)
    _, exponent, mu, deviation = _exact.scaled(x)
    return _exact.restored(mu, _exact.variance(deviation, ddof), exponent, of=x)


def leave_one_out_statistics(
    x: Real[np.ndarray, "*lead h w"],
) -> tuple[Float[np.ndarray, "*lead h w"], Float[np.ndarray, "*lead h w"]]:
    r"""Return for every neuron the mean and variance of the others, without a loop.

    With :math:`d = t - \mu` and :math:`S = \sum_i (x_i - \mu)^2` over the whole
    channel,

    .. math::

        t - \mu_t = \frac{M}{M-1}\, d, \qquad
        \sigma_t^2 = \frac{1}{M-1} \Bigl( S - \frac{M}{M-1} d^2 \Bigr)

    so the exact statistics of all neurons cost one pass, like the shared ones.

    >>> leave_one_out_statistics(np.array([[0.0, 1.0, 5.0]]))
    (array([[3. , 2.5, 0.5]]), array([[4.  , 6.25, 0.25]]))

    Raises:
        ValueError: As for :func:`channel_statistics`.
    """
    x = _exact.check_maps(x)
    scaled_x, exponent, _, deviation = _exact.scaled(x)
    return _exact.leave_one_out(x, scaled_x, deviation, exponent)


def importance(
    x: Real[np.ndarray, "*lead h w"], *, lam: float = DEFAULT_LAM, statistics: Statistics = "shared"
) -> Float[np.ndarray, "*lead h w"]:
    r"""Return the importance :math:`1/e_t^*` of every neuron, at least 1/2.

    .. math::

        \frac{1}{e_t^*} = \frac12 + \frac{(t - \mu)^2}{4 (\sigma^2 + \lambda)}

    ``statistics`` names :math:`\mu` and :math:`\sigma^2`, see :data:`Statistics`; the
    default is what the authors' code computes. A constant channel has 1/2 everywhere,
    the limit at ``lam = 0``. With ``"leave_one_out"`` alone the importance can be inf:
    where a neuron differs from otherwise equal ones at ``lam = 0``, and beyond the
    largest float64.

    >>> importance(np.array([[0.0, 1.0, 2.0, 5.0]]), lam=0.0, statistics="population").round(2)
    array([[0.79, 0.57, 0.5 , 1.14]])
    """
    lam = check_lam(lam)
    if statistics not in get_args(Statistics):
        raise ValueError(f"statistics must be one of {', '.join(get_args(Statistics))}, got {statistics!r}")
    x, exponent, _, deviation = _exact.scaled(_exact.check_maps(x))
    if statistics == "leave_one_out":
        m = x.shape[-2] * x.shape[-1]
        to_mean, var = deviation * (m / (m - 1)), _exact.leave_one_out(x, x, deviation, 0)[1]
    else:
        to_mean, var = deviation, _exact.variance(deviation, ddof=1 if statistics == "shared" else 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scaled_lam = np.ldexp(lam, -2 * exponent)  # in the unit of the scaled x, squared
        above_half = (to_mean / 2.0) ** 2 / (var + scaled_lam)
    return np.where(to_mean == 0.0, 0.5, 0.5 + above_half)


def gain(
    x: Real[np.ndarray, "*lead h w"], *, lam: float = DEFAULT_LAM, statistics: Statistics = "shared"
) -> Float[np.ndarray, "*lead h w"]:
    r"""Return the gain of every neuron, its attention weight, Eq. (6).

    .. math:: g_t = \operatorname{sigmoid}(1 / e_t^*) \in [\operatorname{sigmoid}(1/2), 1]

    No neuron is turned down below 0.62 of itself. For the arguments see
    :func:`importance`.

    >>> gain(np.array([[0.0, 1.0, 2.0, 5.0]])).round(2)
    array([[0.67, 0.63, 0.62, 0.73]])
    """
    return np.asarray(1.0 / (1.0 + np.exp(-importance(x, lam=lam, statistics=statistics))))
