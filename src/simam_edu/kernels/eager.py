"""SimAM forward and backward in tensor operations that reuse their memory, where no other kernel runs.

Saved for the backward pass are the input and two numbers a channel, as in the native kernel; the ten lines
keep four maps. Chapter 9 derives the backward pass.
"""

import torch
from torch import Tensor

from simam_edu.kernels import plain
from simam_edu.kernels.options import Options, Saved, computed_in

SAFE = {torch.float32: (1e-26, 1e30), torch.float64: (1e-270, 1e290)}
"""Between these a sum of squares has neither overflowed nor lost digits to underflow."""


def forward(x: Tensor, options: Options) -> tuple[Tensor, Saved]:
    r"""Return the output and the two numbers of each channel.

    They are :math:`\mu - x_1` and :math:`4 T / (M - c)`, over which :math:`d^2` is :math:`w`. Where a channel
    leaves the safe range there are none, and both passes take the plain form; to know that, a number or two
    are read back from the device.

    Args:
        x: A batch (n, c, ...).
        options: The constants.
    """
    if x.numel() == 0:
        return torch.empty_like(x), ()
    values = x.to(computed_in(x.dtype))
    free = options.neurons(x) - options.correction
    w = values - options.first(values)
    offset = w.mean(options.axes, keepdim=True)  # (n, c, 1, 1)
    w.sub_(offset).square_()
    total = w.sum(options.axes, keepdim=True).add_(free * options.lam)
    if not _is_safe(total, free * options.lam):
        return plain.simam(x, options), ()
    divisor = total.mul_(4.0 / free)
    y = _importance(w.div_(divisor), options.neurons(x), options).sigmoid_().mul_(values)
    return y.to(x.dtype), (offset, divisor)


def backward(x: Tensor, grad: Tensor, saved: Saved, options: Options) -> Tensor:
    """Return the gradient of the input.

    Args:
        x: The input of the forward pass.
        grad: The gradient of its output.
        saved: What the forward pass returned beside the output.
        options: The constants.
    """
    if not saved:
        return plain.gradient(x, grad, options, create_graph=False)
    offset, r = saved[0], saved[1].rsqrt()
    values, incoming = x.to(r.dtype), grad.to(r.dtype)
    neurons = options.neurons(x)
    z = (values - options.first(values)).sub_(offset).mul_(r)
    s = _importance(z.square(), neurons, options).sigmoid_()
    q = torch.ops.aten.sigmoid_backward(incoming * values, s).mul_(r)  # g x s (1 - s) r
    if options.leave_one_out:
        a2, b = plain.rise_constants(neurons)
        room = z.square().mul_(-b).add_(1.0).clamp_min_(plain.FLOOR)
        q.mul_(a2).div_(room.square_())
    qz = q.mul_(z)
    # In-place steps change only what holds the incoming gradient: vmap may give a batch of these.
    result = (incoming * s).add_(qz, alpha=2.0)
    by_mean = qz.sum(options.axes, keepdim=True).mul_(-2.0 / neurons)
    by_variance = qz.mul_(z).sum(options.axes, keepdim=True).mul_(-8.0 / (neurons - options.correction))
    return result.addcmul_(z, by_variance).add_(by_mean).to(x.dtype)


def _is_safe(total: Tensor, least: float) -> bool:
    """Return whether all sums of squares are in the safe range, none of them below ``least``."""
    low, high = SAFE[total.dtype]
    if least > low:
        return bool(total.sum().item() < high)  # one operation less than the extremes; nan is not less
    smallest, largest = total.aminmax()
    return bool(smallest.item() > low and largest.item() < high)


def _importance(w: Tensor, neurons: int, options: Options) -> Tensor:
    """Return 1/e* in the memory of ``w``."""
    if not options.leave_one_out:
        return w.add_(0.5)
    a2, b = plain.rise_constants(neurons)
    room = (w * -b).add_(1.0).clamp_min_(plain.FLOOR)
    return w.mul_(a2).div_(room).add_(0.5)
