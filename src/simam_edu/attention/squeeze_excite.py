r"""Squeeze-and-excitation: one gain per channel, from the means of all channels.

Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018,
https://arxiv.org/abs/1709.01507

Where this differs: the hidden layer has a least width, ``min_hidden``, which the paper's wide
networks do not need. The layers have no biases, as in the paper's equations.
"""

import torch
from torch import Tensor, nn

from simam_edu.attention.checks import ImageAttention, hidden_width


class SqueezeExcite(ImageAttention):
    r"""Multiply every channel by a gain, :math:`\operatorname{sigmoid}(W_2 \operatorname{relu}(W_1 z))`.

    :math:`z` holds the mean of each channel over its positions. With :math:`h` hidden units it has
    :math:`2 C h` parameters. The input is (n, c, h, w) in a floating dtype, the output has its
    shape and dtype; the gain is computed in the dtype of the weights and lies in (0, 1).

    Args:
        channels: Channels of the input.
        reduction: The paper's :math:`r`, 16 by default: the hidden width is :math:`\lfloor C / r \rfloor`.
        min_hidden: The least hidden width. Where the relu of a single unit is off, as for half of
            the inputs, all gains are one half and no gradient comes through; with the default 4
            that is about one input in sixteen. 1 gives the paper's own count.

    Raises:
        ValueError: If an argument is not a whole number of at least 1; when called, if the input
            is not a floating tensor of four axes with this number of channels.

    >>> SqueezeExcite(16)(torch.zeros(1, 16, 4, 4)).shape
    torch.Size([1, 16, 4, 4])
    """

    def __init__(self, channels: int, *, reduction: int = 16, min_hidden: int = 4) -> None:
        super().__init__(channels)
        hidden = hidden_width(self.channels, reduction, min_hidden)
        self.reduce = nn.Linear(self.channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, self.channels, bias=False)

    def attend(self, x: Tensor) -> Tensor:
        """Return ``x`` with each channel times its gain."""
        squeezed = x.mean(dim=(-2, -1)).to(self.reduce.weight.dtype)  # (n, c)
        gain = torch.sigmoid(self.expand(self.reduce(squeezed).relu()))  # (n, c)
        return x * gain.to(x.dtype)[:, :, None, None]
