"""What the attention modules ask of their arguments and inputs."""

from torch import Tensor


def check_maps(x: Tensor, channels: int | None = None, *, spatial: tuple[int, ...] = (2,)) -> None:
    """Refuse what is not a batch of feature maps.

    Args:
        x: The input of a module.
        channels: As many as the module was made for; None where any number will do.
        spatial: How many axes a map may have; two in an image.

    Raises:
        ValueError: If ``x`` is not a floating tensor with batch, channel and map axes, or has other channels,
            or empty maps. An empty batch is fine.
    """
    if x.ndim - 2 not in spatial:
        axes = {1: "(n, c, l)", 2: "(n, c, h, w)", 3: "(n, c, d, h, w)"}
        raise ValueError(
            f"x must have the axes {' or '.join(axes[k] for k in spatial)}, got shape {tuple(x.shape)}; "
            "add the missing axes with x.reshape or x[None]"
        )
    if not x.is_floating_point():
        raise ValueError(f"x must be a floating tensor, got {x.dtype}; convert it with x.float()")
    if channels is not None and x.shape[1] != channels:
        raise ValueError(
            f"x must have {channels} channels on its second axis, got shape {tuple(x.shape)}; "
            "make the module for the channels of its input"
        )
    if not x.numel() and 0 in x.shape[1:]:
        raise ValueError(f"x must have at least one channel and one position, got shape {tuple(x.shape)}")


def check_whole(name: str, value: int, *, least: int, why: str) -> None:
    """Refuse a value that is not a whole number of at least ``least``; ``why`` ends the message."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}; {why}")


def hidden_width(channels: int, *, reduction: int, min_hidden: int) -> int:
    r"""Return the width of a bottleneck, :math:`\max(\lfloor C / r \rfloor, h_{\min})`.

    Args:
        channels: Channels :math:`C` of the input, at least 1.
        reduction: By how much they are divided, the papers' :math:`r`, at least 1.
        min_hidden: The least width :math:`h_{\min}`, at least 1.

    Raises:
        ValueError: If one of them is not a whole number of at least 1.
    """
    check_whole("channels", channels, least=1, why="it is the second axis of the input")
    check_whole("reduction", reduction, least=1, why="the papers use 16")
    check_whole("min_hidden", min_hidden, least=1, why="a layer needs a unit; 1 is the papers' own C / r")
    return max(channels // reduction, min_hidden)
