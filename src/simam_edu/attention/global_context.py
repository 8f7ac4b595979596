r"""GC: one vector of the whole image, added to every position.

Cao, Xu, Lin, Wei, Hu, "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond", ICCV
Workshops 2019, https://arxiv.org/abs/1904.11492

Where this differs: the hidden layer has a least width, ``min_hidden``, and no biases, as in the paper's
equation. That the last layer starts at zero and the key at random is from the authors' code.
"""

import math
import warnings

import torch
import torch.fx
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from simam_edu.arguments import check_whole
from simam_edu.attention.checks import Attention, check_maps, hidden_width

torch.fx.wrap("check_maps")  # what looks at the shape stays one call in a graph


class GlobalContext(Attention):
    r"""Add to every position one vector that is computed from a weighted mean over all positions.

    .. math::

        y_p = x_p + W_2 \operatorname{relu}\bigl(\operatorname{norm}(W_1 z)\bigr), \qquad
        z = \sum_q \frac{\exp(k \cdot x_q)}{\sum_m \exp(k \cdot x_m)}\, x_q

    where :math:`x_p` is the vector of all channels at position :math:`p`, :math:`k` the key of one weight per
    channel, and the norm a layer norm with gain and bias. With :math:`h` hidden units it has
    :math:`C + 2 C h + 2 h` parameters. :math:`W_2` starts at zero, so a new module is the identity. The input
    is (n, c, h, w) in a floating dtype, the output has its shape and dtype; the added vector is computed in
    the dtype of the weights, by linear layers in place of the paper's 1x1 convolutions.

    Args:
        channels: Channels of the input.
        reduction: The hidden width is :math:`\lfloor C / r \rfloor`. The default 16 is the paper's.
        min_hidden: The least hidden width, at least 2. A layer norm over one unit is always zero; over two
            units it gives plus or minus one and nearly no gradient. The default 4 leaves it room.
        ratio: The deprecated name of ``reduction``.

    Raises:
        ValueError: If ``channels`` or ``reduction`` is not a whole number of at least 1, or ``min_hidden`` of
            at least 2; when called, if the input is not a floating tensor of four axes with this number of
            channels.

    Example:
        >>> import torch
        >>> from simam_edu.attention import GlobalContext
        >>> GlobalContext(16)(torch.zeros(1, 16, 4, 4)).shape
        torch.Size([1, 16, 4, 4])
    """

    def __init__(
        self, channels: int, *, reduction: int = 16, min_hidden: int = 4, ratio: int | None = None
    ) -> None:
        super().__init__()
        if ratio is not None:
            warnings.warn(
                "GlobalContext(ratio=...) will go with the next version; it is now reduction",
                DeprecationWarning,
                stacklevel=2,
            )
            reduction = ratio
        check_whole("min_hidden", min_hidden, least=2, why="a layer norm over one unit is always zero")
        hidden = hidden_width(channels, reduction=reduction, min_hidden=min_hidden)
        self.channels = channels
        self.key = nn.Linear(channels, 1, bias=False)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.norm = nn.LayerNorm(hidden)
        self.expand = nn.Linear(hidden, channels, bias=False)
        nn.init.normal_(self.key.weight, std=math.sqrt(2 / channels))
        nn.init.zeros_(self.expand.weight)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return ``x`` plus its context; see the class for the formula and the errors."""
        check_maps(x, self.channels)
        pooled = self._pool(x).to(self.reduce.weight.dtype)  # (n, c)
        context: Tensor = self.expand(functional.relu(self.norm(self.reduce(pooled))))  # (n, c)
        return x + context.to(x.dtype)[:, :, None, None]

    def _pool(self, x: Tensor) -> Tensor:
        """Return the mean over the positions, weighted by the softmax of their product with the key."""
        vectors = x.flatten(2)  # (n, c, hw)
        # The key takes the dtype of the map and is spread over the images; other ways copy the whole map.
        key = self.key.weight.to(x.dtype).expand(x.shape[0], 1, -1)  # (n, 1, c)
        weights = torch.bmm(key, vectors).softmax(dim=-1).to(x.dtype)  # (n, 1, hw), their sum is one
        return torch.bmm(vectors, weights.transpose(1, 2))[:, :, 0]
