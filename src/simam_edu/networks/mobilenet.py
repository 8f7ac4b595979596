"""MobileNetV2 for 32x32 images.

The paper is named in :mod:`simam_edu.networks.blocks`. Where this differs, as the SimAM authors have it: the
first convolution and the second stage have stride 1, so that a 32x32 image ends as a 4x4 map; relu takes the
place of relu6; and the first block has its 1x1 convolution though it does not widen.
"""

from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from simam_edu.attention import AttentionFactory
from simam_edu.networks.blocks import InvertedResidual, Position, Slot, convolution
from simam_edu.networks.first_weights import FirstWeights, checked_first_weights, initialize
from simam_edu.networks.resnet import normed, stage

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels out, blocks and stride of each stage: the paper's Table 2, one stride changed."""


class MobileNetV2(nn.Module):
    """MobileNetV2 of width 1 on 32x32 images: seventeen inverted residual blocks in seven stages.

    The arguments are those of :class:`.ResNet`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        attention: AttentionFactory,
        position: Position | Slot | None = None,
        slot: Slot | None = None,
        first_weights: FirstWeights = "he",
    ) -> None:
        super().__init__()
        self.stem = normed(convolution(3, 32, 3))
        made, channels = [], 32
        for expansion, width, blocks, stride in STAGES:
            block = partial(
                InvertedResidual, expansion=expansion, attention=attention, position=position, slot=slot
            )
            made.append(stage(block, channels, width, blocks=blocks, stride=stride))
            channels = width
        self.stages = nn.Sequential(*made)
        self.last = normed(convolution(channels, 1280, 1))
        self.head = nn.Linear(1280, num_classes)
        if checked_first_weights(first_weights) == "he":
            initialize(self)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Return one logit per class."""
        features = self.last(self.stages(self.stem(x)))  # (n, 1280, h / 8, w / 8)
        logits: Tensor = self.head(features.mean(dim=(-2, -1)))
        return logits
