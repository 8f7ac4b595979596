"""What the attention modules have in common: what records them, and what they take."""

from abc import ABC, abstractmethod
from typing import NoReturn

import torch
import torch.fx
from jaxtyping import Float
from torch import Tensor, nn

from simam_edu.arguments import check_whole

AXES = {1: "(n, c, l)", 2: "(n, c, h, w)", 3: "(n, c, d, h, w)"}
"""The axes of a batch by the number of axes of a map."""


class Attention(nn.Module):
    """What the modules are to the programs that record a network.

    A torch.fx tracer whose ``is_leaf_module`` answers True for this class takes each module
    whole, for feature extraction. FX quantization must take all but SimAM whole, by
    ``PrepareCustomConfig().set_non_traceable_module_classes([SqueezeExcite])`` and so on.
    torch.jit.trace records a module in the mode and for the dtype that it is in.

    >>> from simam_edu.attention import SqueezeExcite
    >>> class Tracer(torch.fx.Tracer):
    ...     def is_leaf_module(self, module, name):
    ...         return isinstance(module, Attention)
    >>> graph = Tracer().trace(nn.Sequential(SqueezeExcite(16)))
    >>> [node.op for node in graph.nodes]
    ['placeholder', 'call_module', 'output']
    """

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuse torch.jit.script, which cannot read how dtype and shape are asked for."""
        name = type(self).__name__
        raise ValueError(
            f"module must be one that TorchScript can read, got {name}; put torch.jit.trace("
            f"{name}(...), example) in its place and script the rest, or take torch.export"
        )


class ImageAttention(Attention, ABC):
    """A module for images, (n, c, h, w), with weights for a number of channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = check_channels(channels)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the output of the class's formula."""
        check_maps(x, self.channels)
        return self.attend(x)

    @abstractmethod
    def attend(self, x: Tensor) -> Tensor:
        """Return the output of a checked input."""


@torch.fx.wrap  # what looks at the shape stays one call in a graph
def check_maps(x: Tensor, channels: int | None = None, *, dims: int = 2) -> None:
    """Refuse what is not a dense floating tensor of these axes and channels.

    An empty batch is fine. Without ``channels`` any number will do, as for SimAM.
    """
    if not isinstance(x, Tensor):
        raise ValueError(f"x must be a torch.Tensor, got {type(x).__name__}; torch.as_tensor makes one")
    if x.is_nested or x.is_quantized or x.layout != torch.strided or not x.is_floating_point():
        kind = "a nested one" if x.is_nested else f"{x.dtype} in the layout {x.layout}"
        advice = "convert it with x.float(), x.dequantize() or x.to_dense()"
        if x.is_nested:  # zeros that fill it up would count as neurons
            advice = "call the module on each part, or fill it up and give SimAM a mask"
        elif x.is_complex():  # x.float() would drop half of it
            advice = "take x.abs(), or call the module on x.real and on x.imag"
        raise ValueError(f"x must be a dense floating tensor, got {kind}; {advice}")
    if x.ndim != dims + 2:
        single = ("sound", "image", "volume")[dims - 1]
        others = "" if channels else "; maps of other axes are for SimAM(dims=...)"
        raise ValueError(
            f"x must have the axes {AXES[dims]}, got shape {tuple(x.shape)}; "
            f"a single {single} is x[None]{others}"
        )
    if is_traced():  # sizes are part of what is recorded
        return
    if channels is not None and x.shape[1] != channels:
        raise ValueError(f"x must have {channels} channels on its second axis, got shape {tuple(x.shape)}")
    if not x.numel() and 0 in x.shape[1:]:
        raise ValueError(f"x must have at least one channel and one position, got shape {tuple(x.shape)}")


def checked_mask(mask: Tensor, x: Tensor) -> Tensor:
    """Return a mask of the positions of a checked batch as (n, 1, ...), or refuse it."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"mask must be a tensor of torch.bool, True where x is valid, got {kind}")
    wanted = (x.shape[0], 1, *x.shape[2:])
    sizes = zip(reversed(mask.shape), reversed(wanted), strict=False)
    # Sizes are part of what is recorded, and expand refuses the same in other words.
    if not is_traced() and (mask.ndim > len(wanted) or any(size not in (1, want) for size, want in sizes)):
        raise ValueError(
            f"mask must be broadcastable to {wanted}, got shape {tuple(mask.shape)}; "
            "one mask for all channels has the axes of x with one channel, mask[:, None]"
        )
    return mask.expand(wanted)


def is_traced() -> bool:
    """Return whether torch.jit.trace, or the older ONNX exporter by it, records."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def check_channels(channels: int) -> int:
    """Return the number of channels, or raise ValueError."""
    return check_whole("channels", channels, least=1, why="it is the second axis of the input")


def hidden_width(channels: int, reduction: int, min_hidden: int) -> int:
    r"""Return the width of a bottleneck, :math:`\max(\lfloor C / r \rfloor, h_{\min})`."""
    reduction = check_whole("reduction", reduction, least=1, why="the papers use 16")
    why = "a layer needs a unit; 1 is the papers' own C / r"
    return max(channels // reduction, check_whole("min_hidden", min_hidden, least=1, why=why))
