"""What the attention modules have in common: what records them, and what they refuse."""

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

    torch.fx.symbolic_trace goes into a module and keeps what looks at the shape as one call. A tracer whose
    ``is_leaf_module`` answers True for this class takes each module whole, for feature extraction. FX
    quantization must take all but SimAM whole:
    ``PrepareCustomConfig().set_non_traceable_module_classes([SqueezeExcite])`` and so on. torch.jit.trace
    records a module in the mode, training or evaluation, and for the dtype that it is in.
    """

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuse torch.jit.script, which asks for this and cannot read how dtype and shape are asked for."""
        name = type(self).__name__
        raise ValueError(
            f"module must be one that TorchScript can read, got {name}; put "
            f"torch.jit.trace({name}(...), example) in its place and script the "
            "network around it, or take torch.export, which torch.jit made way for"
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
def check_maps(x: Tensor, channels: int | None = None, *, dims: int = 2, choice: str = "") -> None:
    """Refuse what is not a dense floating tensor of these axes and channels; an empty batch is fine.

    ``choice`` is the name of a class whose argument ``dims`` takes other numbers of map axes.
    """
    _check_tensor(x)
    if x.ndim != dims + 2:
        raise ValueError(
            f"x must have the axes {AXES[dims]}, got shape {tuple(x.shape)}; "
            + _readings(x.ndim, dims, choice)
        )
    if is_traced():  # sizes are part of what is recorded
        return
    if channels is not None and x.shape[1] != channels:
        raise ValueError(
            f"x must have {channels} channels on its second axis, got shape {tuple(x.shape)}; "
            "make the module for the channels of its input"
        )
    if not x.numel() and 0 in x.shape[1:]:
        raise ValueError(f"x must have at least one channel and one position, got shape {tuple(x.shape)}")


def checked_mask(mask: Tensor, x: Tensor) -> Tensor:
    """Return a mask of the positions of a checked batch as (n, 1, ...), or refuse it."""
    wanted = (x.shape[0], 1, *x.shape[2:])
    if not isinstance(mask, Tensor):
        raise ValueError(
            f"mask must be a torch.Tensor of torch.bool, got {type(mask).__name__}; "
            "make one with torch.as_tensor(mask, dtype=torch.bool)"
        )
    if mask.dtype != torch.bool:
        raise ValueError(
            f"mask must be of torch.bool, got {mask.dtype}; take mask > 0, True where x is valid"
        )
    sizes = zip(reversed(mask.shape), reversed(wanted), strict=False)
    # Sizes are part of what is recorded, and expand refuses the same in other words.
    if not is_traced() and (mask.ndim > len(wanted) or any(size not in (1, want) for size, want in sizes)):
        raise ValueError(
            f"mask must be broadcastable to {wanted}, got shape {tuple(mask.shape)}; "
            "one mask for all channels has the axes of x with one channel, mask[:, None]"
        )
    return mask.expand(wanted)


def _check_tensor(x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise ValueError(
            f"x must be a torch.Tensor, got {type(x).__name__}; "
            "make one with torch.as_tensor(x, dtype=torch.float32)"
        )
    if x.is_nested:
        raise ValueError(
            "x must be a dense tensor, got a nested one; call the module on each part, "
            "since zeros to fill it up would count as neurons"
        )
    kind: object = x.dtype
    if x.layout != torch.strided:
        kind, advice = x.layout, "convert it with x.to_dense()"
    elif x.is_quantized:
        advice = "convert it with x.dequantize()"
    elif x.is_complex():
        advice = "take x.abs(), or call the module on x.real and on x.imag"
    elif not x.is_floating_point():
        advice = "convert it with x.float()"
    else:
        return
    raise ValueError(f"x must be a dense floating tensor, got {kind}; {advice}")


def _readings(axes: int, dims: int, choice: str) -> str:
    """Return how a tensor of so many axes may be meant where another was asked for."""
    readings = []
    if axes == dims + 1:
        readings.append(f"a single {('sound', 'image', 'volume')[dims - 1]} is x[None]")
    if choice and axes - 2 in AXES:
        readings.append(f"a batch {AXES[axes - 2]} is for {choice}(dims={axes - 2})")
    return ", ".join(readings) or "merge or add axes with x.flatten or x[None]"


def is_traced() -> bool:
    """Return whether torch.jit.trace, or the older ONNX exporter by it, records."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def check_channels(channels: int) -> int:
    """Return the number of channels, a whole number of at least 1, or raise ValueError."""
    return check_whole("channels", channels, least=1, why="it is the second axis of the input")


def hidden_width(channels: int, reduction: int, min_hidden: int) -> int:
    r"""Return the width of a bottleneck, :math:`\max(\lfloor C / r \rfloor, h_{\min})`."""
    reduction = check_whole("reduction", reduction, least=1, why="the papers use 16")
    why = "a layer needs a unit; 1 is the papers' own C / r"
    return max(channels // reduction, check_whole("min_hidden", min_hidden, least=1, why=why))
