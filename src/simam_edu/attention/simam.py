r"""SimAM: attention from an energy, without parameters.

Yang, Zhang, Li, Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
Networks", ICML 2021, https://proceedings.mlr.press/v139/yang21o.html

Where this differs from the authors' code: half-precision inputs are computed in float32, maps of
one position raise instead of giving NaN, and ``lam`` is checked.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from simam_edu.attention.checks import check_maps


class SimAM(nn.Module):
    r"""Multiply every neuron by the sigmoid of its importance, Eqs. (5) and (6).

    .. math::

        y = x \odot \operatorname{sigmoid}\!\Bigl(\frac12 + \frac{(x - \mu)^2}{4 (\sigma^2 + \lambda)}\Bigr)

    with :math:`\mu` and :math:`\sigma^2` the mean and the :math:`1/(M-1)` variance of each channel of
    each image over its :math:`M = H W` positions. The input is (n, c, h, w) in a floating dtype, the output
    has its shape and dtype. Every gain lies in [0.6225, 1). float16 and bfloat16 are computed in
    float32, because the sum of squares overflows in float16.

    Args:
        lam: The weight :math:`\lambda \ge 0` of the penalty, in units of the input squared. The
            default 1e-4 is the paper's choice for CIFAR; it took 0.1 for ImageNet.

    Raises:
        ValueError: If ``lam`` is negative or not finite; when called, if the input is not a floating tensor
            of four axes or its map has a single position.

    Example:
        >>> import torch
        >>> from simam_edu import SimAM
        >>> SimAM()(torch.zeros(1, 2, 4, 4)).shape
        torch.Size([1, 2, 4, 4])
    """

    def __init__(self, lam: float = 1e-4) -> None:
        super().__init__()
        if not (math.isfinite(lam) and lam >= 0):
            raise ValueError(f"lam must be a finite number of at least 0, got {lam!r}; the paper uses 1e-4")
        self.lam = lam

    def extra_repr(self) -> str:
        """Show ``lam`` where torch prints the module."""
        return f"lam={self.lam:g}"

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return ``x`` times its gain; see the class for the formula and the errors."""
        _check_input(x)
        values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        neurons = x.shape[-2] * x.shape[-1]
        mu = values.mean(dim=(-2, -1), keepdim=True)  # (n, c, 1, 1)
        squares = (values - mu).square()  # (n, c, h, w)
        var = squares.sum(dim=(-2, -1), keepdim=True) / (neurons - 1)  # (n, c, 1, 1)
        # At lam = 0 a constant channel is 0 / 0; the smallest normal number gives it the limit, 1/2.
        scale = (4.0 * (var + self.lam)).clamp_min(torch.finfo(values.dtype).tiny)
        return (values * torch.sigmoid(squares / scale + 0.5)).to(x.dtype)


def _check_input(x: Tensor) -> None:
    check_maps(x)
    if x.shape[-2] * x.shape[-1] < 2:
        raise ValueError(
            f"x must have maps of at least two positions, got shape {tuple(x.shape)}; "
            "one neuron has no others to be held against: put SimAM before the global pooling"
        )
