r"""GC: one vector of the whole image, added to every position.

Cao, Xu, Lin, Wei, Hu, "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
ICCV Workshops 2019, https://arxiv.org/abs/1904.11492

Where this differs: the hidden layer has a least width, ``min_hidden``, and no biases, as in the
paper's equation. That the last layer starts at zero and the key at random is from the authors' code.
"""

import math
import warnings

import torch
from torch import Tensor, nn

from simam_edu.arguments import check_whole
from simam_edu.attention.checks import ImageAttention, hidden_width


class GlobalContext(ImageAttention):
    r"""Add to every position one vector that is computed from a weighted mean over all positions.

    .. math::

        y_p = x_p + W_2 \operatorname{relu}\bigl(\operatorname{norm}(W_1 z)\bigr), \qquad
        z = \sum_q \frac{\exp(k \cdot x_q)}{\sum_m \exp(k \cdot x_m)}\, x_q

    where :math:`x_p` is the vector of all channels at position :math:`p`, :math:`k` the key of one
    weight per channel, and the norm a layer norm with gain and bias. With :math:`h` hidden units
    it has :math:`C + 2 C h + 2 h` parameters. :math:`W_2` starts at zero, so a new module is the
    identity. The paper has 1x1 convolutions for the linear layers. All else, errors too, is as in
    :class:`~simam_edu.attention.SqueezeExcite`.

    Args:
        channels: Channels of the input.
        reduction: By how much they are divided, 16 by default.
        min_hidden: The least hidden width, at least 2. A layer norm over one unit is always zero;
            over two it gives plus or minus one and nearly no gradient. The default 4 leaves it room.
        ratio: The deprecated name of ``reduction``.

    >>> GlobalContext(16)(torch.zeros(1, 16, 4, 4)).shape
    torch.Size([1, 16, 4, 4])
    """

    def __init__(
        self, channels: int, *, reduction: int = 16, min_hidden: int = 4, ratio: int | None = None
    ) -> None:
        super().__init__(channels)
        if ratio is not None:
            now = "GlobalContext(ratio=...) will go with the next version; it is now reduction"
            warnings.warn(now, DeprecationWarning, stacklevel=2)
            reduction = ratio
        check_whole("min_hidden", min_hidden, least=2, why="a layer norm over one unit is always zero")
        hidden = hidden_width(self.channels, reduction, min_hidden)
        self.key = nn.Linear(self.channels, 1, bias=False)
        self.reduce = nn.Linear(self.channels, hidden, bias=False)
        self.norm = nn.LayerNorm(hidden)
        self.expand = nn.Linear(hidden, self.channels, bias=False)
        nn.init.normal_(self.key.weight, std=math.sqrt(2 / self.channels))
        nn.init.zeros_(self.expand.weight)

    def attend(self, x: Tensor) -> Tensor:
        """Return ``x`` plus its context."""
        pooled = self._pool(x).to(self.reduce.weight.dtype)  # (n, c)
        context: Tensor = self.expand(self.norm(self.reduce(pooled)).relu())  # (n, c)
        return x + context.to(x.dtype)[:, :, None, None]

    def _pool(self, x: Tensor) -> Tensor:
        """Return the mean over the positions, weighted by the softmax of their product with the key."""
        vectors = x.flatten(2)  # (n, c, hw)
        # In the dtype of the map and spread over the images; other ways copy the whole map.
        key = self.key.weight.to(x.dtype).expand(x.shape[0], 1, -1)  # (n, 1, c)
        weights = torch.bmm(key, vectors).softmax(dim=-1).to(x.dtype)  # (n, 1, hw), their sum is one
        return torch.bmm(vectors, weights.transpose(1, 2))[:, :, 0]
