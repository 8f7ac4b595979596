"""MobileNetV2 for 32x32 images.

Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
https://arxiv.org/abs/1801.04381

Where this differs, as the SimAM authors have it: the first convolution and the second stage have stride 1, so
that a 32x32 image ends as a 4x4 map; relu takes the place of relu6; the first block has its 1x1 convolution
though it does not widen; and a block of stride 1 that changes the width has a shortcut too, a 1x1 convolution
with batch norm.
"""

from jaxtyping import Float
from torch import Tensor, nn

from simam_edu.attention import AttentionFactory
from simam_edu.networks.layers import (
    FirstWeights,
    checked_first_weights,
    convolution,
    initialize,
    stage,
)
from simam_edu.networks.slots import Slot, checked_slot

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels out, blocks and stride of each stage: the paper's Table 2 with one stride changed."""


class InvertedResidual(nn.Module):
    r"""A 1x1 convolution that widens, a depthwise 3x3 and a 1x1 that narrows, with one attention module.

    .. math:: y = F(x) + S(x)

    where :math:`F` is conv, norm, relu, depthwise conv, norm, relu, conv, norm, and :math:`S` is the identity
    or, where the width changes, a 1x1 convolution with batch norm; at stride 2 there is no :math:`S`. At
    ``"pre_norm"`` the attention stands between the depthwise convolution and its norm and sees the wide map
    of ``expansion * channels_in`` channels, at ``"post_norm"`` after the third norm, on ``channels_out``.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        expansion: How many times wider than the input the block is inside.
        stride: 1, or 2 to halve the map; the depthwise convolution has it.
        attention: Makes the attention module.
        slot: Where it stands; see :data:`.Slot`.

    Raises:
        ValueError: If the slot is unknown.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        expansion: int,
        stride: int,
        attention: AttentionFactory,
        slot: Slot,
    ) -> None:
        super().__init__()
        wide = expansion * channels_in
        self.conv1 = convolution(channels_in, wide, 1)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = convolution(wide, wide, 3, stride=stride, groups=wide)
        self.bn2 = nn.BatchNorm2d(wide)
        self.conv3 = convolution(wide, channels_out, 1)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module | None = None
        if stride == 1:
            self.shortcut = nn.Identity()
            if channels_in != channels_out:
                self.shortcut = nn.Sequential(
                    convolution(channels_in, channels_out, 1), nn.BatchNorm2d(channels_out)
                )
        self.relu = nn.ReLU(inplace=True)
        self.slot = checked_slot(slot)
        self.attention = attention(wide if slot == "pre_norm" else channels_out)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the block's output; the map is divided by the stride."""
        y = self.conv2(self.relu(self.bn1(self.conv1(x))))
        if self.slot == "pre_norm":
            y = self.attention(y)
        y = self.bn3(self.conv3(self.relu(self.bn2(y))))
        if self.slot == "post_norm":
            y = self.attention(y)
        output: Tensor = y if self.shortcut is None else y + self.shortcut(x)
        return output


class MobileNetV2(nn.Module):
    """MobileNetV2 of width 1 on 32x32 images: seventeen inverted residual blocks in seven stages.

    Args:
        num_classes: Classes to tell apart.
        attention: Makes one attention module for each block.
        slot: Where in the block it stands.
        first_weights: How they are drawn; see :data:`.FirstWeights`.

    Raises:
        ValueError: If the slot or ``first_weights`` is unknown.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        attention: AttentionFactory,
        slot: Slot,
        first_weights: FirstWeights = "he",
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 32, 3), nn.BatchNorm2d(32), nn.ReLU(inplace=True))
        made = []
        channels = 32
        for expansion, width, blocks, stride in STAGES:

            def make(channels_in: int, channels_out: int, step: int, times: int = expansion) -> nn.Module:
                return InvertedResidual(
                    channels_in, channels_out, expansion=times, stride=step, attention=attention, slot=slot
                )

            made.append(stage(make, channels, width, blocks=blocks, stride=stride))
            channels = width
        self.stages = nn.Sequential(*made)
        self.last = nn.Sequential(convolution(channels, 1280, 1), nn.BatchNorm2d(1280), nn.ReLU(inplace=True))
        self.head = nn.Linear(1280, num_classes)
        if checked_first_weights(first_weights) == "he":
            initialize(self)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Return one logit a class."""
        features = self.last(self.stages(self.stem(x)))  # (n, 1280, h / 8, w / 8)
        logits: Tensor = self.head(features.mean(dim=(-2, -1)))
        return logits
