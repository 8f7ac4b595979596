"""The native kernel: ``native.cpp``, built once on request for this machine, kept in the user's cache.

It holds no code of torch and no code of Python: it is handed addresses. So it builds in seconds and serves
every version of both.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import platformdirs
import torch
from torch import Tensor

from simam_edu.kernels.options import Options, Saved, computed_in

SOURCE = Path(__file__).with_name("native.cpp")
COMPILERS = ("c++", "g++", "clang++")
BASIC = ("-std=c++20", "-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
# The first of each that the compiler takes: vectors as wide as the processor's, and threads.
TUNING = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ("-mcpu=native",), ())
THREADS = (("-fopenmp",), ("-fopenmp-simd",), ())

FORMATS = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}


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
    words = ""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        for command in _commands(compilers[0], made):
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if run.returncode == 0:
                made.replace(target)  # whole or not at all
                _loaded.cache_clear()
                return target
            words = run.stderr.strip()
    raise OSError(f"{compilers[0]} must take {SOURCE.name}, a C++20 source, but says: {words[-400:]}")


def library() -> Path:
    """Return the file of the kernel for this source and this processor, whether it is there or not."""
    key = hashlib.sha256(SOURCE.read_bytes())
    key.update(repr((BASIC, TUNING, THREADS, platform.system(), platform.machine(), _processor())).encode())
    return platformdirs.user_cache_path("simam_edu") / "kernels" / f"simam-{key.hexdigest()[:16]}.so"


def is_built() -> bool:
    """Return whether the kernel can be used; it is loaded for that."""
    return _loaded() is not None


def supports(x: Tensor) -> bool:
    """Return whether the kernel can take this tensor, built or not."""
    return x.device.type == "cpu" and x.dtype in FORMATS


def forward(x: Tensor, options: Options) -> tuple[Tensor, Saved]:
    r"""Return the output and, in one tensor, :math:`\mu - x_1` and :math:`r` of each channel.

    Args:
        x: A batch (n, c, ...), contiguous or channels_last.
        options: The constants.
    """
    saved = torch.empty((2, x.shape[0], x.shape[1]), dtype=computed_in(x.dtype))
    y = torch.empty_like(x)
    _call(x, 0, y, saved, options)
    return y, (saved,)


def backward(x: Tensor, grad: Tensor, saved: Saved, options: Options) -> Tensor:
    """Return the gradient of the input.

    Args:
        x: The input of the forward pass.
        grad: The gradient of its output.
        saved: The two numbers of each channel.
        options: The constants.
    """
    if grad.stride() != x.stride() or grad.dtype != x.dtype:
        grad = torch.empty_like(x).copy_(grad)
    result = torch.empty_like(x)
    _call(x, grad.data_ptr(), result, saved[0], options)
    return result


def _call(x: Tensor, grad: int, out: Tensor, saved: Tensor, options: Options) -> None:
    function = _loaded()
    if function is None:
        raise RuntimeError("the native kernel must be built first; run simam-edu kernels, or kernels.build()")
    images, channels = x.shape[:2]
    function(
        FORMATS[x.dtype], x.data_ptr(), grad, out.data_ptr(), saved.data_ptr(),
        images, channels, options.neurons(x), not x.is_contiguous(),
        options.lam, options.correction, options.leave_one_out,
    )  # fmt: skip


@cache
def _loaded() -> "ctypes._NamedFuncPointer | None":
    file = library()
    if not file.exists():
        return None
    function = ctypes.CDLL(str(file)).simam
    function.restype = None
    whole, address, number = ctypes.c_int64, ctypes.c_void_p, ctypes.c_int
    addresses, sizes = [address] * 4, [whole] * 3
    function.argtypes = [number, *addresses, *sizes, number, ctypes.c_double, number, number]
    return function


def _commands(compiler: str, target: Path) -> Iterator[list[str]]:
    for threads in THREADS:
        for tuning in TUNING:
            yield [compiler, *BASIC, *tuning, *threads, "-o", str(target), str(SOURCE)]


def _processor() -> str:
    """Return what the code depends on: the instructions that the processor has, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
