r"""SimAM on the GPU: one Triton kernel forward, one backward.

For a channel :math:`x_1, \dots, x_M` with mean :math:`\mu`, and with :math:`M - c` the degrees of freedom,

.. math::

    d_i = x_i - \mu, \quad T = \sum_i d_i^2 + (M - c)\,\lambda, \quad r^2 = \frac{M - c}{4 T}, \quad
    z_i = d_i r, \quad w_i = z_i^2, \quad y_i = x_i \operatorname{sigmoid}(u_i)

where :math:`u = \tfrac12 + w`. With leave-one-out statistics, :math:`c = 1` and

.. math:: u = \frac12 + \frac{a^2 w}{1 - 4 a w / (M - 1)}, \qquad a = \frac{M}{M - 1} .

With :math:`g` the upstream gradient, :math:`s = \operatorname{sigmoid}(u)` and
:math:`q_i = g_i x_i r\, s_i (1 - s_i)\, du_i / dw_i`, the gradient of the input is

.. math::

    g_j s_j + 2 q_j z_j - \frac2M \sum_i q_i z_i - \frac{8 z_j}{M - c} \sum_i q_i z_i^2 .

**Numbers.** float16, bfloat16 and float32 are computed in float32, float64 in float64. Each channel is scaled
by a power of two, which is exact, so no finite input overflows. The mean is subtracted twice: the second time
removes what rounding left the first time. A constant channel has deviations of exactly zero.

**Traffic.** A channel fits on chip when its positions, rounded up to a power of two, need at most 32 KiB
(:data:`simam_edu.kernels.tiling.TILE_BYTES`) in the dtype of the statistics: 8,192 positions in float32,
4,096 in float64. In a channels-last tensor, as many channels as fill 32 bytes in that dtype must fit
together: 1,024 positions. Then the forward reads the input once and writes the output once, and the backward
reads the input and the upstream gradient once and writes the input's gradient once. Beyond that limit the
forward reads the input three times, and the backward the input three times and the gradient twice. Besides
these, two numbers per channel are written by the forward and read by the backward.

Triton is imported when a kernel is first launched, not with this module.
"""

import importlib.util
import math
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from simam_edu.kernels.options import DTYPES, Options, accumulation_dtype
from simam_edu.kernels.tiling import Plan, plan


def supports(x: Tensor) -> bool:
    """Return whether the kernels can take a tensor as it is.

    True for a floating tensor with maps of 2 to 2^30 positions where Triton is installed, on an NVIDIA GPU of
    compute capability 7.0 or newer (8.0 for bfloat16), or on the CPU under Triton's interpreter, that is,
    with ``TRITON_INTERPRET=1`` set before Triton is first imported.
    """
    fits = x.ndim >= 3 and 2 <= math.prod(x.shape[2:]) <= 2**30
    return fits and runs_on(x.device, x.dtype)


def runs_on(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the kernels run on a device for a dtype: what of :func:`supports` is of no size."""
    if dtype not in DTYPES:
        return False
    if device.type == "cuda":
        needed = (8, 0) if dtype == torch.bfloat16 else (7, 0)
        capable = torch.version.hip is None and torch.cuda.get_device_capability(device) >= needed
        return capable and importlib.util.find_spec("triton") is not None
    return device.type == "cpu" and interpreted()


# torch.compile asks once while it traces, and does not look into it.
runs_on._dynamo_marked_constant = True  # type: ignore[attr-defined]


def interpreted() -> bool:
    """Return whether the kernels run under Triton's interpreter; False where Triton is missing."""
    if importlib.util.find_spec("triton") is None:
        return False
    from triton.runtime.jit import JITFunction

    return not isinstance(_programs().forward_tile, JITFunction)


def forward(x: Tensor, options: Options) -> tuple[Tensor, tuple[Tensor]]:
    r"""Return SimAM of a tensor, and what the backward needs beside the input.

    A contiguous or channels-last tensor is read where it lies; any other is copied first. What is saved is a
    tensor (2, n, c) in the accumulation dtype: the mean of each channel on its scale, and the scale.

    Raises:
        ModuleNotFoundError: If Triton is not installed.
        RuntimeError: If ``x`` is on no GPU and the kernels are not interpreted.
    """
    x = _readable(x)
    y = torch.empty_like(x)
    saved = x.new_empty((2, *x.shape[:2]), dtype=accumulation_dtype(x.dtype))
    _launch("forward", (x, y), saved, options)
    return y, (saved,)


def backward(x: Tensor, grad_output: Tensor, saved: tuple[Tensor, ...], options: Options) -> Tensor:
    """Return the gradient of the input of :func:`forward` from that of its output and what it saved.

    A gradient that does not lie in memory as ``x`` does is copied. The errors are those of the forward.
    """
    x = _readable(x)
    grad_input = torch.empty_like(x)
    if grad_output.stride() != x.stride():
        grad_output = torch.empty_like(x).copy_(grad_output)
    _launch("backward", (x, grad_output, grad_input), saved[0], options)
    return grad_input


def _launch(which: str, tensors: tuple[Tensor, ...], saved: Tensor, options: Options) -> None:
    x = tensors[0]
    cut = plan(x)
    kernel = program(which, cut)
    if not (x.is_cuda or interpreted()):
        raise RuntimeError(
            f"x must be on a CUDA device, got one on {x.device}; move it there, or set TRITON_INTERPRET=1 "
            "before Triton is imported to run the kernels on the CPU, slowly"
        )
    if not x.numel():
        return
    numbers = cut.channels, cut.positions, float(options.lam)
    fixed = compile_time(cut, options)
    with torch.cuda.device(x.device.index if x.is_cuda else -1):  # -1 is: leave it as it is
        kernel[(cut.programs,)](*tensors, *saved, *numbers, **fixed, num_warps=cut.warps)


def program(which: str, cut: Plan) -> Any:
    """Return the program, forward or backward, for a tensor that is cut so.

    It imports Triton the first time, and raises ModuleNotFoundError where that is not installed.
    """
    return getattr(_programs(), f"{which}_{'loop' if cut.looped else 'tile'}")


def compile_time(cut: Plan, options: Options) -> dict[str, Any]:
    """Return what is fixed when a program is compiled for a tensor."""
    return {
        "CORRECTION": options.correction,
        "LEAVE_ONE_OUT": options.leave_one_out,
        "BLOCK_C": cut.block_c,
        "BLOCK_M": cut.block_m,
        "LAST": cut.last,
    }


def _programs() -> ModuleType:
    if importlib.util.find_spec("triton") is None:
        raise ModuleNotFoundError(
            "triton must be installed for the kernels of the GPU, and is not; it comes with CUDA builds of "
            "torch and, on Linux, by: pip install triton"
        )
    from simam_edu.kernels import triton_programs

    return triton_programs


def _readable(x: Tensor) -> Tensor:
    """Return the tensor where it lies if it is contiguous or channels-last, else a contiguous copy."""
    return x if x.movedim(1, -1).is_contiguous() else x.contiguous()
