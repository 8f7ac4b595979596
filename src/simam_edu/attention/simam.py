r"""SimAM: attention from an energy, without parameters.

Yang, Zhang, Li, Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
Networks", ICML 2021, https://proceedings.mlr.press/v139/yang21o.html

Where this differs from the authors' code: statistics are computed in float32 at least and in a way that no
finite input overflows, maps of one position raise instead of giving NaN, ``lam`` is checked, the backward
pass saves one map instead of four, and the variance may be that of Eq. (5) or exact.
"""

import math
import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any, Literal, Never, get_args

import torch.fx
from jaxtyping import Bool, Float
from torch import Tensor

from simam_edu import kernels
from simam_edu.arguments import check_lam
from simam_edu.attention.checks import AXES, Attention, check_maps, checked_mask, is_traced
from simam_edu.kernels import Backend, Statistics

OnePosition = Literal["refuse", "half"]
"""What to do with maps of one position."""

DEFAULTS = {"dims": 2, "statistics": "shared", "one_position": "refuse", "backend": "auto"}
CHOICES: dict[str, tuple[Any, ...]] = {
    "dims": tuple(AXES),
    "statistics": get_args(Statistics),
    "one_position": get_args(OnePosition),
    "backend": kernels.BACKENDS,
}
"""The values that each option may take."""

RENAMED = {"correction": "statistics", "path": "backend"}
"""What the options of earlier versions are called now; their attributes would be set without an effect."""


class SimAM(Attention):
    r"""Multiply every neuron by the sigmoid of its importance, Eqs. (5) and (6).

    .. math::

        y = x \odot \operatorname{sigmoid}\!\Bigl(\frac12 + \frac{(x - \mu)^2}{4 (\sigma^2 + \lambda)}\Bigr)

    with :math:`\mu` and :math:`\sigma^2` the mean and the :math:`1/(M-1)` variance of each channel of
    each image over its :math:`M` positions. The input is (n, c, h, w) in a floating dtype, or with another
    number of map axes where ``dims`` says so; the output has its shape, dtype and memory format. Every gain
    (attention weight) lies in [0.6225, 1]. Statistics are computed in float32 at least, for any finite
    magnitude, inside autocast as outside.

    A call with a mask, ``module(x, mask)``, takes the statistics over its valid positions only and returns
    the others unchanged, as for letterboxes and padded utterances. The mask is boolean, True where ``x`` is
    valid, and broadcastable to (n, 1, h, w). Where the valid part is a rectangle this equals cropping it.
    What stands outside must be finite: nan or infinity spoils its channel, as it does without a mask. An
    image without a valid position comes back unchanged; one with a single one has the gain sigmoid(1/2)
    there. Masked calls are computed, and recorded, in the form of the reference backend.

    A program recorded by torch.export, torch.jit.trace or an ONNX exporter holds the formula in the form of
    :mod:`simam_edu.kernels.exported`, which is right where a runtime computes in float16 too, and not the
    checks: where its sizes are dynamic, a map of one position gets the gain sigmoid(1/2), whatever
    ``one_position`` says. torch.fx takes the whole of SimAM as one call, checks and all.

    Args:
        lam: The regularization coefficient :math:`\lambda \ge 0`, in units of the input squared. The
            default 1e-4 is the paper's choice for CIFAR; it took 0.1 for ImageNet. It goes by name: SimAM has
            no channels, and their number taken for :math:`\lambda` would turn the module off. It is no
            tensor: SimAM has nothing to learn.
        dims: How many axes a map has: 2, the default, takes (n, c, h, w) and nothing else; 1 takes
            (n, c, l), as of sounds, and 3 takes (n, c, d, h, w). The shape alone does not say: (c, h, w)
            could be one image or a batch of sounds.
        statistics: ``"shared"``, the default and the authors' code, compares every neuron with the mean and
            variance of its channel; ``"population"`` divides that variance by :math:`M`, as Eq. (5) is
            printed; ``"leave_one_out"`` takes the mean and variance of the other neurons, as the energy is
            defined, at the same cost.
        one_position: What to do with maps of one position, where a neuron has no others: ``"refuse"``, the
            default, since it is nearly always a mistake, or ``"half"``, which gives the gain
            sigmoid(1/2), the limit for a neuron that equals its mean.
        backend: What computes it; ``"auto"``, the default, takes the fastest that is ready.
            :func:`simam_edu.kernels.backend_for` says which that is.

    Raises:
        ValueError: If an argument has no name or is out of its range; when called, if the input is not a
            dense floating tensor of ``dims + 2`` axes, its map has a single position, the backend cannot take
            it, or the mask is not boolean or not broadcastable.
        TypeError: If there is no argument of that name.

    ``correction=1`` and ``correction=0`` are deprecated names of the statistics ``"shared"`` and
    ``"population"``, and ``path`` of ``backend``.

    >>> SimAM()(torch.zeros(1, 2, 4, 4)).shape
    torch.Size([1, 2, 4, 4])
    """

    dims: int
    statistics: Statistics
    one_position: OnePosition
    backend: Backend

    def __init__(
        self,
        *refused: Never,
        lam: float = 1e-4,
        dims: int = 2,
        statistics: Statistics = "shared",
        one_position: OnePosition = "refuse",
        backend: Backend = "auto",
        **unknown: Never,
    ) -> None:
        super().__init__()
        self.lam = lam
        _refuse_positional(refused, self.lam)
        options = {"dims": dims, "statistics": statistics, "one_position": one_position, "backend": backend}
        options |= _renamed(unknown, statistics)
        if unknown:
            raise TypeError(
                f"SimAM has no argument {', '.join(unknown)}; it has lam (the authors' e_lambda), "
                "dims, statistics, one_position and backend"
            )
        for name, known in CHOICES.items():
            value = options[name]
            # 2.0, True and a tensor of 2 equal what is known, and are none of it.
            if not _is_word_or_whole(value) or value not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, got {value!r}")
            setattr(self, name, value)
        self.dims = int(dims)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; ``lam`` is checked whenever it changes, and an old name is refused."""
        if name in RENAMED:
            raise AttributeError(f"SimAM has no {name} to be set; it is now {RENAMED[name]}")
        set_value: Callable[[str, Any], None] = super().__setattr__
        set_value(name, _number(value) if name == "lam" else value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a copy or pickle, of an earlier version too, with ``lam`` checked anew.

        One from before there was ``dims`` has maps of two axes. If it served others, its first call says so
        and names the ``dims`` that it needs.
        """
        state = DEFAULTS | state | {"lam": _number(state["lam"])}
        if state.pop("correction", 1) == 0:
            state["statistics"] = "population"
        if "path" in state:
            state["backend"] = _backend(state.pop("path"))
        super().__setstate__(state)  # type: ignore[no-untyped-call]

    def extra_repr(self) -> str:
        """Show ``lam``, and what differs from the defaults, where torch prints the module."""
        options = ((name, getattr(self, name), usual) for name, usual in DEFAULTS.items())
        shown = [f"{name}={value}" for name, value, usual in options if value != usual]
        return ", ".join([f"lam={self.lam:g}", *shown])

    def forward(
        self, x: Float[Tensor, "n c *map"], mask: Bool[Tensor, "..."] | None = None
    ) -> Float[Tensor, "n c *map"]:
        """Return ``x`` times its gain; see the class for the formula, the mask and the errors."""
        return weigh(x, self.lam, self.dims, self.statistics, self.one_position, self.backend, mask)


@torch.fx.wrap
def weigh(
    x: Float[Tensor, "n c *map"],
    lam: float,
    dims: int,
    statistics: Statistics,
    one_position: OnePosition,
    backend: Backend,
    mask: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, "n c *map"]:
    """Return SimAM of a batch: the one call that torch.fx sees in :class:`SimAM`, whose options these are."""
    # On a small map the checks take longer than the kernel, which has its own of all but the number of axes.
    fast = mask is None and backend in ("auto", "native")
    if fast and isinstance(x, Tensor) and x.ndim == dims + 2 and not x.is_nested:
        y = kernels.simam_native(x, lam, statistics)
        if y is not None:
            return y
    check_maps(x, dims=dims, choice="SimAM")
    if mask is not None:
        mask = checked_mask(mask, x)
    # dims again, but known to torch.compile, for which a number of the module may change.
    options = kernels.Options(lam, statistics, x.ndim - 2)
    if is_traced() or options.positions(x) != 1:
        return kernels.simam(x, options, backend, mask)
    if one_position == "half" and mask is not None:
        return kernels.simam(x, options, "reference", mask)
    if one_position == "half":
        return x * (1.0 / (1.0 + math.exp(-0.5)))
    raise ValueError(
        f"x must have maps of at least two positions, got shape {tuple(x.shape)}; one neuron has no "
        "others to be compared with: put SimAM before the global pooling, or choose one_position='half'"
    )


def _is_word_or_whole(value: object) -> bool:
    return isinstance(value, str | Integral) and not isinstance(value, bool)


def _number(lam: Any) -> float:
    if isinstance(lam, Tensor):
        raise ValueError(
            f"lam must be a number of Python or numpy, got a {type(lam).__name__}; SimAM has "
            "no parameters and its kernels no gradient for lambda: use lam=float(value)"
        )
    return check_lam(lam)


def _refuse_positional(refused: tuple[Any, ...], lam: float) -> None:
    if refused:
        shown = ", ".join(map(repr, refused))
        raise ValueError(
            f"lam must be given by name, got SimAM({shown}); SimAM() has no channels and "
            "serves any number of them, lambda is SimAM(lam=...), and where a function of "
            f'the channels is asked for it is attention_factory("simam", lam={lam:g})'
        )


# The names of the first edition, kept for one version.


def _renamed(old: dict[str, Any], statistics: Any) -> dict[str, Any]:
    """Take the old names out of the arguments, and return what they are called now."""
    now: dict[str, Any] = {}
    if "correction" in old:
        now["correction"] = _statistics(old.pop("correction"), statistics)
    if "path" in old:
        now["path"] = _backend(old.pop("path"))
    for name, value in now.items():
        words = f"SimAM({name}=...) will go with the next version; it is now {RENAMED[name]}={value!r}"
        warnings.warn(words, DeprecationWarning, stacklevel=3)
    return {RENAMED[name]: value for name, value in now.items()}


def _statistics(correction: Any, statistics: Any) -> Any:
    if not _is_word_or_whole(correction) or correction not in (0, 1):
        raise ValueError(
            f"correction must be 1, as in the authors' code, or 0, as in Eq. (5), got {correction!r}"
        )
    if statistics != "shared" and correction != int(statistics == "leave_one_out"):
        raise ValueError(
            f"correction must not contradict statistics={statistics!r}, got {correction}; leave it out"
        )
    return statistics if correction else "population"


def _backend(path: Any) -> Any:
    return "reference" if path == "plain" else path
