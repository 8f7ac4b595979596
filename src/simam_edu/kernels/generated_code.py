"""What Triton makes of the kernels for a GPU that need not be there, and what its code reads and writes.

This is how the promises of :mod:`simam_edu.kernels.triton_kernels` about memory traffic are checked on any
machine. It needs Triton, and a process in which ``TRITON_INTERPRET`` is not set.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from simam_edu.kernels.tiling import Plan, plan
from simam_edu.kernels.triton_kernels import interpreted, options, programs

_TYPES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32", torch.float64: "fp64"}
_BITS = {"f16": 16, "bf16": 16, "f32": 32, "f64": 64}
_ACCESS = re.compile(r"tt\.(load|store) .*: tensor<((?:\d+x)+)!tt\.ptr<(\w+)>>")
_INSTRUCTION = re.compile(r"\b(ld|st)\.global(?:\.v(\d+))?\.b(\d+)\b")


@dataclass(frozen=True, kw_only=True)
class GeneratedCode:
    """A compiled kernel.

    Attributes:
        plan: How the tensor is cut into tiles.
        ttir: The kernel in Triton's intermediate language, where a load or a store is of a whole tile.
        ptx: The same in NVIDIA's assembly language, where it is of one thread.
    """

    plan: Plan
    ttir: str
    ptx: str


@dataclass(frozen=True, kw_only=True)
class Access:
    """One place of a kernel that touches the memory of the GPU.

    Attributes:
        kind: ``"load"`` or ``"store"``.
        elements: Of the tile that is moved at once.
        size: Of the tile, in bytes.
    """

    kind: str
    elements: int
    size: int


def generate(
    which: Literal["forward", "backward"],
    x: Tensor,
    *,
    leave_one_out: bool = False,
    capability: int = 80,
) -> GeneratedCode:
    """Return the code of the kernel that is launched for a tensor.

    Args:
        which: The forward or the backward.
        x: A contiguous or channels-last tensor; on the device ``"meta"`` it takes no memory.
        leave_one_out: As for the forward.
        capability: The compute capability of the GPU times ten. The default, 80, is that of an A100.

    Raises:
        ModuleNotFoundError: If Triton is not installed.
        RuntimeError: If Triton is interpreted in this process.
    """
    kernels = programs()
    if interpreted():
        raise RuntimeError(
            "Triton must compile, got a process in which it interprets; start one without TRITON_INTERPRET"
        )
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    cut = plan(x)
    kernel = getattr(kernels, f"{which}_{'loop' if cut.looped else 'tile'}")
    signature, constants, attributes = _specialized(kernel.arg_names, x, cut, leave_one_out)
    source = ASTSource(kernel, signature, constants, attributes)
    built = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": cut.warps})
    return GeneratedCode(plan=cut, ttir=built.asm["ttir"], ptx=built.asm["ptx"])


def accesses(code: GeneratedCode) -> list[Access]:
    """Return every load and store of a kernel, in order; those within a loop are listed once."""
    found = []
    for kind, shape, dtype in _ACCESS.findall(code.ttir):
        elements = math.prod(int(side) for side in shape.split("x") if side)
        found.append(Access(kind=kind, elements=elements, size=elements * _BITS[dtype] // 8))
    return found


def thread_bytes(code: GeneratedCode, kind: Literal["load", "store"]) -> int:
    """Return how many bytes the loads or the stores of one thread move; those in a loop count once."""
    wanted = {"load": "ld", "store": "st"}[kind]
    return sum(
        int(vector or 1) * int(bits) // 8
        for name, vector, bits in _INSTRUCTION.findall(code.ptx)
        if name == wanted
    )


def _specialized(
    names: list[str], x: Tensor, cut: Plan, leave_one_out: bool
) -> tuple[dict[str, str], dict[tuple[int], Any], dict[tuple[int], list[list[Any]]]]:
    """Return types, constants and alignments of the arguments, as a launch chooses them.

    Memory from torch's allocator and a number that 16 divides are known to be aligned, and 1 is a constant.
    """
    values = {name: getattr(cut, name) for name in names if hasattr(cut, name)}
    fixed = options(x, cut, 1, leave_one_out)
    fixed |= {name: 1 for name, value in values.items() if value == 1}
    statistics = "fp64" if x.dtype == torch.float64 else "fp32"
    signature, constants, attributes = {}, {}, {}
    for k, name in enumerate(names):
        if name in fixed:
            signature[name], constants[(k,)] = "constexpr", fixed[name]
        elif name == "lam":
            signature[name] = "fp64"
        elif name in values:
            signature[name] = "i32"
        else:
            signature[name] = f"*{statistics if name in ('means', 'scales') else _TYPES[x.dtype]}"
        if signature[name][0] == "*" or (signature[name] == "i32" and values[name] % 16 == 0):
            attributes[(k,)] = [["tt.divisibility", 16]]
    return signature, constants, attributes
