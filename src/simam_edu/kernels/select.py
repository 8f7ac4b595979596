"""Which backend computes SimAM, and the call of it."""

import math
import warnings
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from simam_edu.kernels import compiled, exported, fused, native, operators, reference, triton_kernels
from simam_edu.kernels.fused import Fused
from simam_edu.kernels.options import Options, Statistics

Backend = Literal["auto", "native", "torch", "triton", "reference"]
"""What computes SimAM; ``"auto"`` takes the fastest that is ready for the input."""

BACKENDS = get_args(Backend)
"""All of them."""


def _exports() -> bool:
    return torch.compiler.is_exporting()


# Called, not traced: traced by torch 2.11, torch.compiler.is_exporting() is True inside torch.compile, too.
_exports._dynamo_marked_constant = True  # type: ignore[attr-defined]

# torch 2.6 cannot tell, and torch.compile is given the exported form there, too.
is_exporting = _exports if hasattr(torch.compiler, "is_exporting") else torch.compiler.is_compiling


def simam(x: Tensor, options: Options, backend: Backend = "auto", mask: Tensor | None = None) -> Tensor:
    """Return SimAM of a batch.

    Args:
        x: A batch (n, c, ...), already checked.
        options: Already checked, too.
        backend: See :func:`backend_for`, which also says what is raised.
        mask: The valid positions (n, 1, ...), or None for all. With a mask the reference computes.

    >>> x = torch.tensor([1.0, -1.0]).reshape(1, 1, 1, 2)
    >>> simam(x, Options(lam=0.0, statistics="population"))  # sigmoid(0.75) = 0.6792
    tensor([[[[ 0.6792, -0.6792]]]])
    """
    chosen = backend_for(x, backend)
    if mask is not None:
        return reference.simam(x, options, mask)
    if chosen == "reference":
        return exported.simam(x, options) if _is_exported() else reference.simam(x, options)
    if chosen != "torch" and not x.is_contiguous() and not x.movedim(1, -1).is_contiguous():
        x = x.contiguous()  # the compiled kernels know these two layouts only
    if torch.compiler.is_compiling():
        return compiled.simam(x, options) if chosen == "torch" else operators.simam(x, chosen, options)
    if chosen == "native":
        y = simam_native(x, options.lam, options.statistics)
        return reference.simam(x, options) if y is None else y
    kernel = fused if chosen == "torch" else triton_kernels
    result: Tensor
    if x.requires_grad and torch.is_grad_enabled():
        result = Fused.apply(x, kernel, options)  # type: ignore[no-untyped-call]
    else:
        result = kernel.forward(x, options)[0]
    return result


def simam_native(x: Tensor, lam: float, statistics: Statistics) -> Tensor | None:
    """Return SimAM of a batch by the native kernel, or None where it is not built or does not take ``x``.

    The operator checks all of ``x`` but the number of its axes: on a small map any check in Python takes
    longer than the computation, and so does making :class:`Options`.
    """
    if _is_recorded(x) or (operator := native.operator()) is None:
        return None
    return operator(x, lam, 0 if statistics == "population" else 1, statistics == "leave_one_out")


def backend_for(x: Tensor, backend: Backend = "auto") -> str:
    """Return the backend of an input: ``"native"``, ``"torch"``, ``"triton"`` or ``"reference"``.

    A tensor inside torch.export, a transform of torch.func or forward-mode differentiation, on the meta
    device, or of a subclass takes the reference whatever is asked for; torch.export, torch.jit.trace and the
    ONNX exporters are given its form for other runtimes, :mod:`simam_edu.kernels.exported`. Inside
    torch.compile (of torch 2.7 or newer) it is ``"native"`` or ``"triton"`` where these are asked for and can
    run, :mod:`simam_edu.kernels.operators`; else ``"torch"``, :mod:`simam_edu.kernels.compiled`, for at most
    float32 on the CPU, and the reference for all others. ``"auto"`` takes that form without gradients, too,
    since the compiler merges its last pass with what follows.

    Args:
        x: The input.
        backend: ``"auto"`` takes the Triton kernel on CUDA, the native kernel on the CPU where it is built,
            and torch's operations elsewhere; on CUDA without triton it warns.

    Raises:
        ValueError: If the backend is unknown, or asked for where it cannot run.

    >>> backend_for(torch.zeros(1, 2, 4, 4, device="meta"))
    'reference'
    >>> backend_for(torch.zeros(1, 2, 4, 4), "torch")
    'torch'
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if backend == "reference":
        return backend
    if torch.compiler.is_compiling() and not is_exporting():
        return _compiled(x, backend)
    # Without a level no tensor has a tangent; unpack_dual takes four times as long to say so.
    if _is_recorded(x) or x.is_meta or (forward_ad._current_level >= 0 and _has_tangent(x)):
        return "reference"
    if backend == "auto":
        return _fastest(x)
    if backend == "native" and not (native.supports(x) and native.is_built()):
        cure = native.failure() or "simam-edu kernels builds it"
        raise ValueError(
            "backend 'native' must have a float tensor on the CPU and a kernel that is built, "
            f"got {x.dtype} on {x.device}; {cure}"
        )
    if backend == "triton" and not triton_kernels.supports(x):
        raise ValueError(
            f"backend 'triton' must have a float tensor on CUDA and triton, got {x.dtype} on {x.device}; "
            "install triton, or take the backend 'torch'"
        )
    return backend


def _compiled(x: Tensor, backend: Backend) -> str:
    """Return the backend inside torch.compile: an operator that can run, or a form without one."""
    if _is_transformed(x) or x.is_meta or forward_ad._current_level >= 0:
        return "reference"
    wanted = ("triton" if x.is_cuda else "native") if backend == "auto" else backend
    if wanted == "triton" and triton_kernels.supports(x):
        return "triton"
    fits = 3 <= x.ndim <= 5 and x.shape[1] > 0 and math.prod(x.shape[2:]) > 1
    mergeable = fits and x.is_cpu and x.dtype != torch.float64
    # Without a backward pass it costs less to merge the last pass with what follows than to run the kernel.
    merged = mergeable and backend == "auto" and not torch.is_grad_enabled()
    if wanted == "native" and fits and not merged and native.supports(x) and native.is_built():
        return "native"
    return "torch" if mergeable else "reference"


def _fastest(x: Tensor) -> str:
    if native.is_built() and native.supports(x):
        return "native"
    if x.is_cpu and (reason := native.failure()):
        _warn_once(f"SimAM runs on torch's own operations, since {reason}")
    if x.is_cuda:
        if triton_kernels.supports(x):
            return "triton"
        _warn_once("SimAM runs on torch's own operations: its CUDA kernel needs triton and a card for it")
    return "torch"


@cache
def _warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=6)


def _has_tangent(x: Tensor) -> bool:
    return forward_ad.unpack_dual(x).tangent is not None  # type: ignore[no-untyped-call]


def _is_recorded(x: Tensor) -> bool:
    """Return whether the operations are traced or transformed, or may hold other values than those in memory.

    Dispatch modes that only watch do not count: what is saved may not depend on who watches.
    """
    return (
        torch.compiler.is_compiling()
        or _is_transformed(x)
        or (torch._C._len_torch_dispatch_stack() > 0 and _is_traced_by_mode())
        or torch._C._get_tracing_state() is not None
        or torch._C._dispatch_tls_is_dispatch_key_included(torch._C.DispatchKey.PreDispatch)
    )


def _is_transformed(x: Tensor) -> bool:
    """Return whether a subclass or a transform of torch.func gives the operations another meaning."""
    return type(x) not in (Tensor, nn.Parameter) or torch._C._are_functorch_transforms_active()


def _is_exported() -> bool:
    """Return whether the operations are recorded for another runtime, and not for torch.compile."""
    return is_exporting() or torch._C._get_tracing_state() is not None


def _is_traced_by_mode() -> bool:
    """Return whether torch replaces tensors by others that have no values: fake, functional or proxy."""
    kinds = torch._C._TorchDispatchModeKey
    modes = map(torch._C._get_dispatch_mode, (kinds.FAKE, kinds.FUNCTIONAL, kinds.PROXY))
    return any(mode is not None for mode in modes)
