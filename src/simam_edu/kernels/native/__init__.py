"""The native kernel: where its library is kept, how it is built and loaded. README.md explains the sources.

It is built once, on request, for this machine and this version of torch, and kept in the user's cache. A
library from there is mapped only if its checksum is right: a cut one would end the process.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import platformdirs
import torch
from filelock import FileLock
from torch import Tensor

from simam_edu.kernels import operators as operators  # operator.cpp wants their schemas
from simam_edu.kernels.options import DTYPES

KERNEL, OPERATOR = (Path(__file__).with_name(name) for name in ("kernel.cpp", "operator.cpp"))
COMPILERS = ("c++", "g++", "clang++")
BASIC = ("-std=c++20", "-fPIC", "-fvisibility=hidden")
FAST = ("-O3", "-fno-math-errno", "-fno-trapping-math")
# The first of each that the compiler takes: vectors as wide as the processor's, and threads.
TUNING = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ("-mcpu=native",), ())
THREADS = (("-fopenmp",), ("-fopenmp-simd",), ())

Operator = Callable[[Tensor, float, int, bool], Tensor | None]
"""Takes a batch, ``lam``, ``correction`` and whether to leave one out; None for any but a plain tensor."""

CHECK = """
import sys, torch
torch.ops.load_library(sys.argv[1])
x = torch.tensor([1.0, -1.0]).reshape(1, 1, 1, 2)
y = torch.ops.simam_edu.simam(x, 0.0, 0, False)  # both lie one standard deviation from the mean
torch.testing.assert_close(y, x * torch.tensor(0.75).sigmoid())
"""
"""What a process of its own does with a new file before others get it."""


def build() -> Path:
    """Compile the kernel for this machine, unless one is there that loads, and return its file.

    It is compiled aside, loaded and tried in a process of its own, and moved into its place whole. Of several
    processes that build at once one does, and the others wait for it.

    Raises:
        OSError: If there is no C++ compiler, none takes the source, what it makes does not run, or the cache
            cannot be written; the message has the reason.
    """
    target = library()
    if not _is_usable(target):
        with _lock(target.parent):
            if not _is_usable(target):  # another process may have built it
                _build(target)
    for kept in (failure, operator):
        kept.cache_clear()
    return target


def library() -> Path:
    """Return the file of the kernel for these sources, processor and torch, whether it is there or not."""
    key = hashlib.sha256(KERNEL.read_bytes() + OPERATOR.read_bytes())
    machine = (platform.system(), platform.machine(), _processor(), torch.__version__)
    key.update(repr((BASIC, FAST, TUNING, THREADS, *machine)).encode())
    folder = platformdirs.user_cache_path("simam_edu") / "kernels"
    return folder / f"simam-{key.hexdigest()[:16]}.so"


def is_built() -> bool:
    """Return whether the kernel can be used; it is loaded for that."""
    return operator() is not None


# torch.compile asks once while it traces, and does not look into it.
is_built._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def operator() -> Operator | None:
    """Return the operator, or None where it is not built or does not load; :func:`failure` has the reason."""
    if failure() is not None or not _is_loaded():
        return None
    found: Operator = torch.ops.simam_edu.simam.default
    return found


@cache
def failure() -> str | None:
    """Return why the kernel that is there does not load, with the file and the cure, else None."""
    file = library()
    if _is_loaded() or not _is_there(file) or (reason := _load_error(file)) is None:
        return None
    return f"the native kernel {file} does not load: {reason}; build it anew by simam-edu kernels"


def supports(x: Tensor) -> bool:
    """Return whether the kernel can take this tensor, built or not."""
    return x.is_cpu and x.dtype in DTYPES


def _is_loaded() -> bool:
    """Return whether this process has the operators, be it by an earlier import of this module."""
    return hasattr(torch.ops.simam_edu, "simam")


def _is_there(file: Path) -> bool:
    """Return whether a file is in the cache, and not in a folder "~" of whoever has no home."""
    return file.is_absolute() and file.exists()


def _is_usable(file: Path) -> bool:
    return _is_there(file) and _load_error(file) is None


def _load_error(file: Path) -> str | None:
    """Load a file, unless one is loaded; return why it cannot be, else None."""
    try:
        if _checksum(file) != _checksum_file(file).read_bytes():
            return "its checksum is not that of what was written"
        if not _is_loaded():
            torch.ops.load_library(file)  # type: ignore[no-untyped-call]
    except OSError as error:
        return str(error.__cause__ or error)  # torch's error has that of the system as its cause
    return None


def _lock(folder: Path) -> AbstractContextManager[object]:
    """Make the cache folder, and return its lock, taken."""
    try:
        if not folder.is_absolute():
            raise OSError(f"{folder} is no absolute path")
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        return FileLock(folder.with_suffix(".lock")).acquire()
    except OSError as error:
        raise OSError(
            f"the native kernel needs a cache folder that this process can write, got: {error}; "
            "set XDG_CACHE_HOME to one, or go on without: SimAM then runs on torch's own operations"
        ) from error


def _checksum(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).hexdigest().encode()


def _checksum_file(file: Path) -> Path:
    return file.with_name(file.name + ".sha256")


def _build(target: Path) -> None:
    """Compile, try, and move into place: the checksum first, so that never a file seems whole."""
    names = [os.environ.get("CXX", ""), *COMPILERS]
    compiler = next((found for name in names if name and (found := shutil.which(name))), None)
    if compiler is None:
        raise OSError(
            f"a C++ compiler is needed to build the native kernel, found none of {', '.join(COMPILERS)} nor "
            "$CXX; install one, or go on without: SimAM then runs on torch's own operations"
        )
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as folder:
        kernel, made = Path(folder) / "native.o", Path(folder) / target.name
        tries = [(*FAST, *tuning, *threads) for threads in THREADS for tuning in TUNING]
        first = [compiler, "-c", str(KERNEL), "-o", str(kernel)]
        # Of some options, such as OpenMP without its library, only the linker says that it has them not.
        second = [compiler, "-shared", str(OPERATOR), str(kernel), "-o", str(made), *_torch()]
        _compile([first, second], tries)
        run = _run([sys.executable, "-c", CHECK, str(made)])
        if run.returncode:
            raise OSError(
                f"the native kernel that {compiler} makes must load and run here, but ends with status "
                f"{run.returncode}: {run.stderr.strip()[-800:]}"
            )
        if target.is_dir():
            shutil.rmtree(target)
        _checksum_file(target).write_bytes(_checksum(made))
        made.replace(target)


def _compile(commands: Sequence[list[str]], tries: Sequence[Sequence[str]]) -> None:
    """Run the commands of a compiler, all with the first options that they take."""
    for options in tries:
        for command in commands:
            run = _run([*command, *BASIC, *options])
            if run.returncode:
                break
        else:
            return
    words = run.stderr.strip()[-400:]
    raise OSError(f"{command[0]} must take {Path(command[2]).name}, a C++20 source, but says: {words}")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


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
    told = ("flags", "features", "isa", "cpu\t")
    return next((line for line in lines if line.lower().startswith(told)), "")
