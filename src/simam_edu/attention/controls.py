r"""Controls of SimAM: the same gains, given to the wrong neurons.

What makes SimAM work? A control takes one property away and keeps the rest. Each multiplies the map
by gains that are made of SimAM's own, :math:`g = \operatorname{sigmoid}(1/2 + d^2 / (4 (\sigma^2 +
\lambda)))` with :math:`d = x - \mu`, Eqs. (5) and (6), and moves them instead of scaling them: a
batch norm behind the module, as in the authors' place, takes a common factor back. There is no
source; the grid ``ablation`` of :mod:`simam_edu.experiments` trains them.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from simam_edu.arguments import check_lam
from simam_edu.attention.checks import Attention, check_channels, check_maps, is_traced
from simam_edu.kernels.options import accumulation_dtype

AXES = (-2, -1)
FLOOR = 0.5
"""The least importance, of a neuron that equals its channel's mean."""


class Control(Attention, ABC):
    r"""Multiply every neuron by a gain that is made of SimAM's gains.

    The input is (n, c, h, w), and the statistics are computed in float32 at least: the controls are
    for training, not for use.

    Args:
        channels: Of the input; not used, but every attention module is made for a number of them.
        lam: The regularization coefficient :math:`\lambda \ge 0`, by default 1e-4 as in SimAM.

    Raises:
        ValueError: If ``channels`` or ``lam`` is out of its range; when called, if the input is not
            a dense floating tensor of four axes with maps of two positions or more, or
            torch.jit.trace records.
    """

    def __init__(self, channels: int, *, lam: float = 1e-4) -> None:
        super().__init__()
        self.channels, self.lam = check_channels(channels), check_lam(lam)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return ``x`` times the gain of the control."""
        check_maps(x)
        if is_traced():  # a recorded draw would be the same for ever
            name = type(self).__name__
            raise ValueError(
                f"module must not be a control to be recorded, got {name}; record SimAM() instead"
            )
        positions = x.shape[2] * x.shape[3]
        if positions < 2:
            raise ValueError(f"x must have maps of at least two positions, got shape {tuple(x.shape)}")
        values = x.to(accumulation_dtype(x.dtype))
        deviation = values - values.mean(AXES, keepdim=True)
        variance = deviation.square().sum(AXES, keepdim=True) / (positions - 1)
        importance = deviation.square() / (4.0 * (variance + self.lam)) + FLOOR
        return (values * self._moved(importance.sigmoid(), deviation)).to(x.dtype)

    @abstractmethod
    def _moved(self, gain: Tensor, deviation: Tensor) -> Tensor:
        """Return the gains of the control from those of SimAM and the deviations from the mean."""


class Shuffled(Control):
    """The place of a gain: each channel's gains are permuted over its positions.

    In training, every call draws new permutations, one for each channel, the same for all images;
    in evaluation they are always those of the first call. What they are drawn from is part of the
    state: where the module began, by torch's random state, and how many calls there were. So an
    interrupted run draws the same ones when it goes on.
    """

    start: Tensor
    calls: Tensor

    def __init__(self, channels: int, *, lam: float = 1e-4) -> None:
        super().__init__(channels, lam=lam)
        self.register_buffer("start", torch.randint(2**31, ()))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def _moved(self, gain: Tensor, _deviation: Tensor) -> Tensor:
        flat = gain.flatten(2)  # (n, c, h * w)
        channels, positions = flat.shape[1:]
        place = torch.arange(channels * positions, device=gain.device).reshape(channels, positions)
        # Hashed on the device, as no generator of the host can be in a recorded step.
        order = _mixed(place ^ _mixed(self.start + self.calls * self.training)).argsort(dim=1)
        self.calls += self.training
        return flat.gather(2, order.expand_as(flat)).reshape(gain.shape)


class OtherImage(Control):
    """The owner of a gain: each image is given those of the one before it in the batch.

    The first is given those of the last. In a batch of one image it is SimAM.
    """

    def _moved(self, gain: Tensor, _deviation: Tensor) -> Tensor:
        return gain.roll(1, dims=0)


class Reversed(Control):
    r"""The direction: the nearer a neuron is to its channel's mean, the higher its gain.

    The gains are mirrored at their own mean, :math:`2 \bar g - g`, so that each channel keeps the
    mean and the variance of its gains. They lie in (0.24, 1).
    """

    def _moved(self, gain: Tensor, _deviation: Tensor) -> Tensor:
        return 2.0 * gain.mean(AXES, keepdim=True) - gain


class OneSided(Control):
    """The sign: only neurons above their channel's mean are raised, all others have the least gain."""

    def _moved(self, gain: Tensor, deviation: Tensor) -> Tensor:
        return torch.where(deviation > 0, gain, torch.sigmoid(gain.new_tensor(FLOOR)))


def _mixed(x: Tensor) -> Tensor:
    """Return a hash in [0, 2^32) of whole numbers in that range, without two alike.

    Source of the constants: C. Wellons, hash-prospector, https://github.com/skeeto/hash-prospector.
    """
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        x = ((x ^ (x >> shift)) * factor) & 0xFFFFFFFF
    return x ^ (x >> 15)


CONTROLS: dict[str, type[Control]] = {
    "shuffled": Shuffled,
    "other_image": OtherImage,
    "reversed": Reversed,
    "one_sided": OneSided,
}
"""Every control by its name, and what it takes away: place, owner, direction, sign."""
