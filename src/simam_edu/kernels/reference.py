r"""SimAM in tensor operations that autograd differentiates: what every other backend is tested against.

It differs from the ten lines in three exact steps that keep the digits: a channel is scaled by a power of
two, so that no square overflows; one of its neurons is subtracted before the mean is taken, so that a large
mean does not swallow a small standard deviation; and half-precision inputs are computed in float32.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from simam_edu.kernels.options import (
    FLOOR,
    Options,
    accumulation_dtype,
    leave_one_out_constants,
)

REACH = {torch.float32: 112.0, torch.float64: 1008.0}
"""The largest exponent of a scale; it brings every finite number so near to one that its square is safe.

Not more: what autograd has of a scaled value is the gradient divided by the scale.
"""

NOTHING = {torch.float32: 1e-28, torch.float64: 1e-290}
"""A scaled sum of squares below this is that of a constant channel."""

OPEN = 100.0
"""The sigmoid of this is 1 in every dtype, which leaves a position as it is."""


def simam(
    x: Float[Tensor, "n c *map"], options: Options, mask: Bool[Tensor, "n 1 *map"] | None = None
) -> Float[Tensor, "n c *map"]:
    r"""Return SimAM of a batch, Eqs. (5) and (6), in the shape and dtype of ``x``.

    .. math::

        y = x \odot \operatorname{sigmoid}\bigl(\tfrac12 + \operatorname{rise}(w)\bigr), \qquad
        w = \frac{(M - c)\, d^2}{4 T}, \quad d = x - \mu, \quad T = \sum d^2 + (M - c) \lambda

    with :math:`M - c` the degrees of freedom and :math:`\operatorname{rise}(w) = w`. With leave-one-out
    statistics it is :math:`a^2 w / (1 - b w)`, where :math:`a = M / (M - 1)`, :math:`b = 4 a / (M - 1)` and
    :math:`c = 1`; :math:`1 - b w` is the leave-one-out variance over the shared one.

    With a mask, :math:`\mu`, :math:`M` and the sum are of the positions where it is True, and all others come
    back as they came; they may be up to 1e12 times larger. An image with one such position has the gain
    sigmoid(1/2) there, the limit.

    Autograd multiplies the upstream gradient by ``x``, and where that overflows the gradient is nan.
    """
    values = x.to(accumulation_dtype(x.dtype))
    scale = _scale(values, options)
    y: Tensor = values * _gain(values * scale, scale, options, mask)
    return y.to(x.dtype)


def _gain(scaled: Tensor, scale: Tensor, options: Options, mask: Tensor | None) -> Tensor:
    """Return the gain of values on a scale of their own, (n, c, 1, 1)."""
    valid = None if mask is None else mask.to(scaled.dtype)
    # Below two valid positions every deviation is 0, whatever it is divided by.
    positions: Any = options.positions(scaled) if valid is None else _sum(valid, options).clamp_min(2.0)
    if isinstance(positions, Tensor):  # torch.jit.trace counts in integers, whose quotients are float32
        positions = positions.to(scaled.dtype)
    dof = positions - options.correction
    first = options.first(scaled) if mask is None else _first_valid(scaled, mask, options)
    deviation = _keep(scaled - first, valid)
    deviation = _keep(deviation - _sum(deviation, options) / positions, valid)
    # lam is scaled twice in turn: the square of a scale may overflow, and 0 times that is nan.
    total = _sum(deviation.square(), options) + dof * (options.lam * scale) * scale  # (n, c, 1, 1)
    # At lam = 0 a constant channel is 0 / 0. Its deviations are 0, so any divisor gives it the limit;
    # 1 keeps its gradient finite.
    total = torch.where(total < NOTHING[scaled.dtype], 1.0, total)
    # Divided before it is squared: a deviation of 0 then stops the gradient before a small total
    # makes it overflow.
    z = deviation / (total * (4.0 / dof)).sqrt()
    half = 0.5 if mask is None else torch.where(mask, 0.5, OPEN)
    return (rise(z.square(), positions, options) + half).sigmoid()


def rise(w: Tensor, positions: Any, options: Options) -> Tensor:
    """Return the importance beyond one half of a neuron, from that by shared statistics."""
    if not options.leave_one_out:
        return w
    a2, b = leave_one_out_constants(positions)
    return a2 * w / (1.0 - b * w).clamp_min(FLOOR)


def gradient(x: Tensor, grad_output: Tensor, options: Options, *, create_graph: bool) -> Tensor:
    r"""Return the gradient of the input by autograd, itself to be differentiated or not.

    If not, it is taken on the scale of each channel, where ``grad_output`` times ``x`` does not overflow:
    with :math:`\lambda` scaled too, SimAM of a scaled channel is scaled, so the gradient is the same.
    """
    if create_graph:
        with torch.enable_grad():
            return torch.autograd.grad(simam(x, options), x, grad_output, create_graph=True)[0]
    values = x.detach().to(accumulation_dtype(x.dtype))
    scale = _scale(values, options)
    scaled = (values * scale).requires_grad_()
    with torch.enable_grad():
        y = scaled * _gain(scaled, scale, options, None)
    return torch.autograd.grad(y, scaled, grad_output.to(y.dtype))[0].to(x.dtype)


def _sum(x: Tensor, options: Options) -> Tensor:
    return x.sum(options.axes, keepdim=True)


def _keep(x: Tensor, valid: Tensor | None) -> Tensor:
    """Return ``x`` with zeros where it is not valid; a product, since torch.where takes six times as long."""
    return x if valid is None else x * valid


def _first_valid(x: Tensor, mask: Tensor, options: Options) -> Tensor:
    """Return the first valid neuron of each map, its axes kept, or any where none is."""
    index = mask.flatten(2).int().argmax(2, keepdim=True).expand(-1, x.shape[1], -1)
    return x.flatten(2).gather(2, index).reshape(options.first(x).shape)


def _scale(values: Tensor, options: Options) -> Tensor:
    """Return a power of two that brings the largest value of each channel near one, as far as it takes."""
    reach = REACH[values.dtype]
    peak = values.detach().abs().amax(options.axes, keepdim=True)
    exponent: Tensor = -peak.log2().floor().clamp(-reach, reach)
    # Not exp2, which the older ONNX exporter does not know; both are exact here.
    return torch.pow(2.0, exponent)
