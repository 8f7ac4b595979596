"""Residual networks for 32x32 images, with attention and its place as arguments.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2,
https://arxiv.org/abs/1512.03385

Where this differs, as the SimAM authors have it: the shortcut across a change of shape is a 1x1 convolution
with batch norm (option B) and not the padded identity (option A); bottleneck blocks, which the paper has for
ImageNet only, are there for 32x32 images too; and a bottleneck block has its stride in the 3x3 convolution,
not in the first 1x1.
"""

from jaxtyping import Float
from torch import Tensor, nn

from simam_edu.attention import AttentionFactory
from simam_edu.networks.layers import (
    FirstWeights,
    checked_first_weights,
    convolution,
    initialize,
    stages,
)
from simam_edu.networks.slots import Slot, checked_slot


class BasicBlock(nn.Module):
    r"""Two 3x3 convolutions with a shortcut, and one attention module at a chosen slot.

    .. math:: y = \operatorname{relu}\bigl(F(x) + S(x)\bigr)

    where :math:`F` is conv, norm, relu, conv, norm with the attention before (``"pre_norm"``) or after
    (``"post_norm"``) the second norm, and :math:`S` is the identity or, where the shape changes, a 1x1
    convolution with batch norm.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output, which is what the attention factory is called with.
        stride: 1, or 2 to halve the map.
        attention: Makes the attention module.
        slot: Where it stands; see :data:`.Slot`.

    Raises:
        ValueError: If the slot is unknown.
    """

    expansion = 1

    def __init__(
        self, channels_in: int, channels_out: int, *, stride: int, attention: AttentionFactory, slot: Slot
    ) -> None:
        super().__init__()
        self.conv1 = convolution(channels_in, channels_out, 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = convolution(channels_out, channels_out, 3)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = _shortcut(channels_in, channels_out, stride)
        self.relu = nn.ReLU(inplace=True)
        self.attention = attention(channels_out)
        self.slot = checked_slot(slot)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the block's output; the map is divided by the stride."""
        y = self.conv2(self.relu(self.bn1(self.conv1(x))))
        y = self.bn2(self.attention(y)) if self.slot == "pre_norm" else self.attention(self.bn2(y))
        y = y + self.shortcut(x)
        output: Tensor = self.relu(y)
        return output


class BottleneckBlock(nn.Module):
    r"""A 1x1 convolution that narrows, a 3x3 and a 1x1 that widens, with a shortcut and one attention module.

    .. math:: y = \operatorname{relu}\bigl(F(x) + S(x)\bigr)

    where :math:`F` is conv, norm, relu, conv, norm, relu, conv, norm and :math:`S` as in :class:`BasicBlock`.
    At ``"pre_norm"`` the attention stands between the 3x3 convolution and its norm and sees a quarter of
    ``channels_out``, at ``"post_norm"`` after the third norm and sees all of them.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output, a multiple of four: the 3x3 convolution has a quarter of them.
        stride: 1, or 2 to halve the map; the 3x3 convolution has it.
        attention: Makes the attention module.
        slot: Where it stands; see :data:`.Slot`.

    Raises:
        ValueError: If the slot is unknown or ``channels_out`` is no multiple of four.
    """

    expansion = 4

    def __init__(
        self, channels_in: int, channels_out: int, *, stride: int, attention: AttentionFactory, slot: Slot
    ) -> None:
        super().__init__()
        narrow = narrow_channels(channels_out, self.expansion)
        self.conv1 = convolution(channels_in, narrow, 1)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv2 = convolution(narrow, narrow, 3, stride=stride)
        self.bn2 = nn.BatchNorm2d(narrow)
        self.conv3 = convolution(narrow, channels_out, 1)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.shortcut = _shortcut(channels_in, channels_out, stride)
        self.relu = nn.ReLU(inplace=True)
        self.slot = checked_slot(slot)
        self.attention = attention(narrow if slot == "pre_norm" else channels_out)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the block's output; the map is divided by the stride."""
        y = self.conv2(self.relu(self.bn1(self.conv1(x))))
        if self.slot == "pre_norm":
            y = self.attention(y)
        y = self.bn3(self.conv3(self.relu(self.bn2(y))))
        if self.slot == "post_norm":
            y = self.attention(y)
        y = y + self.shortcut(x)
        output: Tensor = self.relu(y)
        return output


class ResNet(nn.Module):
    """A residual network of three stages of 16, 32 and 64 channels on 32x32 images.

    With basic blocks its depth is :math:`6n + 2`: a first convolution, three stages of :math:`n` blocks of
    two convolutions, and one linear layer on the mean over the last 8x8 map. With bottleneck blocks, which
    return four times as many channels, it is :math:`9n + 2`.

    Args:
        blocks: Blocks a stage, the :math:`n` above.
        num_classes: Classes to tell apart.
        attention: Makes one attention module for each block.
        slot: Where in the block it stands.
        block: The kind of block.
        first_weights: How they are drawn; see :data:`.FirstWeights`.

    Raises:
        ValueError: If there is no block or the slot or ``first_weights`` is unknown.
    """

    def __init__(
        self,
        *,
        blocks: int,
        num_classes: int,
        attention: AttentionFactory,
        slot: Slot,
        block: type[BasicBlock] | type[BottleneckBlock] = BasicBlock,
        first_weights: FirstWeights = "he",
    ) -> None:
        super().__init__()

        def make(channels_in: int, channels_out: int, stride: int) -> nn.Module:
            return block(channels_in, channels_out, stride=stride, attention=attention, slot=slot)

        widths = [block.expansion * width for width in (16, 32, 64)]
        self.stem = nn.Sequential(convolution(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.stages = stages(make, 16, widths, blocks=blocks)
        self.head = nn.Linear(widths[-1], num_classes)
        if checked_first_weights(first_weights) == "he":
            initialize(self)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Return one logit a class."""
        features = self.stages(self.stem(x))  # (n, c, h / 4, w / 4)
        logits: Tensor = self.head(features.mean(dim=(-2, -1)))
        return logits


def narrow_channels(channels_out: int, expansion: int) -> int:
    """Return the channels inside a bottleneck block.

    Raises:
        ValueError: If the channels of the output are no multiple of the expansion.
    """
    if channels_out % expansion:
        raise ValueError(f"channels_out must be a multiple of {expansion}, got {channels_out!r}")
    return channels_out // expansion


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return nn.Sequential(
        convolution(channels_in, channels_out, 1, stride=stride), nn.BatchNorm2d(channels_out)
    )
