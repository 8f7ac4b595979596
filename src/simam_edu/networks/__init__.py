"""Networks for 32x32 images by name, with attention and its place as arguments."""

import re
from collections.abc import Callable
from functools import partial
from numbers import Integral

import torch
from torch import nn

from simam_edu._renamed import renamed
from simam_edu.attention import AttentionFactory, SimAM, attention_factory
from simam_edu.networks.blocks import (
    BasicBlock,
    Block,
    BottleneckBlock,
    InvertedResidual,
    Position,
    PreBasicBlock,
    PreBottleneckBlock,
    Slot,
    WideBlock,
)
from simam_edu.networks.resnet import FirstWeights, MobileNetV2, ResNet

__all__ = [
    "NETWORKS", "BasicBlock", "Block", "BottleneckBlock", "FirstWeights", "InvertedResidual",
    "MobileNetV2", "Position", "PreBasicBlock", "PreBottleneckBlock", "ResNet", "Slot", "WideBlock",
    "build", "find",
]  # fmt: skip

__getattr__ = renamed(
    __name__,
    {
        "PreResNet": ("ResNet(block=PreBasicBlock)", partial(ResNet, block=PreBasicBlock)),
        "WideResNet": ("ResNet(block=WideBlock)", partial(ResNet, block=WideBlock)),
    },
)

# A name, the layers that one more block a stage adds, the layers besides the blocks, the block.
_FAMILIES = (
    ("resnet{}", 6, 2, BasicBlock),
    ("resnet{}_bottleneck", 9, 2, BottleneckBlock),
    ("preresnet{}", 6, 2, PreBasicBlock),
    ("preresnet{}_bottleneck", 9, 2, PreBottleneckBlock),
    ("wrn{}_{}", 6, 4, WideBlock),
)


def find(name: str) -> Callable[..., nn.Module]:
    """Return what makes a network of ``num_classes``, ``attention``, ``position`` and ``first_weights``.

    Args:
        name: Of :data:`NETWORKS`, or another depth :math:`6n + 2` (``"resnet20"``,
            ``"preresnet20"``), :math:`9n + 2` (``"resnet110_bottleneck"``,
            ``"preresnet110_bottleneck"``), or depth :math:`6n + 4` and width (``"wrn28_10"``).

    Raises:
        ValueError: If the name is of no such form or its depth is not one of those.

    >>> find("resnet21")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: the depth of resnetD must be 6n + 2 ...; the nearest is resnet20
    """
    return NETWORKS[name] if name in NETWORKS else _of_depth(name)


def _of_depth(name: str) -> Callable[..., nn.Module]:
    for form, step, rest, block in _FAMILIES:
        match = re.fullmatch(form.replace("{}", "([1-9][0-9]{0,3})"), str(name))
        if match:
            depth, *width = map(int, match.groups())
            blocks = max(1, round((depth - rest) / step))
            if depth != step * blocks + rest:
                nearest = form.format(step * blocks + rest, *width)
                raise ValueError(
                    f"the depth of {form.format('D', 'K')} must be {step}n + {rest} with n at least 1, "
                    f"got {depth} in {name!r}; the nearest is {nearest}"
                )
            return partial(ResNet, block=block, blocks=blocks, width=width[0] if width else 1)
    forms = (form.format(f"{{{step}n+{rest}}}", "{k}") for form, step, rest, _ in _FAMILIES)
    raise ValueError(
        f"network must be one of {', '.join(NETWORKS)}, got {name!r}; "
        f"any n and k of at least 1 will do in {', '.join(forms)}"
    )


_USUAL = (
    "resnet20 resnet32 resnet56 resnet110 resnet110_bottleneck preresnet20 preresnet56 preresnet110 "
    "preresnet110_bottleneck wrn28_10"
)

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    **{name: _of_depth(name) for name in _USUAL.split()},
    "mobilenetv2": MobileNetV2,
}
"""The networks of the paper's Table 2, and a few beside them; :func:`find` takes other depths and widths."""


def build(
    name: str,
    *,
    num_classes: int,
    attention: AttentionFactory | None = None,
    position: Position | Slot | None = None,
    slot: Slot | None = None,
    first_weights: FirstWeights = "he",
) -> nn.Module:
    """Return a new network in training mode on the CPU, its weights drawn from torch's random state.

    The attention modules draw theirs from streams of their own. So all else in the network starts
    from the same weights, to the last bit, whatever the module, its position and its parameters.

    Args:
        name: A key of :data:`NETWORKS`, or another depth or width; see :func:`find`.
        num_classes: Classes to tell apart, at least 2.
        attention: From a number of channels to a module, or SimAM's class; ``None`` for no
            attention.
        position: Where in a block the module stands, by default at the SimAM authors' place,
            ``"before_norm"``; see :data:`.Position`.
        slot: The position by its first name, in place of ``position``, as records have it.
        first_weights: How the convolutions are drawn: ``"he"`` as in the residual networks' papers,
            ``"authors"`` as in the SimAM authors' repository; see :data:`.FirstWeights`.

    Raises:
        ValueError: If the name, the position or ``first_weights`` is unknown, there are fewer than
            two classes, both ``position`` and ``slot`` are given, or ``attention`` is no function,
            a module that all blocks would share, or returns none.

    >>> network = build("resnet8", num_classes=10, attention=SimAM)
    >>> sum(isinstance(module, SimAM) for module in network.modules())
    3
    >>> network(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """
    network = find(name)
    if not isinstance(num_classes, Integral) or num_classes < 2:
        raise ValueError(f"num_classes must be an integer of at least 2, got {num_classes!r}")
    if position is not None and slot is not None:
        raise ValueError(f"slot must be left out beside position={position!r}, got {slot!r}")
    given = {"position": position if slot is None else slot, "first_weights": first_weights}
    # A network of the reader's may know neither.
    options = {name: value for name, value in given.items() if value not in (None, "he")}
    factory = _apart(attention_factory("none") if attention is None else attention)
    return network(num_classes=num_classes, attention=factory, **options)


def _apart(attention: AttentionFactory) -> AttentionFactory:
    """Return the factory, checked, with what it draws taken from a stream of its own."""
    if not callable(attention) or isinstance(attention, nn.Module):
        raise ValueError(
            f"attention must be a function from channels to a module, got {attention!r}; "
            "attention_factory makes one from a name"
        )
    factory = attention_factory("simam") if attention is SimAM else attention

    def make(channels: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):  # the network is made on the CPU
            # The fork is at the numbers that the network's next layer will draw. A seed taken from
            # there starts others.
            torch.default_generator.manual_seed(int(torch.randint(2**62, (), device="cpu")))
            module = factory(channels)
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"attention must return a module, got {type(module).__name__} for {channels} channels"
            )
        return module

    return make
