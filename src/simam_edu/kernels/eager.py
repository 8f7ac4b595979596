"""SimAM forward and backward in tensor operations that reuse their memory, where no other kernel runs.

Saved for the backward pass are the input and two numbers a channel, as in the native kernel; the ten lines
keep four maps. Chapter 9 derives the backward pass.
"""

import torch
from torch import Tensor

from simam_edu.kernels import plain
from simam_edu.kernels.options import Options, computed_in

SAFE = {torch.float32: (1e-26, 1e30), torch.float64: (1e-270, 1e290)}
"""Between these a sum of squares has neither overflowed nor lost digits to underflow."""


def forward(x: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    r"""Return the output and, stacked, the two numbers of each channel.

    They are :math:`\mu - x_1` and :math:`r = \sqrt{(M - c) / (4 T)}`, for which :math:`z = d r` gives
    :math:`w = z^2`. Where a channel leaves the safe range they are nan, and both passes take the plain form;
    to know that, one truth value is read back from the device.

    Args:
        x: A batch (n, c, ...).
        options: The constants.
    """
    values = x.to(computed_in(x.dtype))
    free = options.neurons(x) - options.correction
    z = values - options.first(values)
    offset = z.mean(options.axes, keepdim=True)  # (n, c, 1, 1)
    z.sub_(offset)
    total = torch.linalg.vector_norm(z, dim=options.axes, keepdim=True).square_().add_(free * options.lam)
    low, high = SAFE[values.dtype]
    if not bool(((total > low) & (total < high)).all()):
        nothing = torch.full_like(offset, torch.nan)
        return plain.simam(x, options), torch.stack((nothing, nothing))
    r = total.reciprocal_().mul_(free / 4.0).sqrt_()
    y = _importance(z.mul_(r), options.neurons(x), options).sigmoid_().mul_(values)
    return y.to(x.dtype), torch.stack((offset, r))


def backward(x: Tensor, grad: Tensor, saved: Tensor, options: Options) -> Tensor:
    """Return the gradient of the input.

    Args:
        x: The input of the forward pass.
        grad: The gradient of its output.
        saved: The two numbers of each channel.
        options: The constants.
    """
    offset, r = saved.unbind()
    if bool(r.isnan().any()):
        return plain.gradient(x, grad, options, create_graph=False)
    values, incoming = x.to(r.dtype), grad.to(r.dtype)
    neurons = options.neurons(x)
    z = (values - options.first(values)).sub_(offset).mul_(r)
    s = _importance(z.clone(), neurons, options).sigmoid_()
    result = incoming * s
    q = s.neg_().add_(1.0).mul_(result).mul_(values).mul_(r)
    if options.leave_one_out:
        a2, b = plain.rise_constants(neurons)
        room = z.square().mul_(-b).add_(1.0).clamp_min_(plain.FLOOR)
        q.mul_(a2).div_(room.square_())
    qz = q.mul_(z)
    result.add_(qz, alpha=2.0)
    by_mean = qz.sum(options.axes, keepdim=True).mul_(-2.0 / neurons)
    by_variance = qz.mul_(z).sum(options.axes, keepdim=True).mul_(-8.0 / (neurons - options.correction))
    return result.add_(z.mul_(by_variance).add_(by_mean)).to(x.dtype)


def _importance(z: Tensor, neurons: int, options: Options) -> Tensor:
    """Return 1/e* in the memory of ``z``."""
    if not options.leave_one_out:
        return torch.addcmul(z.new_tensor(0.5), z, z, out=z)
    a2, b = plain.rise_constants(neurons)
    w = z.square_()
    room = (w * -b).add_(1.0).clamp_min_(plain.FLOOR)
    return w.mul_(a2).div_(room).add_(0.5)
