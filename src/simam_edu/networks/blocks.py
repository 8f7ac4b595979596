r"""The blocks of the networks, each a line that reads from left to right, with one attention module.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (basic, bottleneck),
https://arxiv.org/abs/1512.03385, and "Identity Mappings in Deep Residual Networks", ECCV 2016 (their
pre-activation forms), https://arxiv.org/abs/1603.05027; Zagoruyko, Komodakis, "Wide Residual Networks",
BMVC 2016, https://arxiv.org/abs/1605.07146; Sandler et al., "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", CVPR 2018, https://arxiv.org/abs/1801.04381.

Where they differ, as the SimAM authors have it: a shortcut across a change of shape is a 1x1
convolution, with a batch norm in the blocks that end with one (option B, not the padded identity of
option A); a bottleneck has its stride in the 3x3 convolution; and an inverted residual of stride 1
that changes the width has a shortcut.
"""

from typing import Any, ClassVar, Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from simam_edu.attention import AttentionFactory

Slot = Literal["pre_norm", "post_norm"]
"""Where in a block the module stands, in the SimAM authors' place or in the one that they gave its rivals.

``"pre_norm"`` is right after the last 3x3 convolution, before the batch norm behind it where there
is one: where the SimAM authors put SimAM. ``"post_norm"`` is at the end of the branch, before the
addition: where they put SE and CBAM. The ``layout`` of each block shows both, and the channels that
the module sees there are those of the convolution before it. In :class:`PreBasicBlock` and
:class:`WideBlock` nothing but the addition follows the second convolution, so the two are one place.
Source: the repository ZjjConan/SimAM, last commit of October 2022.
"""


def checked_slot(slot: Slot) -> Slot:
    """Return the slot, or raise a ValueError if it is not one of :data:`.Slot`."""
    if slot not in get_args(Slot):
        raise ValueError(f"slot must be one of {', '.join(get_args(Slot))}, got {slot!r}")
    return slot


def convolution(
    channels_in: int, channels_out: int, size: int, *, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Return a square convolution of odd ``size`` that keeps the side of the map at stride 1.

    It has no bias, because a batch norm takes a constant out again.
    """
    return nn.Conv2d(
        channels_in, channels_out, size, stride=stride, padding=size // 2, groups=groups, bias=False
    )


class Block(nn.Module):
    r"""A branch of convolutions, norms and one attention module, beside a shortcut.

    .. math:: y = F(x) + S(x)

    :math:`F` are the steps of ``layout`` from left to right, with the attention at one of the two places in
    brackets. :math:`S` is the identity or, where the shape changes, a 1x1 convolution. The input is
    (n, channels_in, h, w), the output (n, channels_out, h / stride, w / stride).

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: 1, or 2 to halve the map.
        attention: Makes the attention module from the number of channels at its place.
        slot: Which place; see :data:`Slot`.

    Raises:
        ValueError: If the slot is unknown.
    """

    layout: ClassVar[str]
    expansion: ClassVar[int] = 1  # how many times wider the output is than the 3x3 convolution
    shortcut_norm: ClassVar[bool] = False  # whether a norm follows the 1x1 convolution of the shortcut
    last_relu: ClassVar[bool] = False  # whether a relu follows the addition

    def __init__(
        self, channels_in: int, channels_out: int, *, stride: int, attention: AttentionFactory, slot: Slot
    ) -> None:
        super().__init__()
        self.slot = checked_slot(slot)
        convolutions = iter(self._convolutions(channels_in, channels_out, stride))
        channels = channels_in
        self.steps: list[str] = []  # the layers by their names: another list of modules would hold them twice
        for step in self.layout.split():
            if step.startswith("conv"):
                self.add_module(step, layer := next(convolutions))
                channels = layer.out_channels
            elif step.startswith("bn"):
                self.add_module(step, nn.BatchNorm2d(channels))
            elif step == f"[{slot}]":
                attended = channels
                step = "attention"
            elif step.startswith("["):  # the other place
                continue
            self.steps.append(step)
        self.shortcut = self._shortcut(channels_in, channels_out, stride)
        self.relu = nn.ReLU(inplace=True)
        self.attention = attention(attended)

    def _convolutions(self, channels_in: int, channels_out: int, stride: int) -> list[nn.Conv2d]:
        """Return the convolutions of the branch in turn: here two of size 3, the first with the stride."""
        return [
            convolution(channels_in, channels_out, 3, stride=stride),
            convolution(channels_out, channels_out, 3),
        ]

    def _shortcut(self, channels_in: int, channels_out: int, stride: int) -> nn.Module | None:
        if stride == 1 and channels_in == channels_out:
            return nn.Identity()
        across = convolution(channels_in, channels_out, 1, stride=stride)
        return nn.Sequential(across, nn.BatchNorm2d(channels_out)) if self.shortcut_norm else across

    def branch(self, x: Tensor, *, first: int = 0) -> Tensor:
        """Return what the steps of the layout make of ``x``, from the one numbered ``first`` on."""
        for step in self.steps[first:]:
            x = getattr(self, step)(x)
        return x

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the block's output; the map is divided by the stride."""
        y = self.branch(x)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return self.relu(y) if self.last_relu else y


class BasicBlock(Block):
    """Two 3x3 convolutions, each with its norm, and a relu after the addition; see :class:`Block`."""

    layout = "conv1 bn1 relu conv2 [pre_norm] bn2 [post_norm]"
    shortcut_norm = True
    last_relu = True


class BottleneckBlock(Block):
    """A 1x1 convolution that narrows to a quarter, a 3x3 and a 1x1 that widens again; see :class:`Block`.

    At ``"pre_norm"`` the attention sees a quarter of ``channels_out``, which must be a multiple of four.
    """

    layout = "conv1 bn1 relu conv2 [pre_norm] bn2 relu conv3 bn3 [post_norm]"
    expansion = 4
    shortcut_norm = True
    last_relu = True

    def _convolutions(self, channels_in: int, channels_out: int, stride: int) -> list[nn.Conv2d]:
        if channels_out % self.expansion:
            raise ValueError(f"channels_out must be a multiple of {self.expansion}, got {channels_out!r}")
        narrow = channels_out // self.expansion
        return [
            convolution(channels_in, narrow, 1),
            convolution(narrow, narrow, 3, stride=stride),
            convolution(narrow, channels_out, 1),
        ]


class PreBasicBlock(Block):
    """Two 3x3 convolutions, each after its norm and relu; see :class:`Block`. Both slots are one place."""

    layout = "bn1 relu conv1 bn2 relu conv2 [pre_norm] [post_norm]"


class PreBottleneckBlock(BottleneckBlock):
    """The convolutions of :class:`BottleneckBlock`, each after its norm and relu; see :class:`Block`."""

    layout = "bn1 relu conv1 bn2 relu conv2 [pre_norm] bn3 relu conv3 [post_norm]"
    shortcut_norm = False
    last_relu = False


class WideBlock(PreBasicBlock):
    """A :class:`PreBasicBlock` whose shortcut, where it is a convolution, reads what bn1 and relu return.

    There is no dropout, which the paper has as an option (the SimAM authors take 0.3 for WRN-28-10).
    """

    bn1: nn.BatchNorm2d

    def _shortcut(self, channels_in: int, channels_out: int, stride: int) -> nn.Module | None:
        made = super()._shortcut(channels_in, channels_out, stride)
        return None if isinstance(made, nn.Identity) else made

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the block's output; the map is divided by the stride."""
        active = self.relu(self.bn1(x))
        y = self.branch(active, first=2)
        return y + (x if self.shortcut is None else self.shortcut(active))


class InvertedResidual(Block):
    """A 1x1 convolution that widens ``expansion`` times, a depthwise 3x3 and a 1x1 that narrows.

    The rest is as in :class:`Block`. At stride 2 there is no shortcut. At ``"pre_norm"`` the attention sees
    the wide map.
    """

    layout = "conv1 bn1 relu conv2 [pre_norm] bn2 relu conv3 bn3 [post_norm]"
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
