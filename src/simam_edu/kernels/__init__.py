"""The backends of SimAM, and which of them runs.

``reference``
    Tensor operations that autograd differentiates, which all others are tested against. Exporters and tracers
    are given :mod:`simam_edu.kernels.exported`, in operations that every runtime has and computes right.
``torch``
    Tensor operations with the backward pass of the chapter on gradients, which save one map instead of four.
    Inside torch.compile they are those of :mod:`simam_edu.kernels.compiled`.
``native``
    A C++ kernel for the CPU, once it is built by :func:`build` or ``simam-edu kernels``.
``triton``
    A kernel for CUDA, where triton is installed.
"""

from simam_edu._renamed import renamed
from simam_edu.kernels import native as native  # simam-edu kernels asks it what is there
from simam_edu.kernels.native import build
from simam_edu.kernels.options import Options, Statistics
from simam_edu.kernels.select import BACKENDS, Backend, backend_for, simam, simam_native

__all__ = [
    "BACKENDS",
    "Backend",
    "Options",
    "Statistics",
    "backend_for",
    "build",
    "simam",
    "simam_native",
]


def _path_for(x: object, path: str = "auto") -> str:
    """Return the backend of an input by the names of the first edition."""
    chosen = backend_for(x, "reference" if path == "plain" else path)  # type: ignore[arg-type]
    return "plain" if chosen == "reference" else chosen


__getattr__ = renamed(
    __name__,
    {
        "path_for": ("backend_for", _path_for),
        "Path": ("Backend", Backend),
    },
)
