"""The weights that a network has before training."""

from typing import Literal, get_args

from torch import nn

FirstWeights = Literal["he", "authors"]
r"""How the weights are drawn before training.

``"he"`` draws every convolution with He initialization by the fan-out (:func:`initialize`).
``"authors"`` draws as the SimAM authors' repository does for 32x32 images: ResNet, PreResNet and
MobileNetV2 keep what torch gives a new convolution, uniform in :math:`\pm 1/\sqrt{k^2 c}` with
:math:`c` the input channels that each output channel sees, so of deviation :math:`1/\sqrt{3 k^2 c}`;
wide networks have He initialization and a last layer whose bias starts at zero.

A convolution of as many channels in as out starts :math:`\sqrt{6}` times larger with ``"he"``, its map
has six times the variance, and the same :math:`\lambda` weighs six times less against it. Source: the
repository ZjjConan/SimAM, ``networks/cifar``, last commit of October 2022.
"""


def checked_first_weights(first_weights: FirstWeights) -> FirstWeights:
    """Return the name, or raise a ValueError if it is not one of :data:`FirstWeights`."""
    known = get_args(FirstWeights)
    if first_weights not in known:
        raise ValueError(f"first_weights must be one of {', '.join(known)}, got {first_weights!r}")
    return first_weights


def initialize(module: nn.Module) -> None:
    r"""Draw the weights of every convolution anew, but for those of the attention modules.

    Normal with deviation :math:`\sqrt{2 / (k^2 c)}`, where :math:`k` is the side of the filter and :math:`c`
    how many output channels each input channel reaches. An attention module keeps what it made for itself:
    global context, for one, starts with zeros that are meant.

    Source: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015, section 2.2.
    """
    for name, child in module.named_children():
        if name != "attention":
            initialize(child)
    if isinstance(module, nn.Conv2d):
        fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=2.0**0.5 / fan_out**0.5)
