"""The attention modules by name, and the one type a network asks for.

A network takes an :data:`AttentionFactory`, never a name, so that
``lambda channels: MyGate(channels)`` is as good as anything registered here.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from simam_edu.attention.cbam import CBAM
from simam_edu.attention.checks import Attention
from simam_edu.attention.controls import CONTROLS
from simam_edu.attention.eca import ECA, eca_kernel
from simam_edu.attention.global_context import GlobalContext
from simam_edu.attention.simam import SimAM
from simam_edu.attention.squeeze_excite import SqueezeExcite

__all__ = [
    "ATTENTION", "CBAM", "CONTROLS", "ECA", "Attention", "AttentionFactory", "GlobalContext", "SimAM",
    "SqueezeExcite", "attention_factory", "eca_kernel",
]  # fmt: skip

AttentionFactory = Callable[[int], nn.Module]
"""Makes one attention module for a given number of channels."""

ATTENTION: dict[str, Callable[..., nn.Module]] = {
    "none": lambda _channels: nn.Identity(),
    "simam": lambda _channels, **options: SimAM(**options),
    "se": SqueezeExcite,
    "cbam": CBAM,
    "eca": ECA,
    "gc": GlobalContext,
    **CONTROLS,
}
"""Every attention module and control of SimAM by its name; each takes the channels and its options."""


def attention_factory(name: str, **options: Any) -> AttentionFactory:
    """Return the factory of the attention module that is registered under a name, with its options.

    Raises:
        ValueError: If :data:`ATTENTION` has no such name, or an option is not one of the module's
            or has a bad value.

    >>> attention_factory("simam", lam=0.1)(64)
    SimAM(lam=0.1)
    """
    if name not in ATTENTION:
        raise ValueError(f"attention must be one of {', '.join(sorted(ATTENTION))}, got {name!r}")
    factory = partial(ATTENTION[name], **options)
    try:
        # A bad option is reported here, not in the middle of a network. The meta device draws no
        # random numbers, so the weights of a network do not depend on when its factory was made.
        with torch.device("meta"):
            factory(1)
    except TypeError as error:
        raise ValueError(f"attention {name!r} does not take these options: {options}; {error}") from error
    return factory
