r"""SimAM on the GPU: one Triton kernel forward, one backward.

With :math:`M - c` the degrees of freedom, :math:`d` the deviations from the mean of a channel and :math:`g`
the upstream gradient,

.. math::

    T = \sum_i d_i^2 + (M - c)\,\lambda, \quad r^2 = \frac{M - c}{4 T}, \quad z = d\, r, \quad w = z^2, \quad
    s = \operatorname{sigmoid}(u), \quad q = g x r\, s (1 - s)\, \frac{du}{dw}

where :math:`u = \tfrac12 + w`, or, with leave-one-out statistics, as in
:func:`simam_edu.kernels.reference.simam`. The output is :math:`x s` and the gradient of the input

.. math::

    g_j s_j + 2 q_j z_j - \frac2M \sum_i q_i z_i - \frac{8 z_j}{M - c} \sum_i q_i z_i^2 .

**Numbers.** A channel is scaled by a power of two, so no finite input overflows. The mean is subtracted
twice, against its rounding. A constant channel has deviations of exactly zero.

**Traffic.** A channel fits on chip up to 8,192 positions, 4,096 in float64; in channels-last up to 1,024
(:data:`simam_edu.kernels.tiling.TILE_BYTES`). Then the forward reads the input once and writes the output
once, and the backward reads the input and the upstream gradient once and writes the input's gradient once.
Beyond, the forward reads the input three times, the backward the input three times and the gradient twice.

Triton is imported when a kernel is first launched, not with this module.
"""

import importlib.util
import math
from typing import Any

import torch
from torch import Tensor

from simam_edu.kernels.options import DTYPES, Options, accumulation_dtype
from simam_edu.kernels.tiling import Plan, plan


def supports(x: Tensor) -> bool:
    """Return whether the kernels can take a tensor.

    True for a floating tensor with maps of 2 to 2^30 positions where Triton is installed, on an NVIDIA GPU of
    compute capability 7.0 or newer (8.0 for bfloat16), or on the CPU under Triton's interpreter, that is,
    with ``TRITON_INTERPRET=1`` set before Triton is first imported.
    """
    fits = x.ndim >= 3 and 2 <= math.prod(x.shape[2:]) <= 2**30
    return fits and runs_on(x.device, x.dtype)


def runs_on(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the kernels run on a device for a dtype: what of :func:`supports` is of no size."""
    if dtype not in DTYPES or importlib.util.find_spec("triton") is None:
        return False
    if device.type == "cuda":
        needed = (8, 0) if dtype == torch.bfloat16 else (7, 0)
        return torch.version.hip is None and torch.cuda.get_device_capability(device) >= needed
    return device.type == "cpu" and interpreted()


# torch.compile asks once while it traces, and does not look into it.
runs_on._dynamo_marked_constant = True  # type: ignore[attr-defined]


def interpreted() -> bool:
    """Return whether the kernels run under Triton's interpreter, where Triton is installed."""
    from triton.runtime.jit import JITFunction

    from simam_edu.kernels import triton_programs

    return not isinstance(triton_programs.forward_tile, JITFunction)


def forward(x: Tensor, options: Options) -> tuple[Tensor, tuple[Tensor]]:
    """Return SimAM of a contiguous or channels-last tensor, and what the backward needs beside it.

    That is a tensor (2, n, c) in the accumulation dtype: each channel's mean on its scale, and the scale.
    """
    y = torch.empty_like(x)
    saved = x.new_empty((2, *x.shape[:2]), dtype=accumulation_dtype(x.dtype))
    _launch("forward", (x, y), saved, options)
    return y, (saved,)


def backward(x: Tensor, grad_output: Tensor, saved: tuple[Tensor, ...], options: Options) -> Tensor:
    """Return the gradient of the input of :func:`forward` from that of its output and what it saved.

    A gradient that does not lie in memory as ``x`` does is copied, and so is what a hook has laid out anew.
    """
    x = x if x.is_contiguous() or x.movedim(1, -1).is_contiguous() else x.contiguous()
    grad_input = torch.empty_like(x)
    if grad_output.stride() != x.stride():
        grad_output = torch.empty_like(x).copy_(grad_output)
    _launch("backward", (x, grad_output, grad_input), saved[0].contiguous(), options)
    return grad_input


def _launch(which: str, tensors: tuple[Tensor, ...], saved: Tensor, options: Options) -> None:
    x = tensors[0]
    cut = plan(x)
    if not x.numel():
        return
    kernel, fixed = program(which, cut, options)
    numbers = cut.channels, cut.positions, float(options.lam)
    with torch.cuda.device(x.device.index if x.is_cuda else -1):  # -1 is: leave it as it is
        kernel[(cut.programs,)](*tensors, *saved, *numbers, **fixed, num_warps=cut.warps)


def program(which: str, cut: Plan, options: Options) -> tuple[Any, dict[str, Any]]:
    """Return the program, forward or backward, for a tensor that is cut so, and what is fixed in its code."""
    from simam_edu.kernels import triton_programs

    fixed = {
        "CORRECTION": options.correction,
        "LEAVE_ONE_OUT": options.leave_one_out,
        "BLOCK_C": cut.block_c,
        "BLOCK_M": cut.block_m,
        "LAST": cut.last,
    }
    return getattr(triton_programs, f"{which}_{'loop' if cut.looped else 'tile'}"), fixed
