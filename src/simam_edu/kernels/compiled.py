"""SimAM for torch.compile where no kernel takes the input: three passes forward, as in the ten lines.

A compiler computes what belongs to a channel anew at each position, so the scale of the reference would cost
a power at each. Here the statistics are taken in float32 as they come; an operator, which no compiler looks
into, checks them, and where a channel leaves the safe range it takes all of them in float64.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from simam_edu.kernels.fused import is_safe
from simam_edu.kernels.options import FLOOR, Options, Statistics, cast, leave_one_out_constants
from simam_edu.kernels.reference import rise


def simam(x: Tensor, options: Options) -> Tensor:
    """Return SimAM of a batch (n, c, ...) of at most float32.

    A second derivative is refused by torch's ahead-of-time autograd, which every backend of torch.compile but
    ``"eager"`` uses; that one, which is for debugging, returns a gradient without a graph.
    """
    y: Tensor = _Simam.apply(x, options.lam, options.statistics)  # type: ignore[no-untyped-call]
    return y


class _Simam(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, lam: float, statistics: Statistics) -> Tensor:
        options = Options(lam, statistics, x.ndim - 2)
        values = cast(torch.float32, x)
        shifted = values - options.first(values)
        mean = shifted.sum(options.axes, keepdim=True) / options.positions(x)
        squares = (shifted - mean).square().sum(options.axes, keepdim=True)
        numbers = torch.ops.simam_edu.statistics(x, mean, squares, lam, options.correction)
        ctx.save_for_backward(x, numbers)
        ctx.statistics = statistics
        z = _standardized(values, numbers)
        importance = rise(z.square(), options.positions(x), options)
        return cast(x.dtype, values * (importance + 0.5).sigmoid())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        x, numbers = ctx.saved_tensors
        options = Options(0.0, ctx.statistics, x.ndim - 2)
        values = cast(torch.float32, x)
        z = _standardized(values, numbers)
        positions = options.positions(x)
        gain = (rise(z.square(), positions, options) + 0.5).sigmoid()
        direct = cast(torch.float32, grad_output) * gain
        # In this order a z of 0 stays 0 where the root of a constant channel is large, and x times z does
        # not vanish where both are small.
        root = numbers[2]
        share = direct * (1.0 - gain) * (z * root * (0.5 * values) * root)
        if options.leave_one_out:
            a2, b = leave_one_out_constants(positions)
            share = share * a2 / (1.0 - b * z.square()).clamp_min(FLOOR).square()
        mean = share.sum(options.axes, keepdim=True) * (2.0 / positions)
        spread = (share * z).sum(options.axes, keepdim=True) * (8.0 / (positions - options.correction))
        return cast(x.dtype, direct + 2.0 * share - mean - spread * z), None, None


def _standardized(values: Tensor, numbers: Tensor) -> Tensor:
    """Return z, which is d over the root of 4 T / (M - c).

    Three numbers of a channel and x: Inductor would keep what reads more in memory. No half overflows.
    """
    first, mean, root = numbers.unbind()
    return (0.5 * values - first - mean) * root * root


def _statistics(x: Tensor, mean: Tensor, squares: Tensor, lam: float, correction: int) -> Tensor:
    """Return half the first neuron, half of the mean less it, and the fourth root of (M - c) / T."""
    options = Options(spatial=x.ndim - 2)
    first = options.first(x)
    dof = options.positions(x) - correction
    if not is_safe(squares, dof * lam):
        shifted = x.double() - first
        mean = shifted.mean(options.axes, keepdim=True)
        squares = (shifted - mean).square_().sum(options.axes, keepdim=True)
        squares[squares == 0.0] = 1.0  # any divisor gives a constant channel its limit
    root = (squares + dof * lam).mul_(1.0 / dof).rsqrt_().sqrt_()
    return torch.stack([0.5 * cast(mean.dtype, first), 0.5 * mean, root]).float()


def _statistics_shape(_x: Tensor, mean: Tensor, *_rest: object) -> Tensor:
    return mean.new_empty((3, *mean.shape))


if not hasattr(torch.ops.simam_edu, "statistics"):
    torch.library.define(
        "simam_edu::statistics",
        "(Tensor x, Tensor mean, Tensor squares, float lam, int correction) -> Tensor",
    )
    torch.library.register_fake("simam_edu::statistics", _statistics_shape)
    torch.library.impl("simam_edu::statistics", "CPU", _statistics)
