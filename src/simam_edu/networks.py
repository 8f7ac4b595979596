"""Residual networks for 32x32 images, with attention and its place as arguments.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2. Where this
differs: the shortcut across a change of width is a 1x1 convolution with batch norm (option B), as the
SimAM authors have it, and not the padded identity (option A).
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from simam_edu.attention import AttentionFactory, attention_factory

Slot = Literal["pre_norm", "post_norm"]
"""Where in a block the module stands.

``"pre_norm"`` is after the second convolution and before its batch norm, the SimAM authors' place;
``"post_norm"`` is after that batch norm and before the addition, the place of SE and its successors.
"""


class BasicBlock(nn.Module):
    r"""Two 3x3 convolutions with a shortcut, and one attention module at a chosen slot.

    .. math:: y = \operatorname{relu}\bigl(F(x) + S(x)\bigr)

    where :math:`F` is conv, norm, relu, conv, norm with the attention before or after the second norm, and
    :math:`S` is the identity or, where the shape changes, a 1x1 convolution with batch norm.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output, which is what the attention factory is called with.
        stride: 1, or 2 to halve the map.
        attention: Makes the attention module.
        slot: Where it stands; see :data:`Slot`.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, stride: int, attention: AttentionFactory, slot: Slot
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )
        self.relu = nn.ReLU(inplace=True)
        self.attention = attention(channels_out)
        self.slot = slot

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the block's output; the map is divided by the stride."""
        y = self.conv2(self.relu(self.bn1(self.conv1(x))))
        y = self.bn2(self.attention(y)) if self.slot == "pre_norm" else self.attention(self.bn2(y))
        y = y + self.shortcut(x)
        output: Tensor = self.relu(y)
        return output


class ResNet(nn.Module):
    """A residual network of three stages of 16, 32 and 64 channels on 32x32 images.

    Its depth is :math:`6n + 2`: a first convolution, three stages of :math:`n` blocks of two convolutions,
    and one linear layer on the mean over the last 8x8 map.

    Args:
        blocks: Blocks a stage, the :math:`n` above.
        num_classes: Classes to tell apart.
        attention: Makes one attention module for each block.
        slot: Where in the block it stands.
    """

    def __init__(self, *, blocks: int, num_classes: int, attention: AttentionFactory, slot: Slot) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        stages = []
        channels = 16
        for width, stride in ((16, 1), (32, 2), (64, 2)):
            stage = []
            for index in range(blocks):
                step = stride if index == 0 else 1
                stage.append(BasicBlock(channels, width, stride=step, attention=attention, slot=slot))
                channels = width
            stages.append(nn.Sequential(*stage))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, num_classes)
        self.apply(_initialize)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Return one logit a class."""
        features = self.stages(self.stem(x))  # (n, 64, h / 4, w / 4)
        logits: Tensor = self.head(features.mean(dim=(-2, -1)))
        return logits


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    f"resnet{6 * blocks + 2}": partial(ResNet, blocks=blocks) for blocks in (3, 9, 18)
}
"""Every network by its name."""


def build(
    name: str,
    *,
    num_classes: int,
    attention: AttentionFactory | None = None,
    slot: Slot = "pre_norm",
) -> nn.Module:
    """Return a new network, its weights drawn from torch's current random state.

    Args:
        name: A key of :data:`NETWORKS`: ``"resnet20"``, ``"resnet56"`` or ``"resnet110"``.
        num_classes: Classes to tell apart, at least 2.
        attention: From a number of channels to a module; ``None`` for a network without attention.
        slot: Where in a block the module stands; the default is the SimAM authors' place.

    Returns:
        The network, in training mode, on the CPU.

    Raises:
        ValueError: If the name or the slot is unknown or there are fewer than two classes.
    """
    if name not in NETWORKS:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {name!r}")
    if slot not in get_args(Slot):
        raise ValueError(f"slot must be one of {', '.join(get_args(Slot))}, got {slot!r}")
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes!r}")
    if attention is None:
        attention = attention_factory("none")
    return NETWORKS[name](num_classes=num_classes, attention=attention, slot=slot)


def _initialize(module: nn.Module) -> None:
    # He initialization, by the fan-out as in the residual network papers: a module without
    # parameters draws nothing, so nets with and without it start from the same weights.
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
