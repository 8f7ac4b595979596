"""The options of one call of SimAM, and what all backends share."""

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""The dtypes that SimAM takes."""

FLOOR = 1e-6
"""The least leave-one-out variance ratio :math:`1 - b w`. Below it the gain is 1."""

Statistics = Literal["shared", "population", "leave_one_out"]
"""The mean and variance that a neuron is compared with, as in :mod:`simam_edu.energy`."""


class Options(NamedTuple):
    r"""The options of one call.

    Attributes:
        lam: The regularization coefficient :math:`\lambda \ge 0`, in units of the input squared.
        statistics: See :data:`Statistics`.
        spatial: How many axes at the end are one map.

    >>> Options(statistics="population", spatial=3).axes
    (-3, -2, -1)
    """

    lam: float = 1e-4
    statistics: Statistics = "shared"
    spatial: int = 2

    @property
    def leave_one_out(self) -> bool:
        """Whether a neuron is left out of its own statistics."""
        return self.statistics == "leave_one_out"

    @property
    def correction(self) -> int:
        """What is subtracted from :math:`M` to give the degrees of freedom."""
        return 0 if self.statistics == "population" else 1

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of a map."""
        return tuple(range(-self.spatial, 0))

    def positions(self, x: Tensor) -> int:
        """Return :math:`M`, the positions of a map."""
        return math.prod(x.shape[-self.spatial :])

    def first(self, x: Tensor) -> Tensor:
        """Return the first neuron of each map, its axes kept."""
        index: tuple[Any, ...] = (..., *(slice(0, 1),) * self.spatial)
        return x[index]


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype in which an input's statistics are computed: float32 at least."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def cast(dtype: torch.dtype, x: Tensor) -> Tensor:
    """Return ``x`` in a dtype, without a call of torch where it is in it."""
    return x if x.dtype == dtype else x.to(dtype)


def leave_one_out_constants(positions: int) -> tuple[float, float]:
    r"""Return :math:`a^2` and :math:`b` of leave-one-out statistics, :math:`a = M/(M-1), b = 4a/(M-1)`."""
    a = positions / (positions - 1)
    return a * a, 4.0 * a / (positions - 1)
