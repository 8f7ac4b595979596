"""SimAM forward and backward in tensor operations that reuse their memory, where no other kernel runs.

Saved for the backward pass are the input and two numbers a channel, as in the native kernel; the ten lines
keep four maps. Chapter 9 derives the backward pass.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from simam_edu.kernels import plain
from simam_edu.kernels.options import Options, Saved, computed_in

SAFE = {torch.float32: (1e-26, 1e30), torch.float64: (1e-270, 1e290)}
"""Between these a sum of squares has neither overflowed nor lost digits to underflow."""


def forward(x: Tensor, options: Options) -> tuple[Tensor, Saved]:
    r"""Return the output and the two numbers of each channel.

    They are :math:`M (\mu - x_1)` and :math:`4 T / (M - c)`, over which :math:`d^2` is :math:`w`. Where a
    channel leaves the safe range there are none, and both passes take the plain form; to know that, a number
    or two are read back from the device.

    Args:
        x: A batch (n, c, ...).
        options: The constants.
    """
    values = _in(computed_in(x.dtype), x)
    neurons, axes = options.neurons(x), options.axes
    free = neurons - options.correction
    w = values - _first(values, options)
    sums = w.sum(axes, keepdim=True)  # (n, c, 1, 1)
    w.sub_(sums, alpha=1.0 / neurons).square_()
    squares = w.sum(axes, keepdim=True)
    if not _is_safe(squares, free * options.lam):
        return plain.simam(x, options), ()
    divisor = torch.add(_constant(4.0 * options.lam, w.dtype), squares, alpha=4.0 / free)
    y = _importance(w.div_(divisor), neurons, options).sigmoid_().mul_(values)
    return _in(x.dtype, y), (sums, divisor)


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
    sums, r = saved[0], saved[1].rsqrt()
    values, incoming = _in(r.dtype, x), _in(r.dtype, grad)
    neurons, axes = options.neurons(x), options.axes
    z = (values - _first(values, options)).sub_(sums, alpha=1.0 / neurons).mul_(r)
    s = _importance(z.square(), neurons, options).sigmoid_()
    # In-place steps change only what holds the incoming gradient, or what does not meet it any more: vmap may
    # give a batch of these.
    result = incoming * s
    share = s.sub_(_constant(1.0, s.dtype)).mul_(values).mul_(z)  # -(1 - s) x z
    if options.leave_one_out:
        a2, b = plain.rise_constants(neurons)
        share.mul_(a2).div_(_room(z.square(), b).square_())
    qz = result * share  # -q z / r
    # The mean of qz leaves with that of d. As z has the mean 0, the sum below is the same with it or without.
    qz.sub_(qz.sum(axes, keepdim=True), alpha=1.0 / neurons)
    result.addcmul_(qz, r, value=-2.0)
    slope = qz.mul_(z).sum(axes, keepdim=True).mul_(r)
    result.addcmul_(z, slope, value=8.0 / (neurons - options.correction))
    return _in(x.dtype, result)


# On a small map a call of torch takes longer than its work, so some usual calls have cheaper ones here.


def _in(dtype: torch.dtype, x: Tensor) -> Tensor:
    return x if x.dtype == dtype else x.to(dtype)


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


def _is_safe(squares: Tensor, penalty: float) -> bool:
    """Return whether all sums of squares are in the safe range, its lower end with the penalty added."""
    low, high = SAFE[squares.dtype]
    if not squares.numel():
        return True
    if penalty > low:
        return bool(squares.max().item() < high)  # one operation less than the extremes; nan is not less
    smallest, largest = squares.aminmax()
    return bool(smallest.item() > low and largest.item() < high)


def _importance(w: Tensor, neurons: int, options: Options) -> Tensor:
    """Return 1/e* in the memory of ``w``."""
    if not options.leave_one_out:
        return w.add_(_constant(0.5, w.dtype))
    a2, b = plain.rise_constants(neurons)
    room = _room(w, b)  # before w is changed
    return w.mul_(a2).div_(room).add_(_constant(0.5, w.dtype))


def _room(w: Tensor, b: float) -> Tensor:
    """Return the room 1 - b w that leave-one-out statistics leave a neuron."""
    return (w * -b).add_(1.0).clamp_min_(plain.FLOOR)
