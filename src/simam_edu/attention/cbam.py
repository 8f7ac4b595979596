r"""CBAM: one gain per channel, then one gain per position.

Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018,
https://arxiv.org/abs/1807.06521

Where this differs: the hidden layer has a least width, ``min_hidden``, and no biases, as in the
paper's equations. The batch norm after the convolution and its momentum are those of the authors'
code (Jongchan/attention-module); its scale starts at 1, as in the SimAM authors' copy, where the
residual network there starts it at 0, so that every position begins with a gain of one half. Among
equal largest values, which come from half precision and from relu, the gradient of a maximum is
shared (``amax``); the authors' code gives all of it to one.
"""

import torch
from torch import Tensor, nn

from simam_edu.arguments import check_whole
from simam_edu.attention.checks import ImageAttention, hidden_width


class CBAM(ImageAttention):
    r"""Multiply every channel by a gain, and then every position by another.

    .. math::

        f(z) &= W_2 \operatorname{relu}(W_1 z) \\
        x' &= \operatorname{sigmoid}\bigl(f(\operatorname{mean}_{hw} x)
        + f(\operatorname{max}_{hw} x)\bigr)\, x \\
        y &= \operatorname{sigmoid}\bigl(\operatorname{norm}(K * [\operatorname{max}_c x',
        \operatorname{mean}_c x'])\bigr)\, x'

    :math:`K` is one zero-padded filter of side :math:`k` on two channels, the norm a batch norm of
    one channel. With :math:`h` hidden units it has :math:`2 C h + 2 k^2 + 2` parameters. The gains
    lie in (0, 1); all else, errors too, is as in :class:`~simam_edu.attention.SqueezeExcite`.

    Args:
        channels: Channels of the input.
        reduction: By how much they are divided, 16 by default.
        kernel_size: The side of the filter, odd. The default 7 is the paper's.
        min_hidden: The least hidden width, 4 by default.

    >>> CBAM(16)(torch.zeros(1, 16, 4, 4)).shape
    torch.Size([1, 16, 4, 4])
    """

    def __init__(
        self, channels: int, *, reduction: int = 16, kernel_size: int = 7, min_hidden: int = 4
    ) -> None:
        super().__init__(channels)
        hidden = hidden_width(self.channels, reduction, min_hidden)
        if check_whole("kernel_size", kernel_size, least=1, why="the paper uses 7") % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that a map keeps its size, got {kernel_size}")
        self.reduce = nn.Linear(self.channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, self.channels, bias=False)
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)

    def attend(self, x: Tensor) -> Tensor:
        """Return ``x`` times both gains."""
        x = x * self._channel_gain(x)
        return x * self._position_gain(x)

    def _channel_gain(self, x: Tensor) -> Tensor:
        dtype = self.reduce.weight.dtype
        mean, largest = (
            self.expand(self.reduce(pooled.to(dtype)).relu())  # (n, c)
            for pooled in (x.mean(dim=(-2, -1)), x.amax(dim=(-2, -1)))
        )
        return torch.sigmoid(mean + largest).to(x.dtype)[:, :, None, None]

    def _position_gain(self, x: Tensor) -> Tensor:
        pooled = torch.cat((x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)), dim=1)
        logits = self.norm(self.conv(pooled.to(self.conv.weight.dtype)))  # (n, 1, h, w)
        return torch.sigmoid(logits).to(x.dtype)
