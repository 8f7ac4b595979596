"""Where a network looks: the gains of its SimAM modules, Grad-CAM and occlusion, as maps over an image.

Three answers to three questions. A gain says what a module amplifies; Grad-CAM which positions of a
layer would raise the score of a class; occlusion what the score loses where the image is covered.
Each function takes any torch network, looks at it in evaluation mode, and leaves it as it was.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Integer
from torch import Tensor, nn

from simam_edu.attention import SimAM

Classes = Integer[Tensor, "n"] | int


def gains(
    network: nn.Module, *inputs: Any, kind: type[nn.Module] = SimAM
) -> dict[str, Float[Tensor, "n c *map"]]:
    """Return what each SimAM of a network multiplies its input by, by the name of the module.

    Whatever a module's options or its mask, the gain is its own, in float64 on the CPU;
    :math:`(n, c, h, w)` for images.

    Args:
        network: Any network; a module that runs twice has its second gains at ``"name, call 2"``.
        inputs: What the network is called with.
        kind: The class of the modules, for a SimAM of your own. It must take float64.

    Raises:
        ValueError: If no module of that class has run.

    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), SimAM(), nn.Conv2d(4, 2, 3))
    >>> {name: tuple(gain.shape) for name, gain in gains(network, torch.zeros(1, 3, 8, 8)).items()}
    {'1': (1, 4, 6, 6)}
    """
    found: dict[str, Tensor] = {}
    names = {module: name for name, module in network.named_modules() if isinstance(module, kind)}

    def keep(module: nn.Module, args: tuple[Any, ...], options: dict[str, Any], _: Any) -> None:
        calls = sum(key.split(", call ")[0] == names[module] for key in found)
        key = names[module] + (f", call {calls + 1}" if calls else "")
        found[key] = _gain(module, *args, **options)

    with _looking(network), torch.no_grad(), hooked(names, keep, with_kwargs=True):
        network(*inputs)
    if not found:
        raise ValueError(
            f"network must run a module of the class {kind.__name__}, got none in {type(network).__name__}; "
            "for another class of modules say kind=..."
        )
    return found


def _gain(module: nn.Module, x: Tensor, *rest: Any, **options: Any) -> Tensor:
    if isinstance(module, SimAM):  # the backend that it has may not take float64 on the CPU
        module = copy(module)
        module.backend = "auto"
    # A gain stays when its channel is moved by a constant: asked for a copy that is nowhere near zero.
    values = x.detach().to("cpu", torch.float64)
    peak = values.abs().amax(tuple(range(2, values.ndim)), keepdim=True)
    moved = values + torch.where(peak > 0, 2 * peak, 1.0)  # at least as large as the largest neuron
    others = [value.cpu() if isinstance(value, Tensor) else value for value in rest]
    options = {name: value.cpu() if isinstance(value, Tensor) else value for name, value in options.items()}
    gain: Tensor = module.forward(moved, *others, **options) / moved  # module(...) would call these hooks
    return gain


def grad_cam(
    network: nn.Module,
    layer: nn.Module,
    images: Float[Tensor, "n 3 h w"],
    classes: Classes | None = None,
) -> Float[Tensor, "n h_layer w_layer"]:
    r"""Return Grad-CAM: what a layer sees, each channel weighted by its mean gradient.

    .. math:: \operatorname{relu}\Bigl(\sum_c \frac{1}{M} \sum_i \frac{\partial s}{\partial A_{ci}} A_c\Bigr)

    with :math:`A` the output of the layer, of :math:`M` positions a channel, and :math:`s` the
    score (logit) of the class. At least 0, in units of the score.

    Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", ICCV 2017, https://arxiv.org/abs/1610.02391.

    Args:
        network: From images to logits (n, classes).
        layer: One of its modules, usually the last with a map.
        images: As the network takes them.
        classes: Whose score; by default the one that the network answers.

    Raises:
        ValueError: If the layer has not run, its output has no map or the score does not depend on
            it, the network returns no logits, or there is no such class.

    >>> layer = nn.Conv2d(3, 4, 3)
    >>> network = nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> grad_cam(network, layer, torch.zeros(1, 3, 8, 8), 2).shape
    torch.Size([1, 6, 6])
    """
    seen: list[Any] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        seen[:] = [output]
        return output.clone() if isinstance(output, Tensor) else output  # what follows may write into it

    with _looking(network), torch.enable_grad(), hooked([layer], keep):
        # An input with a gradient reaches every layer, though all parameters may be frozen. The first
        # layer may write into its input, which neither a leaf of autograd nor the caller expects.
        logits = network(images.detach().clone().requires_grad_().clone())
        score = _score(logits, _chosen(logits, classes)).sum()
    if not seen or getattr(seen[0], "ndim", 0) != 4:
        shape = tuple(getattr(seen[0], "shape", ())) if seen else "no call of it"
        raise ValueError(f"layer must return maps (n, c, h, w), got {shape}; take the last one that does")
    (gradient,) = torch.autograd.grad(score, seen[0], allow_unused=True)
    if gradient is None:
        raise ValueError("layer must be one that the score depends on; its output is not used")
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    cam: Tensor = (weights * seen[0]).sum(dim=1).relu().detach()
    return cam


def occlusion(
    network: nn.Module,
    images: Float[Tensor, "n 3 h w"],
    classes: Classes | None = None,
    *,
    size: int = 8,
    stride: int = 4,
    fill: float = 0.0,
) -> Float[Tensor, "n h w"]:
    """Return by how much the score of a class falls where the image is covered by a square.

    Each pixel has the mean over all squares that cover it; a negative one is in the class's way.

    Source: Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014,
    https://arxiv.org/abs/1311.2901, where the square is gray.

    Args:
        network: From images to logits (n, classes).
        images: As the network takes them.
        classes: Whose score (logit); by default the one that the network answers.
        size: Side of the square in pixels, at most that of the image.
        stride: From one square to the next, at most the size, so that every pixel is covered.
        fill: The value of the square; 0 is the mean color where images are normalized.

    Raises:
        ValueError: If size or stride is out of its range, or as :func:`grad_cam`.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(48, 2, bias=False))
    >>> _ = nn.init.ones_(network[1].weight)  # the score is the sum of all pixels
    >>> image = torch.zeros(1, 3, 4, 4)
    >>> image[:, :, :2] = 1.0  # the upper half is white
    >>> occlusion(network, image, 0, size=1, stride=1)[0]
    tensor([[3., 3., 3., 3.],
            [3., 3., 3., 3.],
            [0., 0., 0., 0.],
            [0., 0., 0., 0.]])
    """
    height, width = images.shape[2:]
    if not 1 <= stride <= size <= min(height, width):
        raise ValueError(
            f"size must be from 1 to {min(height, width)}, the image's shorter side, and stride from 1 to "
            f"size, got size={size} and stride={stride}; the defaults, 8 and 4, are for images of 32x32"
        )
    tops, lefts = ([*range(0, side - size, stride), side - size] for side in (height, width))
    with _looking(network), torch.no_grad():
        logits = network(images.clone())  # the first layer may write into its input
        chosen = _chosen(logits, classes)
        whole = _score(logits, chosen)
        total, covers = torch.zeros_like(images[:, 0]), images.new_zeros(height, width)
        for top in tops:
            for left in lefts:
                square = (..., slice(top, top + size), slice(left, left + size))
                covered = images.clone()
                covered[square] = fill
                total[square] += (whole - _score(network(covered), chosen))[:, None, None]
                covers[square] += 1
    return total / covers


def enlarged(maps: Float[Tensor, "n h w"], size: tuple[int, int]) -> Float[Tensor, "n h_new w_new"]:
    """Return maps at another size (rows, columns).

    Bilinear between the middles of their positions.

    >>> enlarged(torch.tensor([[[0.0, 4.0]]]), (1, 4))
    tensor([[[0., 1., 3., 4.]]])
    """
    return F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def overlay(
    image: Float[np.ndarray, "3 h w"], shown: Float[Tensor, "h_map w_map"], *, strength: float = 0.6
) -> Float[np.ndarray, "h w 3"]:
    """Return an image with a map over it in the colors of viridis, ready for imshow.

    Args:
        image: Its planes in [0, 1].
        shown: The map; its own least and largest value are the ends of the colors.
        strength: Of the map, in [0, 1]; the rest is the image.

    >>> overlay(np.zeros((3, 8, 8)), torch.eye(4), strength=0.5).shape
    (8, 8, 3)
    """
    from matplotlib import colormaps  # only who draws needs it

    over = enlarged(shown[None], image.shape[1:])[0].double().cpu().numpy()
    span = np.ptp(over)
    painted = colormaps["viridis"]((over - over.min()) / (span if span > 0 else 1.0))[..., :3]
    blended: np.ndarray = strength * painted + (1 - strength) * image.transpose(1, 2, 0)
    return blended


def _chosen(logits: Any, classes: Classes | None) -> Int64[Tensor, "n"]:
    """Return the class of each image, or refuse what is none, which on a card would end the process."""
    if getattr(logits, "ndim", 0) != 2:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"network must return logits (n, classes), got {got}; wrap it in one that does")
    number, count = logits.shape
    chosen = torch.as_tensor(logits.argmax(dim=1) if classes is None else classes, device=logits.device)
    whole = chosen.dtype != torch.bool and not chosen.is_floating_point()
    if (
        not whole
        or chosen.shape not in ((), (1,), (number,))
        or (chosen < 0).any()
        or (chosen >= count).any()
    ):
        raise ValueError(
            f"classes must be one whole number from 0 to {count - 1}, or one for each of {number} images, "
            f"got {classes}"
        )
    return chosen.long().expand(number)


def _score(logits: Tensor, chosen: Int64[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return the logit of the class of each image."""
    return logits.gather(1, chosen[:, None])[:, 0]


@contextmanager
def _looking(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each module back into the mode that it had.

    What torch.compile has made of it runs as it was written, since a compiled program calls no
    hooks; and inside torch.inference_mode there are gradients.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode(False), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def hooked(modules: Iterable[nn.Module], hook: Callable[..., Any], **options: bool) -> Iterator[None]:
    """Call a function after each of some modules, until the end of the block."""
    handles = [module.register_forward_hook(hook, **options) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
