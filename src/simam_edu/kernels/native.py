"""The native kernel, ``native.cpp``; the operators of torch around it, ``operator.cpp``; how they are built.

They are built once, on request, for this machine and this version of torch, and kept in the user's cache.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import platformdirs
import torch
from torch import Tensor

from simam_edu.kernels import plain
from simam_edu.kernels.options import Options, computed_in

KERNEL, OPERATOR = (Path(__file__).with_name(name) for name in ("native.cpp", "operator.cpp"))
COMPILERS = ("c++", "g++", "clang++")
BASIC = ("-std=c++20", "-fPIC", "-fvisibility=hidden")
FAST = ("-O3", "-fno-math-errno", "-fno-trapping-math")
# The first of each that the compiler takes: vectors as wide as the processor's, and threads.
TUNING = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ("-mcpu=native",), ())
THREADS = (("-fopenmp",), ("-fopenmp-simd",), ())

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)

Operator = Callable[[Tensor, float, int, bool], Tensor | None]
"""Takes a map, ``lam``, ``correction`` and whether to leave one out; None for what is no plain map."""


def build() -> Path:
    """Compile the kernel for this machine, if it is not there yet, and return its file.

    Raises:
        OSError: If there is no C++ compiler, or none takes the source; the message has its last words.
    """
    target = library()
    if target.exists():
        return target
    names = [os.environ.get("CXX", ""), *COMPILERS]
    compilers = [found for name in names if name and (found := shutil.which(name))]
    if not compilers:
        raise OSError(
            f"a C++ compiler is needed to build the native kernel, found none of {', '.join(COMPILERS)} nor "
            "$CXX; install one, or go on without: SimAM then runs on torch's own operations"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        kernel, made = Path(folder) / "native.o", Path(folder) / target.name
        tries = [(*FAST, *tuning, *threads) for threads in THREADS for tuning in TUNING]
        taken = _compile([compilers[0], "-c", str(KERNEL), "-o", str(kernel)], tries)
        _compile([compilers[0], "-shared", str(OPERATOR), str(kernel), "-o", str(made), *_torch()], [taken])
        made.replace(target)  # whole or not at all
    operator.cache_clear()
    return target


def library() -> Path:
    """Return the file of the kernel for these sources, processor and torch, whether it is there or not."""
    key = hashlib.sha256(KERNEL.read_bytes() + OPERATOR.read_bytes())
    machine = (platform.system(), platform.machine(), _processor(), torch.__version__)
    key.update(repr((BASIC, FAST, TUNING, THREADS, *machine)).encode())
    return platformdirs.user_cache_path("simam_edu") / "kernels" / f"simam-{key.hexdigest()[:16]}.so"


def is_built() -> bool:
    """Return whether the kernel can be used; it is loaded for that."""
    return operator() is not None


@cache
def operator() -> Operator | None:
    """Return the operator, or None where it is not built. It is loaded once, in less than a second.

    Raises:
        OSError: If the file is there and cannot be loaded.
    """
    file = library()
    if not file.exists():
        return None
    torch.ops.load_library(file)  # type: ignore[no-untyped-call]
    found: Operator = torch.ops.simam_edu.simam.default
    return found


def supports(x: Tensor) -> bool:
    """Return whether the kernel can take this tensor, built or not."""
    return x.is_cpu and x.dtype in DTYPES


def _compile(command: list[str], tries: Sequence[Sequence[str]]) -> Sequence[str]:
    """Run a compiler with the first options that it takes, and return them."""
    for options in tries:
        run = subprocess.run([*command, *BASIC, *options], capture_output=True, text=True, check=False)
        if run.returncode == 0:
            return options
    words = run.stderr.strip()[-400:]
    raise OSError(f"{command[0]} must take {Path(command[2]).name}, a C++20 source, but says: {words}")


def _torch() -> list[str]:
    """Return what a compiler must know of torch."""
    home = Path(torch.__file__).parent
    return [
        *(f"-I{home / 'include' / part}" for part in ("", "torch/csrc/api/include")),
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
        *(f"-L{home / 'lib'}", "-lc10", "-ltorch_cpu"),
    ]


def _processor() -> str:
    """Return what the code depends on: the instructions that the processor has, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


# What operator.cpp calls back for. The schemas are there whether the kernel is built or not: torch looks
# through all operators when it compiles or exports.


def _gradient(x: Tensor, grad: Tensor, lam: float, correction: int, leave_one_out: bool) -> Tensor:
    options = Options(lam, correction, leave_one_out, x.ndim - 2)
    return plain.gradient(x, grad, options, create_graph=torch.is_grad_enabled())


def _forward_shapes(x: Tensor, *_options: object) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty((2, *x.shape[:2]), dtype=computed_in(x.dtype))


def _backward_shape(x: Tensor, *_rest: object) -> Tensor:
    return torch.empty_like(x)


def _register() -> None:
    """Tell torch of the operators, unless an earlier import of this module in this process has done so."""
    if hasattr(torch.ops.simam_edu, "gradient"):
        return
    options = "float lam, int correction, bool leave_one_out"
    define, name = torch.library.define, "simam_edu::"
    define(f"{name}native", f"(Tensor x, {options}) -> (Tensor, Tensor)")
    define(
        f"{name}native_backward", f"(Tensor x, Tensor grad_output, Tensor statistics, {options}) -> Tensor"
    )
    define(f"{name}gradient", f"(Tensor x, Tensor grad, {options}) -> Tensor")
    torch.library.register_fake(f"{name}native", _forward_shapes)
    torch.library.register_fake(f"{name}native_backward", _backward_shape)
    torch.library.impl(f"{name}gradient", "CompositeImplicitAutograd", _gradient)


_register()
