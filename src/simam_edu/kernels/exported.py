r"""SimAM in the form that exporters and tracers are given: right where a runtime computes in float16 too.

What the reference needs is missing in some runtimes (log2, lt, where, clamp_min), and the ten lines overflow,
divide by a frozen :math:`M - 1` or lose a long sum, silently. Here

- the middle of the range is subtracted first, so that a large mean costs no digit;
- half the range divides next, so that no square overflows;
- means are taken of rows first, then of their means, so that no sum in float16 grows long;
- only means are taken, so that a map size which a tool freezes is frozen in :math:`1/(M-1)` alone.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from simam_edu.kernels.options import FLOOR, Options, accumulation_dtype, cast

SHORT = 256
"""Up to so many positions one sum in float16 keeps its digits, and short rows would cost time."""


def simam(x: Float[Tensor, "n c *map"], options: Options) -> Float[Tensor, "n c *map"]:
    r"""Return SimAM of a batch, Eqs. (5) and (6), in the shape and dtype of ``x``.

    .. math::

        y = x \odot \operatorname{sigmoid}\Bigl(\tfrac12 + \frac{(d g)^2}{v}\Bigr), \qquad
        v = \frac{4 M}{M - c} \operatorname{mean}\,(d g)^2 + (2 \sqrt\lambda\, g)^2, \quad d = x - \mu

    for any :math:`g`, which is one over half the range plus :math:`\sqrt\lambda`; :math:`M - c` are the
    degrees of freedom. Since the same :math:`g` is everywhere, the error of a runtime's reciprocal drops out.
    At :math:`\lambda = 0` its root is the least normal number, which gives a constant channel its limit, but
    no finite gradient. Leave-one-out statistics take a and b as
    :func:`simam_edu.kernels.reference.simam` does; a recorded map of one position has the gain sigmoid(1/2).

    Converted to float16, a program gives nan, and no wrong number, where :math:`g` leaves that dtype's range:
    for a constant channel at :math:`\lambda < 10^{-9}`, and, where a device flushes subnormals, for half a
    range above 16,384.
    """
    values = cast(accumulation_dtype(x.dtype), x)
    root = max(options.lam**0.5, torch.finfo(values.dtype).tiny)
    low = values.amin(options.axes, keepdim=True) * 0.5  # halves, whose difference is finite
    high = values.amax(options.axes, keepdim=True) * 0.5
    g = (high - low + root).reciprocal()  # (n, c, 1, 1)
    z = (values - (high + low)) * g  # in [-1, 1]
    z = z - _mean(z, options)
    squares, penalty = z * z, g * (2.0 * root)
    variance = _mean(squares, options)
    positions = options.positions(x)
    dof = positions - 1 + 1 // positions  # 1 where there is one position
    if options.correction:
        variance = _times_a(variance, dof)
    v = variance * 4.0 + penalty * penalty
    k = v.sqrt() / v  # 1 / sqrt(v), by a division that no tool makes a reciprocal
    importance = squares * (k * k)
    if options.leave_one_out:
        importance = _times_a(importance, dof)
        ratio = (1.0 - FLOOR) - importance / dof * 4.0
        importance = _times_a(importance, dof) / (ratio.relu() + FLOOR)
    y: Tensor = values * (importance + 0.5).sigmoid()
    return cast(x.dtype, y)


def _mean(x: Tensor, options: Options) -> Tensor:
    """Return the mean of each map: of its rows, then of their means, unless it is short for good.

    The axes that are means already are named again: some runtimes are slow on a column.
    """
    positions: object = options.positions(x)
    short = isinstance(positions, int) and positions <= SHORT
    for count in (options.spatial,) if short else range(1, options.spatial + 1):
        x = x.mean(options.axes[-count:], keepdim=True)
    return x


def _times_a(x: Tensor, dof: int) -> Tensor:
    """Return ``x`` times M / (M - 1); where M is not fixed, without M itself, which float16 may not hold."""
    return x * (1.0 + 1.0 / dof) if isinstance(dof, int) else x + x / dof
