"""SimAM forward and backward in tensor operations that reuse their memory, on any device.

Saved for the backward pass are the input and two numbers per channel; autograd of the ten lines saves four
maps. The chapter on gradients derives the backward pass.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_batchedtensor, is_legacy_batchedtensor
from torch.utils._python_dispatch import _disable_current_modes

from simam_edu.kernels import reference
from simam_edu.kernels.options import FLOOR, Options, accumulation_dtype, cast, leave_one_out_constants

SAFE = {torch.float32: (1e-26, 1e30), torch.float64: (1e-270, 1e290)}
"""Between these a sum of squares has neither overflowed nor lost digits to underflow."""

Saved = tuple[Tensor, ...]
"""What is saved for the backward pass beside the input: two numbers per channel."""


class Fused(torch.autograd.Function):
    """SimAM as one step of autograd, by a module that has both passes.

    Where the gradient is itself to be differentiated, or comes in a batch, the reference is taken instead.
    """

    # The older form of forward, with the context as an argument: the newer one takes twice the time to call,
    # and small maps feel that. What needs the newer one, torch.func, is given the reference.
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Any, options: Options) -> Tensor:
        """Compute the output and save what the backward pass needs."""
        y: Tensor
        y, saved = kernel.forward(x, options)
        ctx.save_for_backward(x, *saved)
        ctx.kernel, ctx.options = kernel, options
        return y

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the input."""
        x, *saved = ctx.saved_tensors
        differentiated = torch.is_grad_enabled()
        if differentiated or _is_batch_of_gradients(grad_output):
            grad = reference.gradient(x, grad_output, ctx.options, create_graph=differentiated)
        else:
            grad = ctx.kernel.backward(x, grad_output, tuple(saved), ctx.options)
        return grad, None, None


def _is_batch_of_gradients(x: Tensor) -> bool:
    """Return whether a tensor is many, as by is_grads_batched, without memory that a kernel could read."""
    if torch.compiler.is_compiling():  # under compiled autograd, which cannot trace the question
        return False
    return is_batchedtensor(x) or is_legacy_batchedtensor(x)


def forward(x: Tensor, options: Options) -> tuple[Tensor, Saved]:
    r"""Return the output, and :math:`M (\mu - x_1)` and :math:`4 T / (M - c)` of each channel.

    :math:`d^2` over the latter is :math:`w`. Where a channel leaves the safe range nothing is saved, and both
    passes take the reference; to know that, a number or two are read back from the device.
    """
    values = cast(accumulation_dtype(x.dtype), x)
    positions, axes = options.positions(x), options.axes
    dof = positions - options.correction
    w = values - _first(values, options)
    sums = w.sum(axes, keepdim=True)  # (n, c, 1, 1)
    w.sub_(sums, alpha=1.0 / positions).square_()
    squares = w.sum(axes, keepdim=True)
    if not is_safe(squares, dof * options.lam):
        return reference.simam(x, options), ()
    divisor = torch.add(_constant(4.0 * options.lam, w.dtype), squares, alpha=4.0 / dof)
    y = _importance(w.div_(divisor), positions, options).sigmoid_().mul_(values)
    return cast(x.dtype, y), (sums, divisor)


def backward(x: Tensor, grad_output: Tensor, saved: Saved, options: Options) -> Tensor:
    """Return the gradient of the input; ``saved`` is what the forward pass saved."""
    if not saved:
        return reference.gradient(x, grad_output, options, create_graph=False)
    sums, r = saved[0], saved[1].rsqrt()  # r = 1 / (2 tau)
    values, grad = cast(r.dtype, x), cast(r.dtype, grad_output)
    positions, axes = options.positions(x), options.axes
    distance = (values - _first(values, options)).sub_(sums, alpha=1.0 / positions)
    z = distance.mul_(r)  # zeta / 2
    s = _importance(z.square(), positions, options).sigmoid_()  # the gain
    result = grad * s  # the direct path
    share = s.sub_(_constant(1.0, s.dtype)).mul_(values).mul_(z)  # -(1 - s) x z
    if options.leave_one_out:
        a2, b = leave_one_out_constants(positions)
        share.mul_(a2).div_(_variance_ratio(z.square(), b).square_())
    qz = result * share  # minus what arrives at the importance, times z
    # The mean of qz leaves with that of d. As z has the mean 0, the sum below is the
    # same with it or without.
    qz.sub_(qz.sum(axes, keepdim=True), alpha=1.0 / positions)
    result.addcmul_(qz, r, value=-2.0)  # the neuron's own deviation, and the mean
    slope = qz.mul_(z).sum(axes, keepdim=True).mul_(r)
    result.addcmul_(z, slope, value=8.0 / (positions - options.correction))  # the spread
    return cast(x.dtype, result)


# On a small map a call of torch takes longer than its work, so some usual calls have cheaper ones here.


def _constant(value: float, dtype: torch.dtype) -> Tensor:
    """Return a number as a tensor: what torch would make of it anew each time that it is added."""
    if torch.compiler.is_compiling():  # the backward pass under compiled autograd: a cache is not traced
        return torch.tensor(value, dtype=dtype)
    return _number(value, dtype)


@lru_cache
def _number(value: float, dtype: torch.dtype) -> Tensor:
    with _disable_current_modes():  # whoever watches the first call must not alter what later ones take
        return torch.tensor(value, dtype=dtype, device="cpu")


def _first(x: Tensor, options: Options) -> Tensor:
    """Return ``options.first(x)`` by one step instead of one for each axis."""
    return x.as_strided(x.shape[:2] + (1,) * options.spatial, x.stride())


def is_safe(squares: Tensor, penalty: float) -> bool:
    """Return whether all sums of squares are in the safe range, its lower end with the penalty added."""
    low, high = SAFE[squares.dtype]
    if not squares.numel():
        return True
    if penalty > low:
        return bool(squares.max().item() < high)  # one operation less than the extremes; nan is not less
    smallest, largest = squares.aminmax()
    return bool(smallest.item() > low and largest.item() < high)


def _importance(w: Tensor, positions: int, options: Options) -> Tensor:
    """Return 1/e* in the memory of ``w``."""
    if not options.leave_one_out:
        return w.add_(_constant(0.5, w.dtype))
    a2, b = leave_one_out_constants(positions)
    ratio = _variance_ratio(w, b)  # before w is changed
    return w.mul_(a2).div_(ratio).add_(_constant(0.5, w.dtype))


def _variance_ratio(w: Tensor, b: float) -> Tensor:
    """Return the leave-one-out variance ratio 1 - b w."""
    return (w * -b).add_(1.0).clamp_min_(FLOOR)
