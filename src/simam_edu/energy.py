r"""The energy of a neuron and what follows from it, in numpy and float64.

This module is the oracle of the package: the torch module is tested against it, and it is
tested against the symbolic derivation and the numerical solvers. Equation numbers are those of
Yang, Zhang, Li and Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional
Neural Networks", ICML 2021.

A *channel* is one map of :math:`M = H \times W` neurons. Wherever ``x`` is asked for, its last
two axes are such a map and all axes before them are independent channels.

Every finite float64 is a valid value. A square leaves the range of float64 as soon as its root is
beyond about 1e154 or below 1e-154, so the functions divide by a power of two before they square and
multiply by it at the end. Both are exact: what is rounded is what would be rounded anyway.
"""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from simam_edu.arguments import check_lam

Statistics = Literal["shared", "population", "leave_one_out"]
"""Which mean and variance a neuron is held against.

- ``"shared"``: one mean and one variance with :math:`1/(M-1)` for the whole channel, as the
  authors' code has it.
- ``"population"``: the same with :math:`1/M`, as Eq. (5) is printed.
- ``"leave_one_out"``: the mean and variance of the :math:`M-1` other neurons, as the derivation
  asks. The variance has the :math:`1/(M-1)` of Eq. (2), which is the population form over the others.
"""

_Maps = Float[np.ndarray, "*lead h w"]
_Channels = Float[np.ndarray, "*lead 1 1"]
_Exponents = Int[np.ndarray, "*lead 1 1"]

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
        ``others``. It is inf where it exceeds the largest float64, so that it still compares rightly
        with every other energy: a descent that diverges can be seen to do so.

    Raises:
        ValueError: If ``lam`` is negative or not finite, ``others`` is empty, or a value is not finite.
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
        miss = -1.0 - (w[..., None] * others + b[..., None])  # (*lead, m)
        exponent = np.frexp(np.max(np.abs(miss), axis=-1))[1]  # (*lead)
        # The sum over the others may be too large where their mean is not.
        scaled_mean = np.mean(np.ldexp(miss, -exponent[..., None]) ** 2, axis=-1)
        energy: Float[np.ndarray, "*lead"] = (
            np.ldexp(scaled_mean, 2 * exponent) + (1.0 - (w * t + b)) ** 2 + lam * w * w
        )
    if not np.all(np.isfinite(energy)):  # as it is whenever a value is nan or inf
        _check_finite(w=w, b=b, t=t, others=others)
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
        ValueError: If ``lam`` or ``var`` is negative or not finite, ``t`` or ``mu`` is not finite, the
            minimum is not unique, or ``w_t`` exceeds the largest float64. That takes ``var`` and ``lam``
            of 0 and a ``t`` within about 1e-308 of ``mu``.
    """
    scaled_t, scaled_mu, common, _, denominator, exponent = _scaled_point(*_check_point(t, mu, var, lam))
    scaled_weight = 2.0 * (scaled_t - scaled_mu) / denominator
    with np.errstate(over="ignore"):
        w_t = np.ldexp(scaled_weight, common - 2 * exponent)
    if not np.all(np.isfinite(w_t)):
        raise ValueError(
            "lam must be positive where var is 0 and t is within 1e-308 of mu, got lam = 0; "
            "there the weight 2 / (t - mu) exceeds the largest float64"
        )
    return w_t, np.ldexp(-(scaled_t + scaled_mu) * scaled_weight, 2 * (common - exponent) - 1)


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
        The energy, in [0, 2], in the broadcast shape of the arguments. It is as accurate as its
        arguments: a mean of 1e8 is rounded by up to 1e-8, which a spread of 1 shows in the eighth digit.
        :func:`importance` does not round the mean and has no such limit.

    Raises:
        ValueError: If ``lam`` or ``var`` is negative or not finite, ``t`` or ``mu`` is not finite, or the
            minimum is not unique.
    """
    *_, spread, denominator, _ = _scaled_point(*_check_point(t, mu, var, lam))
    energy: Float[np.ndarray, "*lead"] = 4.0 * spread / denominator
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
        ``(mu, var)``, the map axes kept with length one, so that both broadcast against ``x``. A
        variance below the smallest float64, of values below about 1e-162, is 0.

    Raises:
        ValueError: If ``x`` is not a real map of at least two neurons or not finite, ``ddof`` is not 0
            or 1, or a variance exceeds the largest float64, as it may from values of about 1e154 on.
    """
    if ddof not in (0, 1):
        raise ValueError(f"ddof must be 0 or 1, got {ddof!r}; 1 is the authors' code, 0 is Eq. (5)")
    x = _check_maps(x)
    mu, var = _statistics(x, ddof)
    _check_variance(var, x)
    return mu, var


def leave_one_out_statistics(
    x: Float[np.ndarray, "*lead h w"],
) -> tuple[Float[np.ndarray, "*lead h w"], Float[np.ndarray, "*lead h w"]]:
    r"""Return for every neuron the mean and variance of the others, without a loop.

    With :math:`d = t - \mu` and :math:`S = \sum_i (x_i - \mu)^2` over the whole channel,

    .. math::

        t - \mu_t = \frac{M}{M-1}\, d, \qquad
        \sigma_t^2 = \frac{1}{M-1} \Bigl( S - \frac{M}{M-1} d^2 \Bigr)

    so the exact statistics of all :math:`M` neurons cost one pass, like the shared ones. For a neuron
    far from all others the bracket is the small difference of two large numbers. Only the farthest
    neuron of a channel can be so far, and its statistics are taken from the others directly.

    Args:
        x: Maps; the last two axes are one channel.

    Returns:
        ``(mu_t, var_t)``, each of the shape of ``x``. The variance has :math:`1/(M-1)` over
        the :math:`M-1` others, as under Eq. (4) of the paper. Below the smallest float64 it is 0.

    Raises:
        ValueError: If ``x`` is not a real map of at least two neurons or not finite, or a variance exceeds
            the largest float64.
    """
    x = _check_maps(x)
    mu_t, var_t = _leave_one_out(x)
    _check_variance(var_t, x)
    return mu_t, var_t


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
        differs from otherwise equal ones has infinite importance; inf also stands for an importance
        beyond the largest float64, which only ``"leave_one_out"`` can reach.

    Raises:
        ValueError: If ``lam`` is negative or not finite, ``statistics`` is unknown, or ``x`` is not a real
            map of at least two neurons or not finite.
    """
    lam = check_lam(lam)
    if statistics not in get_args(Statistics):
        raise ValueError(f"statistics must be one of {', '.join(get_args(Statistics))}, got {statistics!r}")
    x = _check_maps(x)
    neurons = x.shape[-2] * x.shape[-1]
    x, exponent = _normalized(x)
    with np.errstate(over="ignore"):
        scaled_lam = np.ldexp(lam, -2 * exponent)  # lam / scale^2, (*lead, 1, 1)
    _, deviation = _centered(x)  # (*lead, h, w)
    if statistics == "leave_one_out":
        to_mean, var = deviation * (neurons / (neurons - 1)), _leave_one_out(x)[1]
    else:
        to_mean, var = deviation, _statistics(x, ddof=1 if statistics == "shared" else 0)[1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        above_half = (to_mean / 2.0) ** 2 / (var + scaled_lam)
    return np.where(to_mean == 0.0, 0.5, 0.5 + above_half)


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


def _normalized(x: _Maps) -> tuple[_Maps, _Exponents]:
    """Return ``x / 2**exponent``, in which the largest value of each channel lies in [1/2, 1)."""
    exponent = np.frexp(np.max(np.abs(x), axis=(-2, -1), keepdims=True))[1]
    return np.ldexp(x, -exponent), exponent


def _centered(x: _Maps) -> tuple[_Channels, _Maps]:
    """Return the mean of each channel and the deviations from it.

    The rounded mean of values near 1e8 is off by up to 1e-8, and so would be every deviation. The
    deviations show that error as a mean of their own; taking it off a second time removes it.
    """
    mu = np.mean(x, axis=(-2, -1), keepdims=True)
    deviation = x - mu
    remainder = np.mean(deviation, axis=(-2, -1), keepdims=True)
    return mu + remainder, deviation - remainder


def _statistics(x: _Maps, ddof: int) -> tuple[_Channels, _Channels]:
    """Return the mean and variance of each channel; a variance that is too large is inf."""
    scaled, exponent = _normalized(x)
    mu, deviation = _centered(scaled)
    var = np.sum(deviation**2, axis=(-2, -1), keepdims=True) / (x.shape[-2] * x.shape[-1] - ddof)
    with np.errstate(over="ignore"):
        return np.ldexp(mu, exponent), np.ldexp(var, 2 * exponent)


def _leave_one_out(x: _Maps) -> tuple[_Maps, _Maps]:
    """Return ``mu_t`` and ``var_t`` of every neuron; a variance that is too large is inf."""
    *lead, height, width = x.shape
    neurons = height * width
    if neurons == 2:  # one other is its own mean, which rounding could take past the largest float
        return x[..., ::-1, ::-1].copy(), np.zeros_like(x)
    scaled, exponent = _normalized(x)
    _, deviation = _centered(scaled)
    squares, ratio = deviation**2, neurons / (neurons - 1)
    # At most half of the sum is the square of one neuron, or else that neuron is the farthest: of three
    # neurons or more a quarter of the sum is left, and the difference costs two bits.
    difference = np.sum(squares, axis=(-2, -1), keepdims=True) - ratio * squares
    with np.errstate(over="ignore"):
        mu_t = np.ldexp(scaled - ratio * deviation, exponent)
        var_t = np.ldexp(difference / (neurons - 1), 2 * exponent)
    farthest = np.argmax(squares.reshape(*lead, neurons), axis=-1)[..., None, None]
    is_farthest = np.arange(neurons).reshape(height, width) == farthest  # one in each channel
    mu_far, var_far = _statistics(x[~is_farthest].reshape(*lead, 1, neurons - 1), ddof=0)
    return np.where(is_farthest, mu_far, mu_t), np.where(is_farthest, var_far, var_t)


def _scaled_point(
    t: np.ndarray, mu: np.ndarray, var: np.ndarray, lam: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the parts of Eqs. (3) to (5), on scales on which none overflows or vanishes.

    They are ``t`` and ``mu`` over ``2**common``, ``common``, then ``var + lam`` and the denominator
    over ``4**exponent``, and ``exponent``. The first scale is that of the larger of ``t`` and ``mu``;
    the second that of the larger of ``t - mu`` and the root of ``var + lam``, for which the scaled
    denominator is about one.
    """
    common = _exponent(np.maximum(np.abs(t), np.abs(mu)))
    t, mu = np.ldexp(t, -common), np.ldexp(mu, -common)
    to_mean = t - mu
    exponent = np.maximum(common + _exponent(to_mean), (_exponent(np.maximum(var, lam)) + 1) // 2)
    spread = np.ldexp(var, -2 * exponent) + np.ldexp(lam, -2 * exponent)
    denominator = np.ldexp(to_mean, common - exponent) ** 2 + 2.0 * spread
    return t, mu, common, spread, denominator, exponent


def _exponent(value: np.ndarray) -> np.ndarray:
    """Return the power of two just above the size of ``value``; that of 0 is below all others."""
    return np.where(value == 0.0, -5000, np.frexp(value)[1])


def _check_finite(**values: np.ndarray) -> None:
    for name, value in values.items():
        if not np.all(np.isfinite(value)):
            raise ValueError(f"{name} must be finite, got nan or inf; look for it with numpy.isfinite")


def _check_point(
    t: ArrayLike, mu: ArrayLike, var: ArrayLike, lam: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return the arguments in float64, once they are known to have one minimum."""
    lam = check_lam(lam)
    t, mu, var = (np.asarray(value, dtype=np.float64) for value in (t, mu, var))
    _check_finite(t=t, mu=mu)
    if not (np.all(np.isfinite(var)) and np.all(var >= 0)):
        raise ValueError(f"var must be finite and at least 0, got {var}; a variance is a mean of squares")
    if lam == 0 and np.any((t == mu) & (var == 0)):
        raise ValueError(
            "lam must be positive where t equals mu and var is 0, got lam = 0; "
            "there every weight gives the same energy and no minimum is unique"
        )
    return t, mu, var, lam


def _check_variance(var: np.ndarray, x: _Maps) -> None:
    if not np.all(np.isfinite(var)):
        raise ValueError(
            f"the variance of x must be at most 1.8e308, got more from values up to {np.max(np.abs(x)):.2g}; "
            "divide x by a power of two, or use importance, which needs no variance"
        )


def _check_maps(x: _Maps) -> _Maps:
    x = np.asarray(x)
    if x.dtype.kind not in "fiu":
        raise ValueError(f"x must hold real numbers, got dtype {x.dtype}; convert it to float64")
    if x.ndim < 2 or x.shape[-2] * x.shape[-1] < 2:
        raise ValueError(
            f"x must end in a map of at least two neurons, (..., h, w), got shape {x.shape}; "
            "one neuron has no others to be held against"
        )
    with np.errstate(over="ignore"):  # a longer float may exceed float64, which is refused below
        x = x.astype(np.float64)
    _check_finite(x=x)
    return x
