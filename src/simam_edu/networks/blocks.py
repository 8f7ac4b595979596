r"""The blocks of the networks, each a line that reads from left to right, with one attention module.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (basic, bottleneck),
https://arxiv.org/abs/1512.03385, and "Identity Mappings in Deep Residual Networks", ECCV 2016
(their pre-activation forms), https://arxiv.org/abs/1603.05027; Zagoruyko, Komodakis, "Wide Residual
Networks", BMVC 2016, https://arxiv.org/abs/1605.07146; Sandler et al., "MobileNetV2: Inverted
Residuals and Linear Bottlenecks", CVPR 2018, https://arxiv.org/abs/1801.04381.

Where they differ, as the SimAM authors have it: a shortcut across a change of shape is a 1x1
convolution, with a batch norm in the blocks that end with one (option B, not the padded identity of
option A); a bottleneck has its stride in the 3x3 convolution; and an inverted residual of stride 1
that changes the width has a shortcut.
"""

from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from simam_edu.attention import AttentionFactory

Slot = Literal["pre_norm", "post_norm"]
"""The first names of the two positions, in that order, as records and the command line say them."""

Position = Literal["before_norm", "after_norm"]
"""Where in a block the module stands: where the SimAM authors put SimAM, or its rivals.

``"before_norm"`` is right after the last 3x3 convolution, before the batch norm behind it where
there is one: where the SimAM authors put SimAM. ``"after_norm"`` is at the end of the branch, before
the addition: where they put SE and CBAM. The ``layout`` of each block shows both, and the channels
that the module sees there are those of the convolution before it. In :class:`PreBasicBlock` and
:class:`WideBlock` nothing but the addition follows the second convolution, so the two are one place.
The first names ``"pre_norm"`` and ``"post_norm"`` (:data:`Slot`) stay valid.
Source: the repository ZjjConan/SimAM, last commit of October 2022.
"""

_POSITIONS: dict[str, Position] = {
    "before_norm": "before_norm",
    "after_norm": "after_norm",
    "pre_norm": "before_norm",
    "post_norm": "after_norm",
}


def convolution(
    channels_in: int, channels_out: int, size: int, *, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Return a square convolution of odd size that keeps the map at stride 1, without a bias.

    The batch norm behind it would take a constant out again.
    """
    return nn.Conv2d(
        channels_in, channels_out, size, stride=stride, padding=size // 2, groups=groups, bias=False
    )


class Block(nn.Module):
    r"""A branch of convolutions, norms and one attention module, beside a shortcut.

    .. math:: y = F(x) + S(x)

    :math:`F` are the steps of ``layout`` from left to right, with the attention at one of the two
    places in brackets. :math:`S` is the identity or, where the shape changes, a 1x1 convolution.
    The input is (n, channels_in, h, w), the output (n, channels_out, h / stride, w / stride).

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: 1, or 2 to halve the map.
        attention: Makes the attention module from the number of channels at its place.
        position: Which place; see :data:`Position`.

    Raises:
        ValueError: If the position is unknown.
    """

    layout: ClassVar[str]
    sizes: ClassVar[tuple[int, ...]] = (3, 3)  # of the convolutions; the first of size 3 has the stride
    expansion: ClassVar[int] = 1  # how many times wider the output is than the 3x3 convolution
    shortcut_norm: ClassVar[bool] = False  # whether a norm follows the 1x1 convolution of the shortcut
    shortcut_from: ClassVar[int] = 0  # how many steps of the branch the 1x1 convolution shares
    last_relu: ClassVar[bool] = False  # whether a relu follows the addition

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        stride: int,
        attention: AttentionFactory,
        position: Position | Slot = "before_norm",
    ) -> None:
        super().__init__()
        if position not in _POSITIONS:
            raise ValueError(f"position must be one of {', '.join(_POSITIONS)}, got {position!r}")
        self.position = _POSITIONS[position]
        convolutions = iter(self._convolutions(channels_in, channels_out, stride))
        channels = channels_in
        steps = self.layout.replace(f"[{self.position}]", "attention").split()
        # The layers by their names: another list of modules would hold them twice.
        self.steps = [step for step in steps if not step.startswith("[")]  # the other place
        for step in self.steps:
            if step == "attention":
                attended = channels
            elif step.startswith("conv"):
                self.add_module(step, layer := next(convolutions))
                channels = layer.out_channels
            elif step.startswith("bn"):
                self.add_module(step, nn.BatchNorm2d(channels))
        self.shortcut = self._shortcut(channels_in, channels_out, stride)
        self.relu = nn.ReLU(inplace=True)
        self.attention = attention(attended)

    def _convolutions(self, channels_in: int, channels_out: int, stride: int) -> list[nn.Conv2d]:
        widths = [channels_in, *[channels_out // self.expansion] * (len(self.sizes) - 1), channels_out]
        strides = [stride if k == self.sizes.index(3) else 1 for k in range(len(self.sizes))]
        rows = zip(widths, widths[1:], self.sizes, strides, strict=False)
        return [convolution(*row, stride=step) for *row, step in rows]

    def _shortcut(self, channels_in: int, channels_out: int, stride: int) -> nn.Module | None:
        if stride == 1 and channels_in == channels_out:
            return nn.Identity()
        across = convolution(channels_in, channels_out, 1, stride=stride)
        return nn.Sequential(across, nn.BatchNorm2d(channels_out)) if self.shortcut_norm else across

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the block's output; the map is divided by the stride."""
        y = beside = x
        for number, step in enumerate(self.steps):
            if number == self.shortcut_from and not isinstance(self.shortcut, nn.Identity):
                beside = y
            y = getattr(self, step)(y)
        if self.shortcut is not None:
            y = y + self.shortcut(beside)
        return self.relu(y) if self.last_relu else y


class BasicBlock(Block):
    """Two 3x3 convolutions, each with its norm, and a relu after the addition.

    The rest is as in :class:`Block`.

    >>> import torch
    >>> block = BasicBlock(16, 32, stride=2, attention=lambda _: nn.Identity())
    >>> block(torch.zeros(1, 16, 8, 8)).shape
    torch.Size([1, 32, 4, 4])
    """

    layout = "conv1 bn1 relu conv2 [before_norm] bn2 [after_norm]"
    shortcut_norm = last_relu = True


class BottleneckBlock(Block):
    """A 1x1 convolution that narrows to a quarter, a 3x3 and a 1x1 that widens; see :class:`Block`.

    Before the norm the attention sees a quarter of ``channels_out``, a multiple of four.

    >>> from simam_edu.attention import ECA
    >>> block = BottleneckBlock(64, 64, stride=1, attention=ECA)
    >>> block.attention.channels
    16
    """

    layout = "conv1 bn1 relu conv2 [before_norm] bn2 relu conv3 bn3 [after_norm]"
    sizes = (1, 3, 1)
    expansion = 4
    shortcut_norm = last_relu = True


class PreBasicBlock(Block):
    """Two 3x3 convolutions, each after its norm and relu; see :class:`Block`.

    Both positions are one.

    >>> PreBasicBlock(16, 16, stride=1, attention=lambda _: nn.Identity()).steps
    ['bn1', 'relu', 'conv1', 'bn2', 'relu', 'conv2', 'attention']
    """

    layout = "bn1 relu conv1 bn2 relu conv2 [before_norm] [after_norm]"


class PreBottleneckBlock(Block):
    """The convolutions of :class:`BottleneckBlock`, each after its norm and relu.

    >>> from simam_edu.attention import ECA
    >>> block = PreBottleneckBlock(
    ...     64, 64, stride=1, attention=ECA, position="after_norm"
    ... )
    >>> block.attention.channels
    64
    """

    layout = "bn1 relu conv1 bn2 relu conv2 [before_norm] bn3 relu conv3 [after_norm]"
    sizes = (1, 3, 1)
    expansion = 4


class WideBlock(PreBasicBlock):
    """A :class:`PreBasicBlock` whose shortcut, where it is a convolution, reads what bn1 and relu return.

    There is no dropout, which the paper has as an option (the SimAM authors take 0.3 for WRN-28-10).

    >>> block = WideBlock(16, 32, stride=1, attention=lambda _: nn.Identity())
    >>> block.steps[: block.shortcut_from]
    ['bn1', 'relu']
    """

    shortcut_from = 2


class InvertedResidual(Block):
    """A 1x1 convolution that widens ``expansion`` times, a depthwise 3x3 and a 1x1 that narrows.

    The rest is as in :class:`Block`. At stride 2 there is no shortcut. Before the norm the
    attention sees the wide map.

    >>> from simam_edu.attention import ECA
    >>> block = InvertedResidual(16, 24, expansion=6, stride=2, attention=ECA)
    >>> block.attention.channels, block.shortcut
    (96, None)
    """

    layout = BottleneckBlock.layout
    shortcut_norm = True

    def __init__(self, channels_in: int, channels_out: int, *, expansion: int, **options: Any) -> None:
        self.wide = expansion * channels_in  # before the layers are made of it
        super().__init__(channels_in, channels_out, **options)

    def _convolutions(self, channels_in: int, channels_out: int, stride: int) -> list[nn.Conv2d]:
        return [
            convolution(channels_in, self.wide, 1),
            convolution(self.wide, self.wide, 3, stride=stride, groups=self.wide),
            convolution(self.wide, channels_out, 1),
        ]

    def _shortcut(self, channels_in: int, channels_out: int, stride: int) -> nn.Module | None:
        return super()._shortcut(channels_in, channels_out, stride) if stride == 1 else None
