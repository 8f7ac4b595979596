"""What Triton makes of the kernels for a GPU that need not be there, and what its code reads and writes.

It needs Triton, and a process in which ``TRITON_INTERPRET`` is not set.
"""

import math
import re
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from simam_edu.kernels.options import Options, accumulation_dtype
from simam_edu.kernels.tiling import Plan, plan
from simam_edu.kernels.triton_kernels import interpreted, program

_TYPES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32", torch.float64: "fp64"}
_BITS = {"f16": 16, "bf16": 16, "f32": 32, "f64": 64}
_ACCESS = re.compile(r"tt\.(load|store) .*: tensor<((?:\d+x)+)!tt\.ptr<(\w+)>>")
_INSTRUCTION = re.compile(r"\b(ld|st)\.global(?:\.v(\d+))?\.b(\d+)\b")


class GeneratedCode(NamedTuple):
    """How a tensor is cut, and its kernel in Triton's intermediate and in NVIDIA's assembly language.

    In the former a load or a store is of a whole tile, in the latter of one thread.
    """

    plan: Plan
    ttir: str
    ptx: str


class Access(NamedTuple):
    """One place of a kernel that touches the memory of the GPU, and the tile that is moved at once."""

    kind: Literal["load", "store"]
    elements: int
    size: int  # in bytes


def generate(
    which: Literal["forward", "backward"],
    x: Tensor,
    *,
    leave_one_out: bool = False,
    capability: int = 80,
) -> GeneratedCode:
    """Return the code of the kernel that is launched for a contiguous or channels-last tensor.

    On the device ``"meta"`` the tensor takes no memory. ``capability`` is the compute capability of the GPU
    times ten; the default, 80, is that of an A100.

    Raises:
        ModuleNotFoundError: If Triton is not installed.
        RuntimeError: If Triton is interpreted in this process.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if interpreted():
        raise RuntimeError(
            "Triton must compile, got a process in which it interprets; start one without TRITON_INTERPRET"
        )
    cut = plan(x)
    options = Options(statistics="leave_one_out" if leave_one_out else "shared")
    kernel, fixed = program(which, cut, options)
    source = ASTSource(kernel, *_specialized(kernel.arg_names, x.dtype, cut, fixed))
    built = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": cut.warps})
    return GeneratedCode(cut, built.asm["ttir"], built.asm["ptx"])


def accesses(code: GeneratedCode) -> list[Access]:
    """Return every load and store of a kernel, in order; those within a loop are listed once."""
    found = []
    for kind, shape, dtype in _ACCESS.findall(code.ttir):
        elements = math.prod(map(int, shape[:-1].split("x")))
        found.append(Access(kind, elements, elements * _BITS[dtype] // 8))
    return found


def thread_bytes(code: GeneratedCode, kind: Literal["load", "store"]) -> int:
    """Return how many bytes the loads or the stores of one thread move; those in a loop count once."""
    found = _INSTRUCTION.findall(code.ptx)
    return sum(int(vector or 1) * int(bits) // 8 for name, vector, bits in found if name[0] == kind[0])


def _specialized(
    names: list[str], dtype: torch.dtype, cut: Plan, fixed: dict[str, Any]
) -> tuple[dict[str, str], dict[tuple[int], Any], dict[tuple[int], list[list[Any]]]]:
    """Return types, constants and alignments of the arguments, as a launch chooses them.

    Memory from torch's allocator and a number that 16 divides are known to be aligned, and 1 is a constant.
    """
    numbers = {name: getattr(cut, name) for name in names if hasattr(cut, name)}
    fixed = fixed | {name: 1 for name, value in numbers.items() if value == 1}
    types = {"means": f"*{_TYPES[accumulation_dtype(dtype)]}", "lam": "fp64"}
    types["scales"] = types["means"]
    types |= dict.fromkeys(numbers, "i32") | dict.fromkeys(fixed, "constexpr")
    signature = {name: types.get(name, f"*{_TYPES[dtype]}") for name in names}
    constants = {(k,): fixed[name] for k, name in enumerate(names) if name in fixed}
    aligned = {
        (k,): [["tt.divisibility", 16]]
        for k, name in enumerate(names)
        if signature[name][0] == "*" or (signature[name] == "i32" and numbers[name] % 16 == 0)
    }
    return signature, constants, aligned
