r"""SimAM: attention from an energy, without parameters.

Yang, Zhang, Li, Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
Networks", ICML 2021, https://proceedings.mlr.press/v139/yang21o.html

Where this differs from the authors' code: statistics are computed in float32 at least and in a way that no
finite input overflows, maps of one position raise instead of giving NaN, ``lam`` is checked, the backward
pass keeps one map instead of four, and the variance may be that of Eq. (5) or exact.
"""

import math
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from simam_edu import kernels
from simam_edu.attention.checks import check_maps

Statistics = Literal["shared", "leave_one_out"]
"""Whether a neuron is held against the whole channel, as in the authors' code, or against the others only."""


class SimAM(nn.Module):
    r"""Multiply every neuron by the sigmoid of its importance, Eqs. (5) and (6).

    .. math::

        y = x \odot \operatorname{sigmoid}\!\Bigl(\frac12 + \frac{(x - \mu)^2}{4 (\sigma^2 + \lambda)}\Bigr)

    with :math:`\mu` and :math:`\sigma^2` the mean and the :math:`1/(M-1)` variance of each channel of
    each image over its :math:`M` positions. The input is (n, c, l), (n, c, h, w) or (n, c, d, h, w) in a
    floating dtype; the output has its shape, dtype and memory format. Every gain lies in [0.6225, 1].

    Statistics are computed in float32 for float16, bfloat16 and float32 and in float64 for float64, for any
    finite magnitude, inside autocast as outside. For the backward pass the input is kept and two numbers a
    channel. Which kernel runs is told by :func:`simam_edu.kernels.path_for`.

    Args:
        lam: The weight :math:`\lambda \ge 0` of the penalty, in units of the input squared. The
            default 1e-4 is the paper's choice for CIFAR; it took 0.1 for ImageNet.
        correction: 1 divides the sum of squares by :math:`M - 1`, as the authors' code does, the default;
            0 divides it by :math:`M`, as Eq. (5) is printed.
        statistics: ``"shared"``, the default and the authors' code, holds every neuron against the mean and
            variance of its channel; ``"leave_one_out"`` against those of the other neurons, as the energy is
            defined, at the same cost.
        one_position: What to do with maps of one position, where a neuron has no others: ``"refuse"``, the
            default, since it is nearly always a mistake, or ``"half"``, which gives the gain
            sigmoid(1/2), the limit for a neuron that equals its mean.
        path: Which kernel computes it; ``"auto"``, the default, takes the fastest that is ready. See
            :data:`simam_edu.kernels.Path`.

    Raises:
        ValueError: If an argument is unknown or out of its range; when called, if the input is not a floating
            tensor of three to five axes, its map has a single position, or the path cannot take it.

    Example:
        >>> import torch
        >>> from simam_edu import SimAM
        >>> SimAM()(torch.zeros(1, 2, 4, 4)).shape
        torch.Size([1, 2, 4, 4])
    """

    def __init__(
        self,
        lam: float = 1e-4,
        *,
        correction: int = 1,
        statistics: Statistics = "shared",
        one_position: Literal["refuse", "half"] = "refuse",
        path: kernels.Path = "auto",
    ) -> None:
        super().__init__()
        if not (math.isfinite(lam) and lam >= 0):
            raise ValueError(f"lam must be a finite number of at least 0, got {lam!r}; the paper uses 1e-4")
        if correction not in (0, 1):
            raise ValueError(
                f"correction must be 1, as in the authors' code, or 0, as in Eq. (5), got {correction!r}"
            )
        if statistics == "leave_one_out" and correction == 0:
            raise ValueError(
                "correction must be 1 with statistics 'leave_one_out', got 0; "
                "the variance of the others is a mean over all of them, as under Eq. (4)"
            )
        for name, value, known in (
            ("statistics", statistics, get_args(Statistics)),
            ("one_position", one_position, ("refuse", "half")),
            ("path", path, kernels.PATHS),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        self.lam = lam
        self.correction = correction
        self.statistics = statistics
        self.one_position = one_position
        self.path = path

    def extra_repr(self) -> str:
        """Show ``lam``, and what differs from the defaults, where torch prints the module."""
        shown = [f"lam={self.lam:g}"]
        defaults = {"correction": 1, "statistics": "shared", "one_position": "refuse", "path": "auto"}
        shown += [f"{name}={value}" for name in defaults if (value := getattr(self, name)) != defaults[name]]
        return ", ".join(shown)

    def forward(self, x: Float[Tensor, "n c *map"]) -> Float[Tensor, "n c *map"]:
        """Return ``x`` times its gain; see the class for the formula and the errors."""
        if self.path in ("auto", "native"):
            y = kernels.quick(x, self.lam, self.correction, self.statistics == "leave_one_out")
            if y is not None:
                return y
        check_maps(x, spatial=(1, 2, 3))
        options = kernels.Options(self.lam, self.correction, self.statistics == "leave_one_out", x.ndim - 2)
        if options.neurons(x) == 1:
            return self._of_one_position(x)
        return kernels.simam(x, options, self.path)

    def _of_one_position(self, x: Tensor) -> Tensor:
        if self.one_position == "half":
            return x * (1.0 / (1.0 + math.exp(-0.5)))
        raise ValueError(
            f"x must have maps of at least two positions, got shape {tuple(x.shape)}; one neuron has no "
            "others to be held against: put SimAM before the global pooling, or choose one_position='half'"
        )
