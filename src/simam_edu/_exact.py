"""What keeps :mod:`simam_edu.energy` exact: powers of two, and checks.

A square leaves float64 where its root is beyond about 1e154 or below 1e-154. So values
are divided by a power of two before they are squared, and multiplied by it at the end.
Both are exact: what is rounded is what would be rounded anyway.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Integer, Real

from simam_edu.arguments import check_lam

Maps = Float[np.ndarray, "*lead h w"]
Channels = Float[np.ndarray, "*lead 1 1"]
MAP = (-2, -1)  # the axes of one channel


def scaled(x: Maps) -> tuple[Maps, Integer[np.ndarray, "*lead 1 1"], Channels, Maps]:
    """Return ``x / 2**exponent``, with its largest value in [1/2, 1), and the exponent.

    The mean of each scaled channel and the deviations from it follow.
    """
    exponent = np.frexp(np.max(np.abs(x), axis=MAP, keepdims=True))[1]
    x = np.ldexp(x, -exponent)
    mu = np.mean(x, axis=MAP, keepdims=True)
    deviation = x - mu
    # The mean of values near 1e8 is rounded by up to 1e-8, and with it every deviation.
    # They show that error as a mean of their own; taking it off once more removes it.
    remainder = np.mean(deviation, axis=MAP, keepdims=True)
    return x, exponent, mu + remainder, deviation - remainder


def variance(deviation: Maps, ddof: int) -> Channels:
    """Return the variance of each channel, with 1 / (M - ddof)."""
    dof = deviation.shape[-2] * deviation.shape[-1] - ddof
    var: np.ndarray = np.sum(deviation**2, axis=MAP, keepdims=True) / dof
    return var


def restored(
    mu: np.ndarray, var: np.ndarray, exponent: np.ndarray | int, *, of: Maps
) -> tuple[np.ndarray, np.ndarray]:
    """Return a mean and a variance in their own unit, unless it is beyond float64."""
    with np.errstate(over="ignore"):
        mu, var = np.ldexp(mu, exponent), np.ldexp(var, 2 * exponent)
    if not np.all(np.isfinite(var)):
        raise ValueError(
            "the variance of x must be at most 1.8e308, got more from values "
            f"up to {np.max(np.abs(of)):.2g}; divide x by a power of two, or use importance"
        )
    return mu, var


def leave_one_out(x: Maps, scaled_x: Maps, deviation: Maps, exponent: np.ndarray | int) -> tuple[Maps, Maps]:
    """Return ``mu_t`` and ``var_t`` of ``x``, which is ``scaled_x * 2**exponent``.

    For a neuron far from all others ``var_t`` is the small difference of two large
    numbers. Of three neurons or more only the farthest of a channel can be: the square
    of any other is at most half of the sum, a quarter of which is left, so that the
    difference costs two bits. The farthest neuron's statistics are taken from the
    others directly.
    """
    *lead, height, width = x.shape
    m = height * width
    if m == 2:  # one other is its own mean, which rounding could take past the largest float
        return x[..., ::-1, ::-1].copy(), np.zeros_like(x)
    squares = deviation**2
    difference = np.sum(squares, axis=MAP, keepdims=True) - m / (m - 1) * squares
    mu_t, var_t = restored(scaled_x - m / (m - 1) * deviation, difference / (m - 1), exponent, of=x)
    farthest = np.argmax(squares.reshape(*lead, m), axis=-1)[..., None, None]
    is_farthest = np.arange(m).reshape(height, width) == farthest  # one in each channel
    _, exponent, mu, deviation = scaled(x[~is_farthest].reshape(*lead, 1, m - 1))
    mu_far, var_far = restored(mu, variance(deviation, ddof=0), exponent, of=x)
    return np.where(is_farthest, mu_far, mu_t), np.where(is_farthest, var_far, var_t)


def mean_of_squares(values: Float[np.ndarray, "*lead m"]) -> Float[Any, "*lead"]:
    """Return the mean square along the last axis, inf only where it is too large."""
    exponent = np.frexp(np.max(np.abs(values), axis=-1))[1]
    mean = np.mean(np.ldexp(values, -exponent[..., None]) ** 2, axis=-1)
    return np.ldexp(mean, 2 * exponent)


def point(t: Any, mu: Any, var: Any, lam: float) -> tuple[Any, ...]:
    """Return the parts of Eqs. (3) to (5), on scales on which none is lost.

    They are ``t`` and ``mu`` over ``2**common``, ``var + lam`` and the denominator over
    ``4**exponent``, then ``common``, of the larger of ``t`` and ``mu``, and
    ``exponent``, of the larger of ``t - mu`` and the root of ``var + lam``. The
    denominator is about one.
    """
    lam = check_lam(lam)
    t, mu, var = (np.asarray(value, dtype=np.float64) for value in (t, mu, var))
    check_finite(t=t, mu=mu)
    if not (np.all(np.isfinite(var)) and np.all(var >= 0)):
        raise ValueError(f"var must be finite and at least 0, got {var}; a variance is a mean of squares")
    if lam == 0 and np.any((t == mu) & (var == 0)):
        raise ValueError(
            "lam must be positive where t equals mu and var is 0, got lam = 0; "
            "there every weight gives the same energy and no minimum is unique"
        )
    common = _exponent(np.maximum(np.abs(t), np.abs(mu)))
    t, mu = np.ldexp(t, -common), np.ldexp(mu, -common)
    root = (_exponent(np.maximum(var, lam)) + 1) // 2
    exponent = np.maximum(common + _exponent(t - mu), root)
    var_lam = np.ldexp(var, -2 * exponent) + np.ldexp(lam, -2 * exponent)
    denominator = np.ldexp(t - mu, common - exponent) ** 2 + 2.0 * var_lam
    return t, mu, var_lam, denominator, common, exponent


def _exponent(value: Any) -> np.ndarray:
    """Return the power of two just above a size; that of 0 is below all others."""
    return np.where(value == 0.0, -5000, np.frexp(value)[1])


def check_finite(**values: np.ndarray) -> None:
    """Raise a ValueError that names the first argument with nan or inf."""
    for name, value in values.items():
        if not np.all(np.isfinite(value)):
            raise ValueError(f"{name} must be finite, got nan or inf; look for it with numpy.isfinite")


def check_maps(x: Real[np.ndarray, "*lead h w"]) -> Maps:
    """Return finite maps of at least two neurons in float64."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiu":
        raise ValueError(f"x must hold real numbers, got dtype {x.dtype}; convert it to float64")
    if x.ndim < 2 or x.shape[-2] * x.shape[-1] < 2:
        raise ValueError(
            f"x must end in a map of at least two neurons, (..., h, w), got shape {x.shape}; "
            "one neuron has no others to be compared with"
        )
    with np.errstate(over="ignore"):  # a longer float may exceed float64, which is refused below
        x = x.astype(np.float64)
    check_finite(x=x)
    return x
