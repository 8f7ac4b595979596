"""What the families share: convolutions, stages of blocks, and the first weights."""

import math
from collections.abc import Callable, Iterable
from typing import Literal, get_args

from torch import nn

FirstWeights = Literal["he", "authors"]
r"""How the weights are drawn before training.

``"he"`` draws every convolution with He initialization by the fan-out, see
:func:`initialize`. ``"authors"`` draws as the SimAM authors' repository does for 32x32
images: :class:`.ResNet`, :class:`.PreResNet` and :class:`.MobileNetV2` keep what torch
gives a new convolution, uniform in :math:`\pm 1/\sqrt{k^2 c}` with :math:`c` the input
channels that each output channel sees, so of deviation :math:`1/\sqrt{3 k^2 c}`;
:class:`.WideResNet` has He initialization and a last layer whose bias starts at zero.

A convolution of as many channels in as out starts :math:`\sqrt{6}` times larger with
``"he"``, its map has six times the variance, and the same :math:`\lambda` weighs six
times less against it. Source: the repository ZjjConan/SimAM, ``networks/cifar``, last
commit of October 2022.
"""


def checked_first_weights(first_weights: FirstWeights) -> FirstWeights:
    """Return the name.

    Raises:
        ValueError: If it is not one of :data:`FirstWeights`.
    """
    if first_weights not in get_args(FirstWeights):
        raise ValueError(
            f"first_weights must be one of {', '.join(get_args(FirstWeights))}, got {first_weights!r}"
        )
    return first_weights


def convolution(
    channels_in: int, channels_out: int, size: int, *, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Return a square convolution that keeps the side of the map at stride 1.

    It has no bias, because a batch norm takes a constant out again.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        size: Side of the filter, an odd number.
        stride: 1, or 2 to halve the map.
        groups: 1, or the number of channels for a depthwise convolution.
    """
    return nn.Conv2d(
        channels_in, channels_out, size, stride=stride, padding=size // 2, groups=groups, bias=False
    )


def stage(
    block: Callable[[int, int, int], nn.Module],
    channels_in: int,
    channels_out: int,
    *,
    blocks: int,
    stride: int,
) -> nn.Sequential:
    """Return blocks of one width in a row, of which the first one changes the width and the side.

    Args:
        block: Makes a block from its input channels, its output channels and its stride.
        channels_in: Channels that enter the first block.
        channels_out: Channels that every block returns.
        blocks: How many.
        stride: Of the first block; the others have 1.

    Raises:
        ValueError: If there is no block.
    """
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, got {blocks!r}; every stage needs one")
    first = block(channels_in, channels_out, stride)
    return nn.Sequential(first, *(block(channels_out, channels_out, 1) for _ in range(blocks - 1)))


def stages(
    block: Callable[[int, int, int], nn.Module], channels_in: int, widths: Iterable[int], *, blocks: int
) -> nn.Sequential:
    """Return one stage a width, of equally many blocks; all but the first halve the map.

    Args:
        block: Makes a block from its input channels, its output channels and its stride.
        channels_in: Channels that enter the first stage.
        widths: Channels that each stage returns.
        blocks: Blocks a stage.
    """
    made = []
    for index, width in enumerate(widths):
        made.append(stage(block, channels_in, width, blocks=blocks, stride=1 if index == 0 else 2))
        channels_in = width
    return nn.Sequential(*made)


def initialize(module: nn.Module) -> None:
    r"""Draw the weights of every convolution anew, but for those of the attention modules.

    He initialization by the fan-out: normal with deviation :math:`\sqrt{2 / (k^2 c)}`, where :math:`k` is the
    side of the filter and :math:`c` how many output channels each input channel reaches. An attention module
    keeps the weights that it made for itself: global context, for one, starts with zeros that are meant.

    Args:
        module: A network or a part of one, in whose blocks the attention module is called ``attention``.

    Source:
        He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015, section 2.2.
    """
    for name, child in module.named_children():
        if name != "attention":
            initialize(child)
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2.0) / math.sqrt(fan_out))
