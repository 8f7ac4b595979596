"""Where a run computes: device and precision, and several processes that train one network together.

torchrun starts the processes and tells each its place by environment variables, which are read here and
nowhere else. Each process holds all images and draws the same random numbers; of each batch it takes its
own shard.
"""

import atexit
import contextlib
import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from simam_edu.training.config import Device


def choose_device(device: Device = "auto") -> torch.device:
    """Return the device to train on; ``"auto"`` takes CUDA where it is, then Apple's, then the CPU.

    Raises:
        ValueError: If this machine does not have the device.
    """
    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    available = [name for name, here in has.items() if here]
    if device != "auto" and device not in available:
        raise ValueError(f"device must be one that this machine has ({', '.join(available)}), got {device!r}")
    return torch.device(available[0] if device == "auto" else device)


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


@dataclass(frozen=True, kw_only=True)
class World:
    """This process among all that train together; a single process is a world of one."""

    rank: int = 0  # its number among all; the process of rank 0 writes the files
    size: int = 1  # how many there are
    local_rank: int = 0  # its number on its machine, which is also that of its CUDA card

    @property
    def shard(self) -> slice:
        """The part of a batch that this process takes: every ``size``-th image."""
        return slice(self.rank, None, self.size)

    def device(self, device: Device) -> torch.device:
        """Return the device of this process: of several on one machine each has a CUDA card of its own.

        Raises:
            ValueError: If the device is not on this machine, or cannot be shared by several processes.
        """
        chosen = choose_device(device)
        if self.size == 1 or chosen.type == "cpu":
            return chosen
        if chosen.type != "cuda":
            raise ValueError(f"device must be cpu or cuda for {self.size} processes, got {chosen.type!r}")
        if self.local_rank >= torch.cuda.device_count():
            raise ValueError(
                f"processes on one machine must be at most its CUDA cards, {torch.cuda.device_count()}, "
                f"got a process with local rank {self.local_rank}; lower --nproc-per-node"
            )
        return torch.device("cuda", self.local_rank)

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return the network, wrapped so that a backward pass averages the gradients of all processes.

        Batch norm takes its statistics over each process's own shard of the batch.
        """
        if self.size == 1:
            return network
        device = next(network.parameters()).device
        return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)

    def gather(self, values: Tensor) -> Tensor:
        """Return the values of all processes, one row each."""
        if self.size == 1:
            return values[None]
        rows = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(rows, values)
        return torch.stack(rows)

    def from_first(self, payload: bytes) -> bytes:
        """Return the bytes that the process of rank 0 has; those of the others are not looked at."""
        if self.size == 1:
            return payload
        box = [payload]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def share_buffers(self, network: nn.Module) -> None:
        """Give every process the running statistics of rank 0, so that all evaluate the same network."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.size > 1:
            dist.barrier()


def join(device: Device) -> World:
    """Join the processes that torchrun started; without torchrun, return a world of one.

    On CUDA they talk by nccl, elsewhere by gloo. A process joins once and stays until it ends: joining
    again after leaving would meet the addresses of the first time.

    Raises:
        ValueError: If torchrun's variables are incomplete, or the device does not suit several processes.
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
    """Return what torchrun's variables say; without ``WORLD_SIZE`` there is one process.

    Raises:
        ValueError: If some are missing or are not numbers that fit together.
    """
    if "WORLD_SIZE" not in variables:
        return World()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    texts = {name: variables.get(name, "") for name in names}
    if not all(text.isdecimal() for text in texts.values()) or not (
        int(texts["LOCAL_RANK"]) <= int(texts["RANK"]) < int(texts["WORLD_SIZE"])
    ):
        raise ValueError(
            f"RANK, WORLD_SIZE and LOCAL_RANK must be as torchrun sets them, got {texts}; "
            "start with torchrun, or unset WORLD_SIZE to train in one process"
        )
    return World(rank=int(texts["RANK"]), size=int(texts["WORLD_SIZE"]), local_rank=int(texts["LOCAL_RANK"]))


def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees, for good; return whether the C library can do that.

    glibc gives large blocks back to the system, which fills each page with zeros before it hands it out
    again; a training step, which frees and takes the same blocks every time, loses some percent to that.
    It concerns the whole process, so commands call it and the library does not. Source: mallopt(3), https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no library without a name
        return False
    trim_threshold, mmap_max = -1, -4  # the names of the options in malloc.h
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, 2**31 - 1))
