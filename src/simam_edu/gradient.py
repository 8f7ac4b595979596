r"""The gradient of SimAM in numpy and float64: the oracle for the gradients of the torch modules.

``derive`` is :func:`simam_edu.derivation.derive_gradient`; its symbols are here, too.
"""

import numpy as np
from jaxtyping import Float

from simam_edu import _exact, energy
from simam_edu.derivation import LOSS, M, Step, a, a_bar, g, i, j, lam, tau, x, x_bar, y_bar, z
from simam_edu.derivation import derive_gradient as derive
from simam_edu.derivation import mean as mu
from simam_edu.energy import DEFAULT_LAM, Statistics

__all__ = ["LOSS", "M", "Step", "a", "a_bar", "derive", "g", "i", "j", "lam", "mu", "simam_gradient"]
__all__ += ["tau", "x", "x_bar", "y_bar", "z"]


def simam_gradient(
    x: Float[np.ndarray, "*lead h w"],
    grad: Float[np.ndarray, "*lead h w"],
    *,
    lam: float = DEFAULT_LAM,
    statistics: Statistics = "shared",
) -> Float[np.ndarray, "*lead h w"]:
    r"""Return the gradient of a loss by the input of SimAM, given ``grad``, that by its output.

    With :math:`\tau^2 = \sigma^2 + \lambda`, :math:`z_i = (x_i - \mu)/\tau`, the gain :math:`g_i` and
    :math:`\bar a_i = \bar y_i x_i g_i (1 - g_i)`,

    .. math::

        \bar x_j = \bar y_j g_j + \frac{1}{2\tau} \Bigl( z_j \bar a_j - \frac1M \sum_i \bar a_i z_i
                   - \frac{z_j}{M-1} \sum_i \bar a_i z_i^2 \Bigr)

    With the population statistics :math:`M - 1` is :math:`M`. With one left out :math:`z_i` stays the shared
    score, and :math:`\bar a_i` takes the factor :math:`(M/(M-1) \cdot \tau^2/(\sigma_i^2 + \lambda))^2` with
    the variance :math:`\sigma_i^2` of the others. Derived in the chapter on gradients, from Eqs. (5) and (6).
    For a constant channel with ``lam = 0`` it is the limit for a vanishing penalty: ``grad`` times the least
    gain.

    Raises:
        ValueError: As for :func:`simam_edu.energy.importance`; or if ``grad`` has another shape than ``x`` or
            is not finite.

    >>> simam_gradient(np.array([[0.0, 0.0, 0.0, 4.0]]), np.ones((1, 4))).round(3)
    array([[0.637, 0.637, 0.637, 0.743]])
    """
    importance = energy.importance(x, lam=lam, statistics=statistics)  # checks x, lam and statistics
    x, grad = (np.asarray(values, dtype=np.float64) for values in (x, grad))
    if grad.shape != x.shape:
        raise ValueError(
            f"grad must have the shape of x, {x.shape}, got {grad.shape}; it is that of the output"
        )
    _exact.check_finite(grad=grad)
    neurons, ddof = x.shape[-2] * x.shape[-1], int(statistics != "population")
    # The gradient does not change if x is divided by a power of two and lam by its square.
    x, exponent, _, deviation = _exact.scaled(x)
    with np.errstate(over="ignore"):
        lam = np.minimum(np.ldexp(lam, -2 * exponent), 1e300)  # beyond it nothing but grad times gain is left
    var = _exact.variance(deviation, ddof)
    tau = np.sqrt(var + lam)  # (*lead, 1, 1)
    tau[tau == 0] = np.inf  # a constant channel has no scores
    score = deviation / tau
    decay = np.exp(-importance)
    slope = decay / (1 + decay) ** 2  # g (1 - g), also where g is rounded to one
    if statistics == "leave_one_out":
        others = energy.leave_one_out_statistics(x)[1] + lam
        ratio = neurons / (neurons - 1) * (var + lam) / np.where(others == 0, np.inf, others)
        slope = slope * np.minimum(ratio, 1e150) ** 2  # where it is as large, the slope is zero
    arriving = grad * (x / tau) * slope / 2  # a_bar / (2 tau)
    of_mean = np.mean(arriving * score, axis=(-2, -1), keepdims=True)
    of_variance = np.sum(arriving * score**2, axis=(-2, -1), keepdims=True) / (neurons - ddof)
    return np.asarray(grad / (1 + decay) + arriving * score - of_mean - of_variance * score)
