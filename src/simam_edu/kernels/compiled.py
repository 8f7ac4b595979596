"""SimAM for torch.compile where no kernel runs or no gradient is asked for: three passes forward.

A compiler computes what belongs to a channel anew at each position, so the scale of the reference would cost
a power at each. Here the statistics are taken in float32 as they come; an operator, which no compiler looks
into, checks them, and where a channel leaves the safe range it takes all of them in float64.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from simam_edu.kernels.fused import SAFE
from simam_edu.kernels.options import FLOOR, Options, Statistics, cast, leave_one_out_constants
from simam_edu.kernels.reference import rise


def simam(x: Tensor, options: Options) -> Tensor:
    """Return SimAM of a batch (n, c, ...) of at most float32.

    A second derivative is refused by torch's ahead-of-time autograd, which every backend of torch.compile but
    ``"eager"`` uses; that one, which is for debugging, returns a gradient without a graph.
    """
    if not torch.is_grad_enabled():  # torch stops at an autograd.Function where warnings are errors
        return _forward(x, options)[0]
    y: Tensor = _Simam.apply(x, options.lam, options.statistics)  # type: ignore[no-untyped-call]
    return y


def _forward(x: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    """Return the output, and three numbers of each channel.

    They are half the first neuron, half of the mean less it, and the fourth root of (M - c) / T.
    """
    values = cast(torch.float32, x)
    first = options.first(values)
    shifted = values - first
    mean = shifted.sum(options.axes, keepdim=True) / options.positions(x)
    squares = (shifted - mean).square().sum(options.axes, keepdim=True)
    dof = options.positions(x) - options.correction
    root = ((squares + dof * options.lam) * (1.0 / dof)).rsqrt().sqrt()
    numbers = torch.stack([0.5 * first, 0.5 * mean, root])
    numbers = torch.ops.simam_edu.statistics(x, numbers, options.lam, options.correction)
    importance = rise(_standardized(values, numbers).square(), options.positions(x), options)
    return cast(x.dtype, values * (importance + 0.5).sigmoid()), numbers


class _Simam(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, lam: float, statistics: Statistics) -> Tensor:
        y, numbers = _forward(x, Options(lam, statistics, x.ndim - 2))
        ctx.save_for_backward(x, numbers)
        ctx.statistics = statistics
        return y

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
    half_first, half_mean, root = numbers.unbind()
    return (0.5 * values - half_first - half_mean) * root * root


def _statistics(x: Tensor, numbers: Tensor, lam: float, correction: int) -> Tensor:
    """Return the three numbers of a channel, those of float64 where one of them has left the safe range."""
    options = Options(spatial=x.ndim - 2)
    dof = options.positions(x) - correction
    numbers = numbers.clone()  # an operator returns none of its inputs
    if not numbers.numel():
        return numbers
    smallest, largest = numbers[2].aminmax()
    low, high = ((dof / total) ** 0.25 for total in reversed(SAFE[numbers.dtype]))
    if low < smallest.item() and largest.item() < high:  # nan is neither
        return numbers
    shifted = x.double() - options.first(x)
    mean = shifted.mean(options.axes, keepdim=True)
    squares = (shifted - mean).square_().sum(options.axes, keepdim=True)
    squares[squares == 0.0] = 1.0  # any divisor gives a constant channel its limit
    numbers[1] = 0.5 * mean
    numbers[2] = (squares + dof * lam).mul_(1.0 / dof).rsqrt_().sqrt_()
    return numbers


if not hasattr(torch.ops.simam_edu, "statistics"):
    torch.library.define(
        "simam_edu::statistics", "(Tensor x, Tensor numbers, float lam, int correction) -> Tensor"
    )
    torch.library.register_fake("simam_edu::statistics", lambda _x, numbers, *_: torch.empty_like(numbers))
    torch.library.impl("simam_edu::statistics", "CPU", _statistics)
