"""Residual networks whose norms stand before the convolutions, for 32x32 images.

He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016,
https://arxiv.org/abs/1603.05027

Where this differs, as the SimAM authors have it: every shortcut across a change of shape is a 1x1 convolution
of the block's bare input, before its norm.
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
from simam_edu.networks.resnet import narrow_channels
from simam_edu.networks.slots import Slot, checked_slot


class PreBasicBlock(nn.Module):
    r"""Two 3x3 convolutions, each after its norm and relu, with a shortcut and one attention module.

    .. math:: y = F(x) + S(x)

    where :math:`F` is norm, relu, conv, norm, relu, conv, attention, and :math:`S` is the identity or, where
    the shape changes, a 1x1 convolution of :math:`x`. No norm follows the second convolution, so the SimAM
    authors' place and that of the rivals are the same, and both slots give the same block.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output, which is what the attention factory is called with.
        stride: 1, or 2 to halve the map.
        attention: Makes the attention module.
        slot: Either of :data:`.Slot`, with no effect.

    Raises:
        ValueError: If the slot is unknown.
    """

    expansion = 1

    def __init__(
        self, channels_in: int, channels_out: int, *, stride: int, attention: AttentionFactory, slot: Slot
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = convolution(channels_in, channels_out, 3, stride=stride)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv2 = convolution(channels_out, channels_out, 3)
        self.shortcut = _shortcut(channels_in, channels_out, stride)
        self.relu = nn.ReLU(inplace=True)
        self.attention = attention(channels_out)
        self.slot = checked_slot(slot)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the block's output; the map is divided by the stride."""
        y = self.conv1(self.relu(self.bn1(x)))
        y = self.conv2(self.relu(self.bn2(y)))
        output: Tensor = self.attention(y) + self.shortcut(x)
        return output


class PreBottleneckBlock(nn.Module):
    r"""A 1x1, a 3x3 and a 1x1 convolution, each after norm and relu, a shortcut and one attention module.

    .. math:: y = F(x) + S(x)

    where :math:`F` is three times norm, relu, conv and :math:`S` as in :class:`PreBasicBlock`. At
    ``"pre_norm"`` the attention stands after the 3x3 convolution, before the third norm, and sees a quarter
    of ``channels_out``; at ``"post_norm"`` it stands after the third convolution and sees all of them.

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
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = convolution(channels_in, narrow, 1)
        self.bn2 = nn.BatchNorm2d(narrow)
        self.conv2 = convolution(narrow, narrow, 3, stride=stride)
        self.bn3 = nn.BatchNorm2d(narrow)
        self.conv3 = convolution(narrow, channels_out, 1)
        self.shortcut = _shortcut(channels_in, channels_out, stride)
        self.relu = nn.ReLU(inplace=True)
        self.slot = checked_slot(slot)
        self.attention = attention(narrow if slot == "pre_norm" else channels_out)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the block's output; the map is divided by the stride."""
        y = self.conv1(self.relu(self.bn1(x)))
        y = self.conv2(self.relu(self.bn2(y)))
        if self.slot == "pre_norm":
            y = self.attention(y)
        y = self.conv3(self.relu(self.bn3(y)))
        if self.slot == "post_norm":
            y = self.attention(y)
        output: Tensor = y + self.shortcut(x)
        return output


class PreResNet(nn.Module):
    """A pre-activation residual network of three stages of 16, 32 and 64 channels on 32x32 images.

    Depths and widths are those of :class:`ResNet`. The first convolution has no norm, because the first block
    begins with one; a norm and a relu follow the last block.

    Args:
        blocks: Blocks a stage.
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
        block: type[PreBasicBlock] | type[PreBottleneckBlock] = PreBasicBlock,
        first_weights: FirstWeights = "he",
    ) -> None:
        super().__init__()

        def make(channels_in: int, channels_out: int, stride: int) -> nn.Module:
            return block(channels_in, channels_out, stride=stride, attention=attention, slot=slot)

        widths = [block.expansion * width for width in (16, 32, 64)]
        self.stem = convolution(3, 16, 3)
        self.stages = stages(make, 16, widths, blocks=blocks)
        self.norm = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True))
        self.head = nn.Linear(widths[-1], num_classes)
        if checked_first_weights(first_weights) == "he":
            initialize(self)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Return one logit a class."""
        features = self.norm(self.stages(self.stem(x)))  # (n, c, h / 4, w / 4)
        logits: Tensor = self.head(features.mean(dim=(-2, -1)))
        return logits


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return convolution(channels_in, channels_out, 1, stride=stride)
