"""One step of autograd for the forms that have their own backward pass."""

from typing import Any, Protocol

import torch
from torch import Tensor

from simam_edu.kernels import plain
from simam_edu.kernels.options import Options, Saved


class Kernel(Protocol):
    """A module with both passes."""

    def forward(self, x: Tensor, options: Options) -> tuple[Tensor, Saved]:
        """Return the output and two numbers a channel."""

    def backward(self, x: Tensor, grad: Tensor, saved: Saved, options: Options) -> Tensor:
        """Return the gradient of the input."""


class Fused(torch.autograd.Function):
    """SimAM by a kernel; saved are the input and what the kernel returns beside the output.

    Where the gradient is itself to be differentiated, autograd differentiates the plain form instead.
    """

    # The older form of forward, with the context as an argument: the newer one takes twice the time to call,
    # and small maps feel that. What needs the newer one, torch.func, is given the plain form.
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Kernel, options: Options) -> Tensor:
        """Compute the output and keep what the backward pass needs."""
        y, saved = kernel.forward(x, options)
        ctx.save_for_backward(x, *saved)
        ctx.kernel, ctx.options = kernel, options
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the input."""
        x, *saved = ctx.saved_tensors
        if torch.is_grad_enabled():  # a graph of this pass was asked for
            return plain.gradient(x, grad, ctx.options, create_graph=True), None, None
        return ctx.kernel.backward(x, grad, tuple(saved), ctx.options), None, None
