r"""The energy of a neuron and what follows from it, in numpy and float64.

This module is the oracle of the package: the torch module is tested against it, and it is
tested against the symbolic derivation and the numerical solvers. Equation numbers are those of
Yang, Zhang, Li and Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional
Neural Networks", ICML 2021.

A *channel* is one map of :math:`M = H \times W` neurons. Wherever ``x`` is asked for, its last
two axes are such a map and all axes before them are independent channels.
"""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

Statistics = Literal["shared", "population", "leave_one_out"]
"""Which mean and variance a neuron is held against.

- ``"shared"``: one mean and one variance with :math:`1/(M-1)` for the whole channel, as the
  authors' code has it.
- ``"population"``: the same with :math:`1/M`, as Eq. (5) is printed.
- ``"leave_one_out"``: the mean and variance of the :math:`M-1` other neurons, as the derivation
  asks. The variance has the :math:`1/(M-1)` of Eq. (2), which is the population form over the others.
"""

DEFAULT_LAM = 1e-4
"""The authors chose 1e-4 with ResNet-20 on a 45,000/5,000 split of CIFAR (section 4 of the paper)."""


def neuron_energy(
    w: Float[np.ndarray, "*lead"] | float,
    b: Float[np.ndarray, "*lead"] | float,
    t: Float[np.ndarray, "*lead"] | float,
    others: Float[np.ndarray, "*lead m"],
    *,
    lam: float,
) -> Float[np.ndarray, "*lead"]:
    r"""Return the energy of one neuron for a given linear transform, Eq. (2).

    .. math::

        e_t = \frac{1}{M-1} \sum_{i=1}^{M-1} \bigl(-1 - (w x_i + b)\bigr)^2
              + \bigl(1 - (w t + b)\bigr)^2 + \lambda w^2

    Args:
        w: The weight of the linear transform.
        b: Its bias.
        t: The target neuron, labelled +1.
        others: The :math:`M-1` other neurons of the channel along the last axis, labelled -1.
        lam: The weight :math:`\lambda \ge 0` of the penalty on :math:`w^2`.

    Returns:
        The energy, at least 0, in the broadcast shape of ``w``, ``b``, ``t`` and the leading axes of
        ``others``.

    Raises:
        ValueError: If ``lam`` is negative or not finite, or ``others`` is empty.
    """
    _check_lam(lam)
    others = np.asarray(others, dtype=np.float64)
    if others.ndim == 0 or others.shape[-1] == 0:
        raise ValueError(
            f"others must hold at least one neuron along its last axis, got shape {others.shape}; "
            "a channel of one neuron has no energy"
        )
    w, b, t = (np.asarray(value, dtype=np.float64) for value in (w, b, t))
    fitted_others = w[..., None] * others + b[..., None]  # (*lead, m)
    energy: Float[np.ndarray, "*lead"] = (
        np.mean((-1.0 - fitted_others) ** 2, axis=-1) + (1.0 - (w * t + b)) ** 2 + lam * w**2
    )
    return energy


def optimal_weight_bias(
    t: ArrayLike, mu: ArrayLike, var: ArrayLike, *, lam: float
) -> tuple[Float[np.ndarray, "*lead"], Float[np.ndarray, "*lead"]]:
    r"""Return the weight and bias that minimize the energy, Eqs. (3) and (4).

    .. math::

        w_t = \frac{2 (t - \mu_t)}{(t - \mu_t)^2 + 2 \sigma_t^2 + 2 \lambda}, \qquad
        b_t = -\tfrac12 (t + \mu_t)\, w_t

    Eq. (3) is printed with a minus sign before the fraction. That is a misprint, which the chapter
    on the closed form proves and the authors confirm in issue 11 of their repository.

    Args:
        t: The target neuron.
        mu: The mean of the other neurons.
        var: Their variance, with :math:`1/(M-1)` over the :math:`M-1` others.
        lam: The weight :math:`\lambda \ge 0` of the penalty.

    Returns:
        ``(w_t, b_t)``, each in the broadcast shape of the arguments.

    Raises:
        ValueError: If ``lam`` or ``var`` is negative or not finite, or if the minimum is not unique.
    """
    t, mu, var, denominator = _check_point(t, mu, var, lam)
    w_t = 2.0 * (t - mu) / denominator
    return w_t, -0.5 * (t + mu) * w_t


def minimal_energy(t: ArrayLike, mu: ArrayLike, var: ArrayLike, *, lam: float) -> Float[np.ndarray, "*lead"]:
    r"""Return the least energy of a neuron, Eq. (5) with the statistics that are passed in.

    .. math::

        e_t^* = \frac{4 (\sigma_t^2 + \lambda)}{(t - \mu_t)^2 + 2 \sigma_t^2 + 2 \lambda}

    Args:
        t: The target neuron.
        mu: The mean it is held against.
        var: The variance it is held against.
        lam: The weight :math:`\lambda \ge 0` of the penalty.

    Returns:
        The energy, in [0, 2], in the broadcast shape of the arguments.

    Raises:
        ValueError: If ``lam`` or ``var`` is negative or not finite, or if the minimum is not unique.
    """
    t, mu, var, denominator = _check_point(t, mu, var, lam)
    energy: Float[np.ndarray, "*lead"] = 4.0 * (var + lam) / denominator
    return energy


def channel_statistics(
    x: Float[np.ndarray, "*lead h w"], *, ddof: int
) -> tuple[Float[np.ndarray, "*lead 1 1"], Float[np.ndarray, "*lead 1 1"]]:
    r"""Return the mean and variance of each channel over all its neurons.

    .. math::

        \mu = \frac1M \sum_{i=1}^{M} x_i, \qquad
        \sigma^2 = \frac{1}{M - \mathrm{ddof}} \sum_{i=1}^{M} (x_i - \mu)^2

    Args:
        x: Maps; the last two axes are one channel.
        ddof: 1 for the authors' code, 0 for Eq. (5) as printed. It has no default because the
            paper and its code differ.

    Returns:
        ``(mu, var)``, the map axes kept with length one, so that both broadcast against ``x``.

    Raises:
        ValueError: If ``x`` is not a real map of at least two neurons or not finite, or ``ddof`` is not 0
            or 1.
    """
    if ddof not in (0, 1):
        raise ValueError(f"ddof must be 0 or 1, got {ddof!r}; 1 is the authors' code, 0 is Eq. (5)")
    x = _check_maps(x)
    mu, deviation = _centered(x)
    total = np.sum(deviation**2, axis=(-2, -1), keepdims=True)  # (*lead, 1, 1)
    return mu, total / (x.shape[-2] * x.shape[-1] - ddof)


def leave_one_out_statistics(
    x: Float[np.ndarray, "*lead h w"],
) -> tuple[Float[np.ndarray, "*lead h w"], Float[np.ndarray, "*lead h w"]]:
    r"""Return for every neuron the mean and variance of the others, without a loop.

    With :math:`d = t - \mu` and :math:`SS = \sum_i (x_i - \mu)^2` over the whole channel,

    .. math::

        t - \mu_t = \frac{M}{M-1}\, d, \qquad
        \sigma_t^2 = \frac{1}{M-1} \Bigl( SS - \frac{M}{M-1} d^2 \Bigr)

    so the exact statistics of all :math:`M` neurons cost one pass, like the shared ones.

    Args:
        x: Maps; the last two axes are one channel.

    Returns:
        ``(mu_t, var_t)``, each of the shape of ``x``. The variance has :math:`1/(M-1)` over
        the :math:`M-1` others, as under Eq. (4) of the paper.

    Raises:
        ValueError: If ``x`` is not a real map of at least two neurons or not finite.
    """
    x = _check_maps(x)
    mu, deviation = _centered(x)
    to_mean, var_t = _leave_one_out(deviation)
    # mu_t - mu = (t - mu) - (t - mu_t), a small difference that is added to mu last.
    return mu + (deviation - to_mean), var_t


def importance(
    x: Float[np.ndarray, "*lead h w"], *, lam: float = DEFAULT_LAM, statistics: Statistics = "shared"
) -> Float[np.ndarray, "*lead h w"]:
    r"""Return the importance :math:`1/e_t^*` of every neuron.

    .. math::

        \frac{1}{e_t^*} = \frac12 + \frac{(t - \mu)^2}{4 (\sigma^2 + \lambda)}

    The channel is first scaled by a power of two, which is exact, so that no square overflows or
    vanishes, whatever the scale of ``x``.

    Args:
        x: Maps; the last two axes are one channel.
        lam: The weight :math:`\lambda \ge 0` of the penalty, in units of ``x`` squared.
        statistics: Which mean and variance stand for :math:`\mu` and :math:`\sigma^2`; see
            :data:`Statistics`. The default is what the authors' code computes.

    Returns:
        The importance, at least 1/2, of the shape of ``x``. A constant channel has 1/2 everywhere,
        which at ``lam = 0`` is the limit. With ``"leave_one_out"`` and ``lam = 0`` a neuron that
        differs from otherwise equal ones has infinite importance.

    Raises:
        ValueError: If ``lam`` is negative or not finite, ``statistics`` is unknown, or ``x`` is not a real
            map of at least two neurons or not finite.
    """
    _check_lam(lam)
    if statistics not in get_args(Statistics):
        raise ValueError(f"statistics must be one of {', '.join(get_args(Statistics))}, got {statistics!r}")
    x = _check_maps(x)
    largest = np.max(np.abs(x), axis=(-2, -1), keepdims=True, initial=0.0)  # (*lead, 1, 1)
    exponent = np.frexp(largest)[1]
    with np.errstate(over="ignore", under="ignore"):
        scaled_lam = np.ldexp(lam, -2 * exponent)  # lam / scale^2, (*lead, 1, 1)
    _, deviation = _centered(np.ldexp(x, -exponent))  # (*lead, h, w)
    if statistics == "leave_one_out":
        to_mean, var = _leave_one_out(deviation)
    else:
        divisor = x.shape[-2] * x.shape[-1] - (1 if statistics == "shared" else 0)
        to_mean, var = deviation, np.sum(deviation**2, axis=(-2, -1), keepdims=True) / divisor
    with np.errstate(divide="ignore", invalid="ignore"):
        squared_score = to_mean**2 / (var + scaled_lam)
    return np.where(to_mean == 0.0, 0.5, 0.5 + squared_score / 4.0)


def gain(
    x: Float[np.ndarray, "*lead h w"], *, lam: float = DEFAULT_LAM, statistics: Statistics = "shared"
) -> Float[np.ndarray, "*lead h w"]:
    r"""Return the factor by which SimAM multiplies every neuron, Eq. (6).

    .. math:: g_t = \operatorname{sigmoid}(1 / e_t^*)

    Args:
        x: Maps; the last two axes are one channel.
        lam: The weight :math:`\lambda \ge 0` of the penalty, in units of ``x`` squared.
        statistics: As for :func:`importance`.

    Returns:
        The gain, of the shape of ``x``, in :math:`[\operatorname{sigmoid}(1/2), 1]`: no neuron is
        turned down below 0.62 of itself.

    Raises:
        ValueError: As for :func:`importance`.
    """
    gains: Float[np.ndarray, "*lead h w"] = 1.0 / (
        1.0 + np.exp(-importance(x, lam=lam, statistics=statistics))
    )
    return gains


def _centered(
    x: Float[np.ndarray, "*lead h w"],
) -> tuple[Float[np.ndarray, "*lead 1 1"], Float[np.ndarray, "*lead h w"]]:
    """Return the mean of each channel and the deviations from it.

    The rounded mean of values near 1e8 is off by up to 1e-8, and so would be every deviation. The
    deviations show that error as a mean of their own; taking it off a second time removes it.
    """
    mu = np.mean(x, axis=(-2, -1), keepdims=True)
    deviation = x - mu
    remainder = np.mean(deviation, axis=(-2, -1), keepdims=True)
    return mu + remainder, deviation - remainder


def _leave_one_out(
    deviation: Float[np.ndarray, "*lead h w"],
) -> tuple[Float[np.ndarray, "*lead h w"], Float[np.ndarray, "*lead h w"]]:
    """Return ``t - mu_t`` and ``var_t`` of every neuron from its deviation from the channel's mean."""
    neurons = deviation.shape[-2] * deviation.shape[-1]
    ratio = neurons / (neurons - 1)
    squares = deviation**2
    total = np.sum(squares, axis=(-2, -1), keepdims=True)
    # The difference is a sum of squares; rounding can leave it a hair below zero.
    var_t = np.maximum(total - ratio * squares, 0.0) / (neurons - 1)
    return ratio * deviation, var_t


def _check_lam(lam: float) -> None:
    if not (np.isfinite(lam) and lam >= 0):
        raise ValueError(f"lam must be a finite number of at least 0, got {lam!r}; the paper uses 1e-4")


def _check_point(
    t: ArrayLike, mu: ArrayLike, var: ArrayLike, lam: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the arguments in float64 and the denominator that Eqs. (3) and (5) share."""
    _check_lam(lam)
    t, mu, var = (np.asarray(value, dtype=np.float64) for value in (t, mu, var))
    if not (np.all(np.isfinite(var)) and np.all(var >= 0)):
        raise ValueError(f"var must be finite and at least 0, got {var}; a variance is a mean of squares")
    denominator = (t - mu) ** 2 + 2.0 * var + 2.0 * lam
    if np.any(denominator == 0):
        raise ValueError(
            "lam must be positive where t equals mu and var is 0, got lam = 0; "
            "there every weight gives the same energy and no minimum is unique"
        )
    return t, mu, var, denominator


def _check_maps(x: Float[np.ndarray, "*lead h w"]) -> Float[np.ndarray, "*lead h w"]:
    x = np.asarray(x)
    if x.dtype.kind not in "fiu":
        raise ValueError(f"x must hold real numbers, got dtype {x.dtype}; convert it to float64")
    if x.ndim < 2 or x.shape[-2] * x.shape[-1] < 2:
        raise ValueError(
            f"x must end in a map of at least two neurons, (..., h, w), got shape {x.shape}; "
            "one neuron has no others to be held against"
        )
    x = x.astype(np.float64)
    if not np.all(np.isfinite(x)):
        raise ValueError("x must be finite, got nan or inf; look for it with numpy.isfinite")
    return x
