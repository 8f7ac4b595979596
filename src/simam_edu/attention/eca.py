r"""ECA: one gain per channel, from the means of its neighbors in the order of the channels.

Wang, Wu, Zhu, Li, Zuo, Hu, "ECA-Net: Efficient Channel Attention for Deep Convolutional Neural
Networks", CVPR 2020, https://arxiv.org/abs/1910.03151

Where this differs: the kernel comes from the number of channels by the paper's formula; the
networks in the authors' code are handed one for each layer.
"""

import math

import torch
from torch import Tensor, nn

from simam_edu.arguments import check_number
from simam_edu.attention.checks import ImageAttention, check_channels


class ECA(ImageAttention):
    r"""Multiply every channel by a gain, :math:`\operatorname{sigmoid}(K * z)`.

    :math:`z` holds the mean of each channel over its positions; :math:`K` is one filter of
    :func:`eca_kernel` weights, zero-padded at the first and the last channel, and all its
    parameters. Gains, shapes, dtypes and what is raised at a call are as in
    :class:`~simam_edu.attention.SqueezeExcite`.

    Args:
        channels: Channels :math:`C` of the input.
        gamma: The paper's :math:`\gamma`, which divides. The default 2 is the paper's.
        b: The paper's :math:`b`, which is added. The default 1 is the paper's.

    Raises:
        ValueError: If ``channels`` is not a whole number of at least 1, ``gamma`` not a finite
            positive number or ``b`` not a finite one.

    >>> ECA(16)(torch.zeros(1, 16, 4, 4)).shape
    torch.Size([1, 16, 4, 4])
    """

    def __init__(self, channels: int, *, gamma: float = 2.0, b: float = 1.0) -> None:
        super().__init__(channels)
        kernel_size = eca_kernel(self.channels, gamma=gamma, b=b)
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def attend(self, x: Tensor) -> Tensor:
        """Return ``x`` with each channel times its gain."""
        squeezed = x.mean(dim=(-2, -1)).to(self.conv.weight.dtype)  # (n, c)
        gain = torch.sigmoid(self.conv(squeezed[:, None, :])[:, 0, :])  # (n, c)
        return x * gain.to(x.dtype)[:, :, None, None]


def eca_kernel(channels: int, *, gamma: float = 2.0, b: float = 1.0) -> int:
    r"""Return the size of ECA's kernel, the odd number next to :math:`|(\log_2 C + b) / \gamma|`.

    Between two odd numbers the larger is taken, as in the authors' code. The arguments, and what
    is raised, are those of :class:`ECA`.

    >>> [eca_kernel(channels) for channels in (16, 64, 256)]
    [3, 3, 5]
    """
    channels = check_channels(channels)
    gamma = check_number("gamma", gamma, above=0.0, why="the paper uses 2")
    b = check_number("b", b, why="the paper uses 1")
    return 2 * math.floor(abs((math.log2(channels) + b) / gamma) / 2) + 1
