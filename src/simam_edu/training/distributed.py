"""Several processes, on one machine or many, that train one network together.

torchrun starts them and tells each its place by environment variables, which are read here and nowhere
else. Every process holds all images and draws the same random numbers; of each batch it takes its own part.
"""

import atexit
import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from simam_edu.training.config import Device
from simam_edu.training.device import choose_device


@dataclass(frozen=True, kw_only=True)
class World:
    """This process among all that train together; a single process is a world of one.

    Attributes:
        rank: Its number among all, from 0. The process of rank 0 writes the files.
        size: How many there are.
        local_rank: Its number among those of its machine, which is also the number of its CUDA card.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def part(self) -> slice:
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
        """Return the network such that a backward pass leaves the mean gradient of all processes in each.

        Batch norm takes its statistics over each process's own part of the batch.
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

    A process joins once and stays until it ends: joining again after leaving would meet the addresses
    of the first time.

    Args:
        device: Where the processes compute: on CUDA they talk by nccl, elsewhere by gloo.

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
    """Return what torchrun's variables ``RANK``, ``WORLD_SIZE`` and ``LOCAL_RANK`` say.

    Args:
        variables: The environment. Without ``WORLD_SIZE`` there is one process.

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
