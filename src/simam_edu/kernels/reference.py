r"""SimAM in tensor operations that autograd differentiates: what every other backend is tested against.

It differs from the ten lines in three exact steps that keep the digits: a channel is scaled by a power of
two, so that no square overflows; one of its neurons is subtracted before the mean is taken, so that a large
mean does not swallow a small standard deviation; and half-precision inputs are computed in float32.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from simam_edu.kernels.options import FLOOR, Options, accumulation_dtype, leave_one_out_constants

REACH = {torch.float32: 120.0, torch.float64: 1020.0}
"""The largest exponent of a scale; it brings every finite number so near to one that its square is safe."""

NOTHING = {torch.float32: 1e-28, torch.float64: 1e-290}
"""A scaled sum of squares below this is that of a constant channel."""


def simam(x: Float[Tensor, "n c *map"], options: Options) -> Float[Tensor, "n c *map"]:
    r"""Return SimAM of a batch, Eqs. (5) and (6), in the shape and dtype of ``x``.

    .. math::

        y = x \odot \operatorname{sigmoid}\bigl(\tfrac12 + \operatorname{rise}(w)\bigr), \qquad
        w = \frac{(M - c)\, d^2}{4 T}, \quad d = x - \mu, \quad T = \sum d^2 + (M - c) \lambda

    with :math:`M - c` the degrees of freedom and :math:`\operatorname{rise}(w) = w`. With leave-one-out
    statistics it is :math:`a^2 w / (1 - b w)`, where :math:`a = M / (M - 1)`, :math:`b = 4 a / (M - 1)` and
    :math:`c = 1`; :math:`1 - b w` is the leave-one-out variance over the shared one.
    """
    values = x.to(accumulation_dtype(x.dtype))
    positions: Any = options.positions(x)
    if isinstance(positions, Tensor):  # torch.jit.trace counts in integers, whose quotients are float32
        positions = positions.to(values.dtype)
    dof = positions - options.correction
    scale = _scale(values, options)  # (n, c, 1, 1)
    scaled = values * scale
    deviation = scaled - options.first(scaled)
    deviation = deviation - deviation.mean(options.axes, keepdim=True)
    squares = deviation.square()
    # lam is scaled twice in turn: the square of a scale may overflow, and 0 times that is nan.
    total = squares.sum(options.axes, keepdim=True) + dof * (options.lam * scale) * scale  # (n, c, 1, 1)
    # At lam = 0 a constant channel is 0 / 0. Its squares are 0, so any divisor gives it the limit;
    # 1 keeps its gradient finite.
    total = torch.where(total < NOTHING[values.dtype], 1.0, total)
    importance = squares * (dof / 4.0) / total
    if options.leave_one_out:
        a2, b = leave_one_out_constants(positions)
        importance = a2 * importance / (1.0 - b * importance).clamp_min(FLOOR)
    y: Tensor = values * (importance + 0.5).sigmoid()
    return y.to(x.dtype)


def gradient(x: Tensor, grad_output: Tensor, options: Options, *, create_graph: bool) -> Tensor:
    """Return the gradient of the input by differentiating :func:`simam`.

    With ``create_graph`` it knows how it came from ``x`` and ``grad_output``, and can be differentiated.
    """
    with torch.enable_grad():
        x = x if create_graph else x.detach().requires_grad_()
        (result,) = torch.autograd.grad(simam(x, options), x, grad_output, create_graph=create_graph)
    return result


def _scale(values: Tensor, options: Options) -> Tensor:
    """Return a power of two that brings the largest value of each channel near one, as far as it takes."""
    reach = REACH[values.dtype]
    peak = values.detach().abs().amax(options.axes, keepdim=True)
    exponent: Tensor = -peak.log2().floor().clamp(-reach, reach)
    # Not exp2, which the older ONNX exporter does not know; both are exact here.
    return torch.pow(2.0, exponent)
