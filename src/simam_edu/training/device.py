"""Where a run computes, and in which precision."""

import contextlib
import ctypes
import sys

import torch

from simam_edu.training.config import Device


def choose_device(device: Device = "auto") -> torch.device:
    """Return the device to train on.

    Args:
        device: ``"auto"`` takes CUDA where it is, then Apple's, then the CPU; anything else is taken as it
            is.

    Raises:
        ValueError: If the device that was asked for is not on this machine.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(name for name, here in available.items() if here))
    if not available[device]:
        here = ", ".join(name for name, present in available.items() if present)
        raise ValueError(f"device must be one that this machine has ({here}), got {device!r}")
    return torch.device(device)


def choose_precision(device: torch.device) -> torch.dtype:
    """Return bfloat16 on a CUDA card that computes it natively, float32 elsewhere.

    bfloat16 has the range of float32, so no loss scaling is needed. Cards before Ampere would
    emulate it slowly; on the CPU and on Apple's devices float32 is the well-trodden path.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> contextlib.AbstractContextManager[object]:
    """Return the context in which the forward pass runs in ``precision``."""
    if precision == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=precision)


def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees, for good; return whether the C library can do that.

    glibc gives large blocks back to the system, which hands them out again page by page, each filled with
    zeros first. A training step frees and takes the same blocks every time, so that costs it some percent,
    and more where maps are large. It concerns the whole process; that is why commands call it and the
    library does not. Source: mallopt(3), https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if sys.platform != "linux":  # CDLL(None) is this process itself, which Windows cannot open so
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    trim_threshold, mmap_max = -1, -4  # the names of the options in malloc.h
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, 2**31 - 1))
