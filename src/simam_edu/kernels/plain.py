r"""SimAM in plain tensor operations: what all other forms must agree with, and what torch.compile is given.

It differs from the ten lines in three exact steps that keep the digits: the channel is scaled by a power of
two, so that no square overflows; one of its neurons is subtracted before the mean is taken, so that a large
mean does not swallow a small spread; and half-precision inputs are computed in float32.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from simam_edu.kernels.options import Options, computed_in

FLOOR = 1e-6
"""The least room :math:`1 - b w` of a neuron under leave-one-out statistics. Below it the gain is 1."""

REACH = {torch.float32: 120.0, torch.float64: 1020.0}
"""The largest exponent of a scale; it brings every finite number so near to one that its square is safe."""

NOTHING = {torch.float32: 1e-28, torch.float64: 1e-290}
"""A sum of squares below this, after scaling, is that of a channel whose neurons are equal."""


def simam(x: Float[Tensor, "n c *map"], options: Options) -> Float[Tensor, "n c *map"]:
    r"""Return SimAM of a batch, Eqs. (5) and (6).

    .. math::

        y = x \odot \operatorname{sigmoid}\bigl(\tfrac12 + \operatorname{rise}(w)\bigr), \qquad
        w = \frac{(M - c)\, d^2}{4 T}, \quad d = x - \mu, \quad T = \sum d^2 + (M - c) \lambda

    with :math:`c` the correction and :math:`\operatorname{rise}(w) = w`. With leave-one-out statistics it is
    :math:`a^2 w / (1 - b w)`, where :math:`a = M / (M - 1)`, :math:`b = 4 a / (M - 1)` and :math:`c = 1`.

    Args:
        x: In a floating dtype.
        options: The constants; the last ``options.spatial`` axes are a map.

    Returns:
        The output, of the shape and dtype of ``x``.
    """
    values = x.to(computed_in(x.dtype))
    neurons: Any = options.neurons(x)
    if isinstance(neurons, Tensor):  # torch.jit.trace counts in integers, whose quotients are float32
        neurons = neurons.to(values.dtype)
    free = neurons - options.correction
    scale = _power_of_two(values, options)  # (n, c, 1, 1)
    scaled = values * scale
    deviation = scaled - options.first(scaled)
    deviation = deviation - deviation.mean(options.axes, keepdim=True)
    squares = deviation.square()
    # lam is scaled twice in turn: the square of a scale may overflow, and 0 times that is nan.
    total = squares.sum(options.axes, keepdim=True) + free * (options.lam * scale) * scale  # (n, c, 1, 1)
    # At lam = 0 a constant channel is 0 / 0. Its squares are 0, so any divisor gives it the limit;
    # 1 keeps its gradient finite.
    total = torch.where(total < NOTHING[values.dtype], 1.0, total)
    importance = squares * (free / 4.0) / total
    if options.leave_one_out:
        a2, b = rise_constants(neurons)
        importance = a2 * importance / (1.0 - b * importance).clamp_min(FLOOR)
    y: Tensor = values * (importance + 0.5).sigmoid()
    return y.to(x.dtype)


def rise_constants(neurons: int) -> tuple[float, float]:
    """Return ``a ** 2`` and ``b`` of the leave-one-out statistics of so many neurons."""
    a = neurons / (neurons - 1)
    return a * a, 4.0 * a / (neurons - 1)


def gradient(x: Tensor, grad: Tensor, options: Options, *, create_graph: bool) -> Tensor:
    """Return the gradient of the input by differentiating :func:`simam`; it may be differentiated again.

    Args:
        x: The input.
        grad: The gradient of the output.
        options: The constants.
        create_graph: Whether the result shall know how it came from ``x`` and ``grad``.
    """
    with torch.enable_grad():
        x = x if create_graph else x.detach().requires_grad_()
        (result,) = torch.autograd.grad(simam(x, options), x, grad, create_graph=create_graph)
    return result


def _power_of_two(values: Tensor, options: Options) -> Tensor:
    """Return a power of two that brings the largest value of each channel near one, as far as it takes."""
    reach = REACH[values.dtype]
    peak = values.detach().abs().amax(options.axes, keepdim=True)
    exponent: Tensor = -peak.log2().floor().clamp(-reach, reach)
    # Not exp2, which the older ONNX exporter does not know; both are exact here.
    return torch.pow(2.0, exponent)
