"""Networks for 32x32 images by name, with attention and its place as arguments."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from inspect import Parameter
from numbers import Integral
from typing import Any

import torch
from torch import nn

from simam_edu._renamed import renamed
from simam_edu.attention import AttentionFactory, SimAM, attention_factory
from simam_edu.networks.blocks import (
    FIRST_NAMES,
    BasicBlock,
    BottleneckBlock,
    InvertedResidual,
    Position,
    PreBasicBlock,
    PreBottleneckBlock,
    Slot,
    WideBlock,
    checked_position,
)
from simam_edu.networks.first_weights import FirstWeights, checked_first_weights
from simam_edu.networks.resnet import MobileNetV2, ResNet

__all__ = [
    "NETWORKS", "BasicBlock", "BottleneckBlock", "FirstWeights", "InvertedResidual", "MobileNetV2",
    "Position", "PreBasicBlock", "PreBottleneckBlock", "ResNet", "Slot", "WideBlock", "build", "find",
]  # fmt: skip

__getattr__ = renamed(
    __name__,
    {
        "PreResNet": ("ResNet(block=PreBasicBlock)", partial(ResNet, block=PreBasicBlock)),
        "WideResNet": ("ResNet(block=WideBlock)", partial(ResNet, block=WideBlock)),
    },
)

# The form of a name, the layers that one more block a stage adds, the layers besides the blocks, the network.
_FAMILIES: tuple[tuple[str, int, int, Callable[..., nn.Module]], ...] = (
    ("resnet{}", 6, 2, partial(ResNet, block=BasicBlock)),
    ("resnet{}_bottleneck", 9, 2, partial(ResNet, block=BottleneckBlock)),
    ("preresnet{}", 6, 2, partial(ResNet, block=PreBasicBlock)),
    ("preresnet{}_bottleneck", 9, 2, partial(ResNet, block=PreBottleneckBlock)),
    ("wrn{}_{}", 6, 4, partial(ResNet, block=WideBlock)),
)


def find(name: str) -> Callable[..., nn.Module]:
    """Return what makes a network of ``num_classes``, ``attention``, ``position`` and ``first_weights``.

    Args:
        name: Of :data:`NETWORKS`, or another depth :math:`6n + 2` (``"resnet20"``, ``"preresnet20"``),
            :math:`9n + 2` (``"resnet110_bottleneck"``, ``"preresnet110_bottleneck"``), or depth
            :math:`6n + 4` and width (``"wrn28_10"``).

    Raises:
        ValueError: If the name is of no such form or its depth is not one of those.
    """
    return NETWORKS[name] if name in NETWORKS else _of_depth(name)


def _of_depth(name: str) -> Callable[..., nn.Module]:
    for form, step, rest, network in _FAMILIES:
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
            return partial(network, blocks=blocks, **({"width": width[0]} if width else {}))
    forms = (form.format(f"{{{step}n+{rest}}}", "{k}") for form, step, rest, _ in _FAMILIES)
    raise ValueError(
        f"network must be one of {', '.join(NETWORKS)}, got {name!r}; "
        f"any n and k of at least 1 will do in {', '.join(forms)}"
    )


_USUAL = "resnet20 resnet32 resnet56 resnet110 resnet110_bottleneck preresnet20 preresnet56 preresnet110"

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    **{name: _of_depth(name) for name in (*_USUAL.split(), "preresnet110_bottleneck", "wrn28_10")},
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

    The attention modules draw theirs from streams of their own. So all else in the network starts from the
    same weights, to the last bit, whatever the module, its position and its parameters.

    Args:
        name: A key of :data:`NETWORKS`, or another depth or width; see :func:`find`.
        num_classes: Classes to tell apart, at least 2.
        attention: From a number of channels to a module, or SimAM's class; ``None`` for no attention.
        position: Where in a block the module stands, by default at the SimAM authors' place,
            ``"before_norm"``; see :data:`.Position`.
        slot: The position by its first name, in place of ``position``, as records have it.
        first_weights: How the convolutions are drawn: ``"he"`` as in the residual networks' papers and in all
            recorded runs, ``"authors"`` as in the SimAM authors' repository; see :data:`FirstWeights`.

    Raises:
        ValueError: If the name, the position or ``first_weights`` is unknown, there are fewer than two
            classes, or ``attention`` is no function, a module that all blocks would share, or returns none.
    """
    network = find(name)
    if not isinstance(num_classes, Integral) or num_classes < 2:
        raise ValueError(f"num_classes must be an integer of at least 2, got {num_classes!r}")
    options: dict[str, Any] = {"position": checked_position(position, slot)}
    # A network of the reader's may know neither the new name of the position nor first_weights.
    if "position" not in inspect.signature(network).parameters:
        first = {place: name for name, place in FIRST_NAMES.items()}
        options = {"slot": first[options["position"]]}
    if checked_first_weights(first_weights) != "he":
        options["first_weights"] = first_weights
    factory = _apart(attention_factory("none") if attention is None else attention)
    return network(num_classes=num_classes, attention=factory, **options)


def _apart(attention: AttentionFactory) -> AttentionFactory:
    """Return the factory, checked, with what it draws taken from a stream of its own."""
    if not callable(attention) or isinstance(attention, nn.Module):
        raise ValueError(
            f"attention must be a function from channels to a module, got {attention!r}; "
            "attention_factory makes one from a name"
        )
    # SimAM's class, and a subclass of it that asks for no channels, are called without any.
    asks = True
    if isinstance(attention, type) and issubclass(attention, SimAM):
        kinds = {value.kind for value in inspect.signature(attention).parameters.values()}
        asks = bool(kinds & {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD})

    def make(channels: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):  # the network is made on the CPU
            # The fork is at the numbers that the network's next layer will draw. A seed taken from there
            # starts others.
            torch.default_generator.manual_seed(int(torch.randint(2**62, (), device="cpu")))
            module = attention(channels) if asks else attention()  # type: ignore[call-arg]
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"attention must return a module, got {type(module).__name__} for {channels} channels"
            )
        return module

    return make
