"""The schemas of the native operators, and what operator.cpp calls back for.

They are there whether the kernel is built or not: torch looks through all operators when it compiles or
exports.
"""

import torch
from torch import Tensor

from simam_edu.kernels import reference
from simam_edu.kernels.options import Options, Statistics, accumulation_dtype


def register() -> None:
    """Tell torch of the operators, unless an earlier import of this module in this process has done so."""
    if hasattr(torch.ops.simam_edu, "gradient"):
        return
    options = "float lam, int correction, bool leave_one_out"
    define, name = torch.library.define, "simam_edu::"
    define(f"{name}native", f"(Tensor x, {options}) -> (Tensor, Tensor)")
    define(
        f"{name}native_backward", f"(Tensor x, Tensor grad_output, Tensor statistics, {options}) -> Tensor"
    )
    define(f"{name}gradient", f"(Tensor x, Tensor grad_output, {options}) -> Tensor")
    torch.library.register_fake(f"{name}native", _forward_shapes)
    torch.library.register_fake(f"{name}native_backward", _backward_shape)
    torch.library.impl(f"{name}gradient", "CompositeImplicitAutograd", _gradient)


def _gradient(x: Tensor, grad_output: Tensor, lam: float, correction: int, leave_one_out: bool) -> Tensor:
    statistics: Statistics = "leave_one_out" if leave_one_out else "shared" if correction else "population"
    options = Options(lam, statistics, x.ndim - 2)
    return reference.gradient(x, grad_output, options, create_graph=torch.is_grad_enabled())


def _forward_shapes(x: Tensor, *_options: object) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty((2, *x.shape[:2]), dtype=accumulation_dtype(x.dtype))


def _backward_shape(x: Tensor, *_rest: object) -> Tensor:
    return torch.empty_like(x)
