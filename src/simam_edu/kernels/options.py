"""What every form of SimAM is told besides its input."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

Saved = tuple[Tensor, ...]
"""What a kernel keeps for its backward pass beside the input: two numbers a channel."""


class Options(NamedTuple):
    r"""The constants of one call.

    Attributes:
        lam: The weight :math:`\lambda \ge 0` of the penalty.
        correction: The variance is a sum over :math:`M - \text{correction}`: 1 in the authors' code, 0 in
            Eq. (5) as printed.
        leave_one_out: Whether each neuron is held against the statistics of the others only.
        spatial: How many axes at the end are one map.
    """

    lam: float = 1e-4
    correction: int = 1
    leave_one_out: bool = False
    spatial: int = 2

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of a map."""
        return tuple(range(-self.spatial, 0))

    def neurons(self, x: Tensor) -> int:
        """Return :math:`M`, the positions of a map."""
        return math.prod(x.shape[-self.spatial :])

    def first(self, x: Tensor) -> Tensor:
        """Return the first neuron of each map, its axes kept."""
        index: tuple[Any, ...] = (..., *(slice(0, 1),) * self.spatial)
        return x[index]


def computed_in(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype in which an input's statistics are computed: float32 at least."""
    return torch.float64 if dtype == torch.float64 else torch.float32
