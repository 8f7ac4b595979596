"""Residual networks for 32x32 images: ResNet, PreResNet and wide ones, which differ in their block.

The papers are named in :mod:`simam_edu.networks.blocks`. Where this differs from the first:
bottleneck blocks, which it has for ImageNet only, are there for 32x32 images too, as in the SimAM
authors' repository.
"""

from collections.abc import Callable
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from simam_edu.attention import AttentionFactory
from simam_edu.networks.blocks import BasicBlock, Block, Position, Slot, WideBlock, convolution
from simam_edu.networks.first_weights import FirstWeights, checked_first_weights, initialize


class ResNet(nn.Module):
    """A residual network of three stages of 16, 32 and 64 channels, times the width, on 32x32 images.

    With two convolutions per block its depth is :math:`6n + 2`: a first convolution, three stages of
    :math:`n` blocks, and one linear layer on the mean over the last 8x8 map. With three, which return
    four times as many channels, it is :math:`9n + 2`. Wide networks count the three shortcuts instead
    of the linear layer, :math:`6n + 4`; at width 1 the first of these is the identity. Where the norms
    stand before the convolutions, the first convolution has none, because the first block begins with
    one, and a norm and a relu follow the last block.

    Args:
        blocks: Blocks per stage, the :math:`n` above.
        num_classes: Classes to tell apart.
        attention: Makes one attention module for each block.
        position: Where in the block it stands; see :data:`.Position`.
        slot: The position by its first name, in place of ``position``.
        block: The kind of block.
        width: The factor of the channels, the second number in WRN-28-10.
        first_weights: How they are drawn; see :data:`.FirstWeights`.

    Raises:
        ValueError: If there is no block, the width is below 1, or a name is unknown.
    """

    def __init__(
        self,
        *,
        blocks: int,
        num_classes: int,
        attention: AttentionFactory,
        position: Position | Slot | None = None,
        slot: Slot | None = None,
        block: type[Block] = BasicBlock,
        width: int = 1,
        first_weights: FirstWeights = "he",
    ) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width!r}; WRN-28-10 has 10")
        make = partial(block, attention=attention, position=position, slot=slot)
        norms_first = block.layout.startswith("bn")
        first = convolution(3, 16, 3)
        self.stem = first if norms_first else normed(first)
        made, channels = [], 16
        for stride, base in ((1, 16), (2, 32), (2, 64)):
            made.append(stage(make, channels, block.expansion * width * base, blocks=blocks, stride=stride))
            channels = block.expansion * width * base
        self.stages = nn.Sequential(*made)
        last = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.norm = last if norms_first else nn.Identity()
        self.head = nn.Linear(channels, num_classes)
        if checked_first_weights(first_weights) == "he" or block is WideBlock:
            initialize(self)
        if first_weights == "authors" and block is WideBlock:
            nn.init.zeros_(self.head.bias)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Return one logit per class."""
        features = self.norm(self.stages(self.stem(x)))  # (n, c, h / 4, w / 4)
        logits: Tensor = self.head(features.mean(dim=(-2, -1)))
        return logits


def normed(layer: nn.Conv2d) -> nn.Sequential:
    """Return a convolution with its norm and relu."""
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU(inplace=True))


def stage(
    block: Callable[..., nn.Module], channels_in: int, channels_out: int, *, blocks: int, stride: int
) -> nn.Sequential:
    """Return ``blocks`` blocks in a row, of which the first changes the channels and has the stride.

    Raises:
        ValueError: If there is no block.
    """
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, got {blocks!r}; every stage needs one")
    first = block(channels_in, channels_out, stride=stride)
    return nn.Sequential(first, *(block(channels_out, channels_out, stride=1) for _ in range(blocks - 1)))
