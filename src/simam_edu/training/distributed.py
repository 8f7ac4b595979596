"""Where a run computes: device and precision, and several processes that train one network.

torchrun starts the processes and tells each its place by environment variables. Each holds all
images and draws the same random numbers; of each batch it takes its own shard.
"""

import atexit
import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from simam_edu.training.config import Device


def precision(device: torch.device) -> str:
    """Return "bfloat16" on a CUDA card that computes it natively (from Ampere on), else "float32".

    bfloat16 has the range of float32, so no loss scaling is needed.
    """
    cuda = device.type == "cuda"
    native = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float32"


def autocast(device: torch.device) -> torch.autocast:
    """Return the context in which the forward pass runs in the precision of the device."""
    lower = precision(device) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=lower)


@dataclass(frozen=True, kw_only=True)
class World:
    """This process among all that train together; a single process is a world of one."""

    rank: int = 0  # its number among all; that of rank 0 writes the files
    size: int = 1  # how many there are
    local_rank: int = 0  # its number on its machine, which is also that of its CUDA card

    @property
    def shard(self) -> slice:
        """The part of a batch that this process takes: every ``size``-th image."""
        return slice(self.rank, None, self.size)

    def device(self, device: Device) -> torch.device:
        """Return the device of this process, of several on one machine each its own CUDA card.

        ``"auto"`` takes CUDA where it is, then Apple's, which is for one process alone, then the
        CPU. A device that is not on this machine is a ValueError.
        """
        has = {
            "cuda": torch.cuda.is_available(),
            "mps": torch.backends.mps.is_available() and self.size == 1,
            "cpu": True,
        }
        here = [name for name, available in has.items() if available]
        kind = here[0] if device == "auto" else device
        if kind not in here:
            raise ValueError(
                f"device must be one of {', '.join(here)} on this machine, for {self.size} "
                f"process(es), got {kind!r}"
            )
        alone = self.size == 1 or kind == "cpu"
        return torch.device(kind) if alone else torch.device(kind, self.local_rank)

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return the network, wrapped so that a backward pass averages all processes' gradients.

        Batch norm takes its statistics over each process's own shard of the batch.
        """
        return network if self.size == 1 else DistributedDataParallel(network)

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, in the order of their ranks."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    def from_first(self, value: Any) -> Any:
        """Return the value of the process of rank 0; those of the others are not looked at."""
        box = [value]
        if self.size > 1:
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def share_buffers(self, network: nn.Module) -> None:
        """Give every process the running statistics of rank 0, so that all evaluate one network."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)


def join(device: Device) -> World:
    """Join the processes that torchrun started, by nccl on CUDA and gloo elsewhere, or be alone.

    A process joins once and stays until it ends: after leaving it would meet the addresses of the
    first time.
    """
    world = read_world(os.environ)
    if world.size == 1 or dist.is_initialized():
        return world
    chosen = world.device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    atexit.register(dist.destroy_process_group)
    return world


def read_world(variables: Mapping[str, str]) -> World:
    """Return what torchrun's variables say, or raise a ValueError; without them one is alone."""
    if "WORLD_SIZE" not in variables:
        return World()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    try:
        rank, size, local_rank = (int(variables[name]) for name in names)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{', '.join(names)} must be as torchrun sets them, got {error}; start with torchrun, "
            "or unset WORLD_SIZE to train in one process"
        ) from error
    return World(rank=rank, size=size, local_rank=local_rank)


def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees, for good; return whether the C library can.

    glibc gives large blocks back to the system, which fills their pages with zeros before it hands
    them out again; a training step, which frees and takes the same blocks every time, loses some
    percent to that. It concerns the whole process, so commands call it. Source: mallopt(3).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no library without a name
        return False
    trim_threshold, mmap_max = -1, -4  # the names of the options in malloc.h
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, 2**31 - 1))
