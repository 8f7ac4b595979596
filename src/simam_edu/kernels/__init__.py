"""The forms in which SimAM is computed, and which of them runs.

``plain``
    Tensor operations that autograd differentiates. It is what torch.compile, torch.export and the
    transforms of torch.func are given, and what all others are tested against.
``torch``
    Tensor operations with the backward pass of chapter 9, which keep one map instead of four.
``native``
    A C++ kernel for the CPU, once it is built by :func:`build` or ``simam-edu kernels``.
``triton``
    A kernel for CUDA, where triton is installed.
"""

import warnings
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from simam_edu.kernels import eager, native, plain, triton_kernels
from simam_edu.kernels.autograd import Fused, Kernel
from simam_edu.kernels.native import build
from simam_edu.kernels.options import Options, Saved

__all__ = ["Options", "Path", "build", "path_for", "simam"]

Path = Literal["auto", "native", "torch", "triton", "plain"]
"""How SimAM is computed; ``"auto"`` takes the fastest that is ready for the input."""

PATHS = get_args(Path)
"""All of them."""

PLAIN = (Tensor, nn.Parameter)
"""The types of tensors that hold their values themselves."""

PRE_DISPATCH = torch._C.DispatchKey.PreDispatch
"""Set where torch traces before autograd, as torch.export does at first."""


class _Triton:
    """The Triton kernels, called as the others are."""

    def forward(self, x: Tensor, options: Options) -> tuple[Tensor, Saved]:
        y, saved = triton_kernels.forward(x, **options._asdict())
        return y, (saved,)

    def backward(self, x: Tensor, grad: Tensor, saved: Saved, options: Options) -> Tensor:
        return triton_kernels.backward(x, grad, saved[0], **options._asdict())


KERNELS: dict[str, Kernel] = {"torch": eager, "triton": _Triton()}
"""The kernels that :class:`Fused` makes a step of autograd; the native one is its own."""


def simam(x: Tensor, options: Options, path: Path = "auto") -> Tensor:
    """Return SimAM of a batch.

    Args:
        x: A batch (n, c, ...), already checked.
        options: The constants.
        path: Which form computes it; see :func:`path_for`.

    Raises:
        ValueError: As :func:`path_for`.
    """
    chosen = path_for(x, path)
    if chosen == "plain":
        return plain.simam(x, options)
    if chosen != "torch" and not x.is_contiguous() and not x.movedim(1, -1).is_contiguous():
        x = x.contiguous()  # the compiled kernels know these two layouts only
    if chosen == "native":
        y = quick(x, options.lam, options.correction, options.leave_one_out)
        return plain.simam(x, options) if y is None else y
    kernel = KERNELS[chosen]
    if x.requires_grad and torch.is_grad_enabled():
        result: Tensor = Fused.apply(x, kernel, options)  # type: ignore[no-untyped-call]
        return result
    return kernel.forward(x, options)[0]


def quick(x: Tensor, lam: float, correction: int, leave_one_out: bool) -> Tensor | None:
    """Return SimAM of a batch by the native kernel, or None where it is not built or does not take the input.

    The kernel checks its input itself. On a small map everything else takes longer than the computation.

    Args:
        x: Anything that SimAM is called with.
        lam: As in :class:`Options`.
        correction: As in :class:`Options`.
        leave_one_out: As in :class:`Options`.
    """
    if _is_recorded(x) or (operator := native.operator()) is None:
        return None
    return operator(x, lam, correction, leave_one_out)


def path_for(x: Tensor, path: Path = "auto") -> str:
    """Return the path that an input takes: ``"native"``, ``"torch"``, ``"triton"`` or ``"plain"``.

    What is not plain data takes the plain form whatever is asked for: a tensor inside torch.compile,
    torch.export, a transform of torch.func or forward-mode differentiation, on the meta device, or of a
    subclass.

    Args:
        x: The input.
        path: What is asked for. ``"auto"`` takes the Triton kernel on CUDA, the native kernel on the CPU
            where it is built, and torch's operations elsewhere; on CUDA without triton it warns.

    Raises:
        ValueError: If the path is unknown, or asked for where it cannot run.
    """
    if path not in PATHS:
        raise ValueError(f"path must be one of {', '.join(PATHS)}, got {path!r}")
    if path == "plain" or _is_traced(x):
        return "plain"
    if path == "auto":
        return _fastest(x)
    if path == "native" and not (native.supports(x) and native.is_built()):
        cure = native.failure() or "build it by simam-edu kernels"
        raise ValueError(
            f"path 'native' must have a float tensor on the CPU and a kernel that is built, got {x.dtype} on "
            f"{x.device} and {'one' if native.is_built() else 'none'}; {cure}"
        )
    if path == "triton" and not triton_kernels.supports(x):
        raise ValueError(
            f"path 'triton' must have a float tensor on CUDA and triton, got {x.dtype} on {x.device}; "
            "install triton, or take the path 'torch'"
        )
    return path


def _fastest(x: Tensor) -> str:
    if native.is_built() and native.supports(x):
        return "native"
    if x.is_cpu and (reason := native.failure()):
        _warn_once(f"SimAM runs on torch's own operations, since {reason}")
    if x.is_cuda:
        if triton_kernels.supports(x):
            return "triton"
        warnings.warn(
            "SimAM runs on torch's own operations: its CUDA kernel needs triton and a card that it supports",
            RuntimeWarning,
            stacklevel=4,
        )
    return "torch"


@cache
def _warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=6)


def _is_traced(x: Tensor) -> bool:
    return (
        _is_recorded(x)
        or x.is_meta
        # Without a level no tensor has a tangent; unpack_dual takes four times as long to say so.
        or (forward_ad._current_level >= 0 and forward_ad.unpack_dual(x).tangent is not None)  # type: ignore[no-untyped-call]
    )


def _is_recorded(x: Tensor) -> bool:
    """Return whether the operations are traced or transformed, or may hold other values than those in memory.

    Dispatch modes that only watch do not count: what is saved may not depend on who watches.
    """
    return (
        torch.compiler.is_compiling()
        or type(x) not in PLAIN
        or torch._C._are_functorch_transforms_active()
        or (torch._C._len_torch_dispatch_stack() > 0 and _is_traced_by_mode())
        or torch._C._get_tracing_state() is not None
        or torch._C._dispatch_tls_is_dispatch_key_included(PRE_DISPATCH)
    )


def _is_traced_by_mode() -> bool:
    """Return whether torch replaces tensors by others that have no values: fake, functional or proxy."""
    kinds = torch._C._TorchDispatchModeKey
    modes = map(torch._C._get_dispatch_mode, (kinds.FAKE, kinds.FUNCTIONAL, kinds.PROXY))
    return any(mode is not None for mode in modes)
