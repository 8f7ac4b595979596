"""Residual networks for 32x32 images: ResNet, PreResNet and wide ones in one class, and MobileNetV2.

The papers are named in :mod:`simam_edu.networks.blocks`. Where this differs from them, as in the
SimAM authors' repository: bottleneck blocks, which ResNet has for ImageNet only, are there for 32x32
images too; in MobileNetV2 the first convolution and the second stage have stride 1, so that a 32x32
image ends as a 4x4 map, relu takes the place of relu6, and the first block has its 1x1 convolution
though it does not widen.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from simam_edu.attention import AttentionFactory
from simam_edu.networks import blocks as kinds
from simam_edu.networks.blocks import Block, Position, Slot, convolution

FirstWeights = Literal["he", "authors"]
r"""How the weights are drawn before training.

``"he"`` draws every convolution, but for those of the attention modules, normal with deviation
:math:`\sqrt{2 / (k^2 c)}`, where :math:`k` is the side of the filter and :math:`c` how many output
channels each input channel reaches (He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015,
section 2.2). ``"authors"`` draws as the SimAM authors' repository does for 32x32 images: ResNet,
PreResNet and MobileNetV2 keep what torch gives a new convolution, uniform in
:math:`\pm 1/\sqrt{k^2 c}` with :math:`c` the input channels that each output channel sees, so of
deviation :math:`1/\sqrt{3 k^2 c}`; wide networks have ``"he"`` and a last bias that starts at zero.

A convolution of as many channels in as out starts :math:`\sqrt{6}` times larger with ``"he"``, its
map has six times the variance, and the same :math:`\lambda` weighs six times less against it.
Source: the repository ZjjConan/SimAM, ``networks/cifar``, last commit of October 2022.
"""

# Expansion, then channels out, blocks and stride of each stage: the paper's Table 2, one stride changed.
MOBILE_STAGES = (
    (1, (16, 1, 1)), (6, (24, 2, 1)), (6, (32, 3, 2)), (6, (64, 4, 2)), (6, (96, 3, 1)), (6, (160, 3, 2)),
    (6, (320, 1, 1)),
)  # fmt: skip


class ResNet(nn.Module):
    """A residual network of three stages of 16, 32 and 64 channels, times the width, on 32x32 images.

    With two convolutions per block its depth is :math:`6n + 2`: a first convolution, three stages
    of :math:`n` blocks, and one linear layer on the mean over the last 8x8 map. With three, which
    return four times as many channels, it is :math:`9n + 2`. Wide networks count the three
    shortcuts instead of the linear layer, :math:`6n + 4`; at width 1 the first of these is the
    identity. Where the norms stand before the convolutions, the first convolution has none, because
    the first block begins with one, and a norm and a relu follow the last block.

    Args:
        blocks: Blocks per stage, the :math:`n` above.
        num_classes: Classes to tell apart.
        attention: Makes one attention module for each block.
        position: Where in the block it stands; see :data:`.Position`.
        block: The kind of block.
        width: The factor of the channels, the second number in WRN-28-10.
        first_weights: How they are drawn; see :data:`.FirstWeights`.

    Raises:
        ValueError: If blocks or width are below 1, or a name is unknown.

    >>> network = ResNet(blocks=3, num_classes=10, attention=lambda _: nn.Identity())
    >>> sum(weights.numel() for weights in network.parameters())
    272474
    """

    def __init__(
        self,
        *,
        blocks: int,
        num_classes: int,
        attention: AttentionFactory,
        position: Position | Slot = "before_norm",
        block: type[Block] = kinds.BasicBlock,
        width: int = 1,
        first_weights: FirstWeights = "he",
    ) -> None:
        super().__init__()
        if blocks < 1 or width < 1:
            raise ValueError(f"blocks and width must be at least 1, got {blocks!r} and {width!r}")
        make = partial(block, attention=attention, position=position)
        norms_first = block.layout.startswith("bn")
        self.stem = convolution(3, 16, 3) if norms_first else _normed(convolution(3, 16, 3))
        widths = [block.expansion * width * base for base in (16, 32, 64)]
        rows = [(make, channels, blocks, stride) for channels, stride in zip(widths, (1, 2, 2), strict=True)]
        self.stages = _stages(16, rows)
        last = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True))
        self.norm = last if norms_first else nn.Identity()
        self.head = nn.Linear(widths[-1], num_classes)
        _draw(self, first_weights, wide=block is kinds.WideBlock)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Return one logit per class."""
        features = self.norm(self.stages(self.stem(x)))  # (n, c, h / 4, w / 4)
        logits: Tensor = self.head(features.mean(dim=(-2, -1)))
        return logits


class MobileNetV2(nn.Module):
    """MobileNetV2 of width 1 on 32x32 images: seventeen inverted residual blocks in seven stages.

    The arguments are those of :class:`.ResNet`.

    >>> network = MobileNetV2(num_classes=10, attention=lambda _: nn.Identity())
    >>> sum(weights.numel() for weights in network.parameters())
    2296922
    """

    def __init__(
        self,
        *,
        num_classes: int,
        attention: AttentionFactory,
        position: Position | Slot = "before_norm",
        first_weights: FirstWeights = "he",
    ) -> None:
        super().__init__()
        make = partial(kinds.InvertedResidual, attention=attention, position=position)
        self.stem = _normed(convolution(3, 32, 3))
        self.stages = _stages(32, [(partial(make, expansion=wide), *row) for wide, row in MOBILE_STAGES])
        self.last = _normed(convolution(320, 1280, 1))
        self.head = nn.Linear(1280, num_classes)
        _draw(self, first_weights)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Return one logit per class."""
        features = self.last(self.stages(self.stem(x)))  # (n, 1280, h / 8, w / 8)
        logits: Tensor = self.head(features.mean(dim=(-2, -1)))
        return logits


def _normed(layer: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU(inplace=True))


def _stages(channels: int, rows: Iterable[tuple[Callable[..., nn.Module], int, int, int]]) -> nn.Sequential:
    """Return stages of blocks, each from its kind, channels out, blocks and stride, which the first has."""
    stages = nn.Sequential()
    for block, width, blocks, stride in rows:
        first = block(channels, width, stride=stride)
        rest = (block(width, width, stride=1) for _ in range(blocks - 1))
        stages.append(nn.Sequential(first, *rest))
        channels = width
    return stages


def _draw(network: nn.Module, first_weights: FirstWeights, *, wide: bool = False) -> None:
    """Draw the weights of a new network, whose layers have those that torch gives them."""
    known = get_args(FirstWeights)
    if first_weights not in known:
        raise ValueError(f"first_weights must be one of {', '.join(known)}, got {first_weights!r}")
    if first_weights == "he" or wide:
        _draw_convolutions(network)
    if first_weights == "authors" and wide:
        nn.init.zeros_(network.get_submodule("head").get_parameter("bias"))


def _draw_convolutions(module: nn.Module) -> None:
    for name, child in module.named_children():
        if name != "attention":  # which keeps what it made: global context has zeros that are meant
            _draw_convolutions(child)
    if isinstance(module, nn.Conv2d):
        fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=2.0**0.5 / fan_out**0.5)
