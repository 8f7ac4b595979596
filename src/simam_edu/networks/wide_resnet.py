"""Wide residual networks for 32x32 images.

Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016, https://arxiv.org/abs/1605.07146

Where this differs: there is no dropout, which the paper has as an option (the SimAM authors' repository takes
0.3 for WRN-28-10).
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


class WideBlock(nn.Module):
    r"""Two 3x3 convolutions, each after its norm and relu, with a shortcut and one attention module.

    .. math:: y = F(x) + S(x)

    where :math:`F` is norm, relu, conv, norm, relu, conv, attention. :math:`S` is the identity or, where the
    shape changes, a 1x1 convolution; unlike that of :class:`PreBasicBlock` it reads what the first norm and
    relu return. No norm follows the second convolution, so the SimAM authors' place and that of the rivals
    are the same, and both slots give the same block.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output, which is what the attention factory is called with.
        stride: 1, or 2 to halve the map.
        attention: Makes the attention module.
        slot: Either of :data:`.Slot`, with no effect.

    Raises:
        ValueError: If the slot is unknown.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, stride: int, attention: AttentionFactory, slot: Slot
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = convolution(channels_in, channels_out, 3, stride=stride)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv2 = convolution(channels_out, channels_out, 3)
        self.shortcut: nn.Conv2d | None = None
        if stride != 1 or channels_in != channels_out:
            self.shortcut = convolution(channels_in, channels_out, 1, stride=stride)
        self.relu = nn.ReLU(inplace=True)
        self.attention = attention(channels_out)
        self.slot = checked_slot(slot)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the block's output; the map is divided by the stride."""
        active = self.relu(self.bn1(x))
        y = self.conv2(self.relu(self.bn2(self.conv1(active))))
        output: Tensor = self.attention(y) + (x if self.shortcut is None else self.shortcut(active))
        return output


class WideResNet(nn.Module):
    """A wide residual network of three stages of 16, 32 and 64 channels times its width.

    Its depth is :math:`6n + 4`: the first convolution, three stages of :math:`n` blocks of two convolutions,
    and the three shortcuts with a convolution, which this paper counts and the earlier ones do not. The
    linear layer is not counted. At width 1 the first of these shortcuts is the identity.

    Args:
        blocks: Blocks a stage, the :math:`n` above.
        width: The factor of the channels, the second number in WRN-28-10.
        num_classes: Classes to tell apart.
        attention: Makes one attention module for each block.
        slot: Where in the block it stands; see :class:`WideBlock`.
        first_weights: Whether the last bias is drawn (``"he"``) or zero (``"authors"``).

    Raises:
        ValueError: If there is no block, the width is below 1, or the slot or
            ``first_weights`` is unknown.
    """

    def __init__(
        self,
        *,
        blocks: int,
        width: int,
        num_classes: int,
        attention: AttentionFactory,
        slot: Slot,
        first_weights: FirstWeights = "he",
    ) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width!r}; WRN-28-10 has 10")

        def make(channels_in: int, channels_out: int, stride: int) -> nn.Module:
            return WideBlock(channels_in, channels_out, stride=stride, attention=attention, slot=slot)

        self.stem = convolution(3, 16, 3)
        self.stages = stages(make, 16, (16 * width, 32 * width, 64 * width), blocks=blocks)
        self.norm = nn.Sequential(nn.BatchNorm2d(64 * width), nn.ReLU(inplace=True))
        self.head = nn.Linear(64 * width, num_classes)
        initialize(self)
        if checked_first_weights(first_weights) == "authors":
            nn.init.zeros_(self.head.bias)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Return one logit a class."""
        features = self.norm(self.stages(self.stem(x)))  # (n, 64 width, h / 4, w / 4)
        logits: Tensor = self.head(features.mean(dim=(-2, -1)))
        return logits
