"""The kernels as operators of torch: what torch.compile keeps as one node for each pass.

The schemas are there whether a kernel is or not: torch looks through all operators when it compiles or
exports. Eager calls do not come here: a small map takes less time than the call of an operator in Python.
"""

from typing import Any

import torch
from torch import Tensor

from simam_edu.kernels import reference, triton_kernels
from simam_edu.kernels.options import Options, Statistics, accumulation_dtype

KERNELS = ("native", "triton")
"""The kernels that are operators, each with another for its backward pass."""

OPTIONS = "float lam, int correction, bool leave_one_out"

# The kernels read a map as it lies in memory, so a compiler may not lay it out anew behind their back.
TAGS = (getattr(torch.Tag, "needs_exact_strides", torch.Tag.needs_fixed_stride_order),)


def simam(x: Tensor, kernel: str, options: Options) -> Tensor:
    """Return SimAM of a contiguous or channels-last batch, by the operator of a kernel that takes it."""
    operator = getattr(torch.ops.simam_edu, kernel)
    y: Tensor = operator(x, options.lam, options.correction, options.leave_one_out)[0]
    return y


def register() -> None:
    """Tell torch of the operators, unless an earlier import of this module in this process has done so."""
    if hasattr(torch.ops.simam_edu, "gradient"):
        return
    define = torch.library.define
    for kernel in KERNELS:
        forward, backward = f"simam_edu::{kernel}", f"simam_edu::{kernel}_backward"
        define(forward, f"(Tensor x, {OPTIONS}) -> (Tensor, Tensor)", tags=TAGS)
        define(backward, f"(Tensor x, Tensor grad_output, Tensor statistics, {OPTIONS}) -> Tensor", tags=TAGS)
        torch.library.register_fake(forward, _forward_shapes)
        torch.library.register_fake(backward, _backward_shape)
        torch.library.register_autograd(forward, _backward_of(kernel), setup_context=_save)
    define("simam_edu::gradient", f"(Tensor x, Tensor grad_output, {OPTIONS}) -> Tensor")
    torch.library.impl("simam_edu::gradient", "CompositeImplicitAutograd", _gradient)
    # Not triton_op, which shows Inductor the launch: the tiles are fixed when a program is compiled and
    # follow from the size of the map, so each size would be compiled anew, and Inductor merges nothing into
    # a program that it did not write. The CPU is there for Triton's interpreter.
    for device in ("CPU", "CUDA"):
        torch.library.impl("simam_edu::triton", device, _triton)
        torch.library.impl("simam_edu::triton_backward", device, _triton_backward)


def _options(x: Tensor, lam: float, correction: int, leave_one_out: bool) -> Options:
    statistics: Statistics = "leave_one_out" if leave_one_out else "shared" if correction else "population"
    return Options(lam, statistics, x.ndim - 2)


def _triton(x: Tensor, *options: Any) -> tuple[Tensor, Tensor]:
    y, (statistics,) = triton_kernels.forward(x, _options(x, *options))
    return y, statistics


def _triton_backward(x: Tensor, grad_output: Tensor, statistics: Tensor, *options: Any) -> Tensor:
    return triton_kernels.backward(x, grad_output, (statistics,), _options(x, *options))


def _gradient(x: Tensor, grad_output: Tensor, *options: Any) -> Tensor:
    create_graph = torch.is_grad_enabled()
    return reference.gradient(x, grad_output, _options(x, *options), create_graph=create_graph)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, *ctx.options = inputs
    ctx.save_for_backward(x, output[1])


def _backward_of(kernel: str) -> Any:
    """Return the step of autograd; where it is itself to be differentiated, the reference takes it."""

    def backward(ctx: Any, grad_output: Tensor, _: Tensor | None) -> tuple[Tensor, None, None, None]:
        x, statistics = ctx.saved_tensors
        if torch.is_grad_enabled():
            grad = torch.ops.simam_edu.gradient(x, grad_output, *ctx.options)
        else:
            operator = getattr(torch.ops.simam_edu, f"{kernel}_backward")
            grad = operator(x, grad_output, statistics, *ctx.options)
        return grad, None, None, None

    return backward


def _forward_shapes(x: Tensor, *_options: object) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty((2, *x.shape[:2]), dtype=accumulation_dtype(x.dtype))


def _backward_shape(x: Tensor, *_rest: object) -> Tensor:
    return torch.empty_like(x)


register()
