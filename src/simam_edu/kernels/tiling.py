"""How a tensor is cut into the tiles on which the programs of the GPU work."""

import math
from dataclasses import dataclass

from torch import Tensor

from simam_edu.kernels.options import accumulation_dtype

TILE_BYTES = 32768
"""What a program keeps at most: 8,192 float32 or 4,096 float64, eight for each of 1,024 or 512 threads. With
twice as many the backward needs more registers than a thread has, and the compiler spills them to memory."""

SECTOR_BYTES = 32
"""What a GPU moves at the least."""


@dataclass(frozen=True)
class Plan:
    """How a tensor is cut into tiles, one per program.

    Attributes:
        images: Groups of channels that are cut on their own. A contiguous tensor is one group, because all
            channels of all images follow each other.
        channels: Channels in each group.
        positions: Positions :math:`M` of a map.
        last: Whether the channels are the last axis in memory, else the positions.
        block_c: Channels in a tile, a power of two.
        block_m: Positions in a tile, a power of two.
        looped: Whether a program goes over its channels tile by tile, because they do not fit on chip.
    """

    images: int
    channels: int
    positions: int
    last: bool
    block_c: int
    block_m: int
    looped: bool

    @property
    def programs(self) -> int:
        """The number of programs."""
        return self.images * math.ceil(self.channels / self.block_c)

    @property
    def warps(self) -> int:
        """Groups of 32 threads a program has: one for 256 elements."""
        return max(self.block_c * self.block_m // 256, 1)


def plan(x: Tensor) -> Plan:
    """Return how a contiguous or channels-last tensor, of any device, is cut into tiles."""
    n, c, positions = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    size = accumulation_dtype(x.dtype).itemsize
    block_m = _next_power_of_two(positions)
    last = not x.is_contiguous()
    if last:
        images, channels, least = n, c, min(_next_power_of_two(c), SECTOR_BYTES // size)
        enough, in_loop = max(2048 // block_m, least), 4 * SECTOR_BYTES // size
    else:
        images, channels, least = 1, n * c, 1
        enough, in_loop = max(256 // block_m, 1), 1  # small maps share a program, so that no thread is idle
    looped = least * block_m * size > TILE_BYTES
    block_c = min(_next_power_of_two(channels), in_loop if looped else enough)
    return Plan(images, channels, positions, last, block_c, 2048 // block_c if looped else block_m, looped)


def _next_power_of_two(count: int) -> int:
    """Return the least power of two that is not below a count."""
    return 1 << max(count - 1, 0).bit_length()
