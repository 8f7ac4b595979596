r"""SimAM: attention from an energy, without parameters.

Yang, Zhang, Li, Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
Networks", ICML 2021, https://proceedings.mlr.press/v139/yang21o.html

Where this differs from the authors' code: statistics are computed in float32 at least and in a way
that no finite input overflows, maps of one position raise instead of giving NaN, ``lam`` is
checked, the backward pass saves one map instead of four, and the variance may be that of Eq. (5)
or exact.
"""

import math
import warnings
from numbers import Integral
from typing import Any, Literal, Never, get_args

import torch
import torch.fx
from jaxtyping import Bool, Float
from torch import Tensor

from simam_edu import kernels
from simam_edu.arguments import check_lam
from simam_edu.attention.checks import AXES, Attention, check_maps, checked_mask, is_traced
from simam_edu.kernels import Backend, Statistics

OnePosition = Literal["refuse", "half"]
"""What to do with maps of one position."""

CHOICES: dict[str, tuple[Any, ...]] = {
    "dims": tuple(AXES),
    "statistics": get_args(Statistics),
    "one_position": get_args(OnePosition),
    "backend": kernels.BACKENDS,
}
"""The values that each option may take."""

RENAMED = {"correction": "statistics", "path": "backend"}
"""What the options of the first edition are called now."""


class SimAM(Attention):
    r"""Multiply every neuron by the sigmoid of its importance, Eqs. (5) and (6).

    .. math::

        y = x \odot \operatorname{sigmoid}\!\Bigl(\frac12 + \frac{(x - \mu)^2}{4 (\sigma^2 + \lambda)}\Bigr)

    with :math:`\mu` and :math:`\sigma^2` the mean and the :math:`1/(M-1)` variance of each channel
    of each image over its :math:`M` positions. The input is (n, c, h, w) in a floating dtype; the
    output has its shape, dtype and memory format. Every gain (attention weight) lies in
    [0.6225, 1]. Statistics are computed in float32 at least, inside autocast as outside.

    A call with a mask, ``module(x, mask)``, takes the statistics over its valid positions only and
    returns the others unchanged, as for letterboxes and padded utterances. The mask is boolean,
    True where ``x`` is valid, and broadcastable to (n, 1, h, w). What stands outside must be
    finite: nan or infinity spoils its channel. A single valid position has the gain sigmoid(1/2).
    Masked calls are computed in the form of the reference backend.

    A program recorded by torch.export, torch.jit.trace or an ONNX exporter holds a call without a
    mask in the form of :mod:`simam_edu.kernels.exported`, one with a mask in that of the reference,
    some of whose operations (log2, where, clamp) a runtime may lack. It does not hold the checks:
    where its sizes are dynamic, a map of one position gets the gain sigmoid(1/2). torch.fx takes
    SimAM as one call.

    Args:
        lam: The regularization coefficient :math:`\lambda \ge 0`, in units of the input squared.
            The default 1e-4 is the paper's choice for CIFAR; it took 0.1 for ImageNet. It goes by
            name: SimAM has no channels, whose number taken for :math:`\lambda` would turn it off.
        dims: How many axes a map has: 2, the default, takes (n, c, h, w) and nothing else; 1 takes
            (n, c, l), as of sounds, and 3 takes (n, c, d, h, w). The shape alone does not say.
        statistics: ``"shared"``, the default and the authors' code, compares every neuron with the
            mean and variance of its channel; ``"population"`` divides that variance by :math:`M`,
            as Eq. (5) is printed; ``"leave_one_out"`` takes the mean and variance of the other
            neurons, as the energy is defined, at the same cost.
        one_position: What to do with maps of one position, where a neuron has no others:
            ``"refuse"``, the default, since it is nearly always a mistake, or ``"half"``, which
            gives the gain sigmoid(1/2), the limit for a neuron that equals its mean.
        backend: What computes it; ``"auto"``, the default, takes the fastest that is ready.
            :func:`simam_edu.kernels.backend_for` says which that is.

    Raises:
        ValueError: If an argument has no name or is out of its range; when called, if the input is
            not a dense floating tensor of ``dims + 2`` axes, its map has a single position, the
            backend cannot take it, or the mask is not boolean or not broadcastable.
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
        *positional: Never,
        lam: float = 1e-4,
        dims: int = 2,
        statistics: Statistics = "shared",
        one_position: OnePosition = "refuse",
        backend: Backend = "auto",
        **old: Any,
    ) -> None:
        super().__init__()
        self.lam = lam
        if positional:
            raise ValueError(
                f"lam must be given by name, got SimAM({', '.join(map(repr, positional))}); SimAM() has no "
                "channels and serves any number of them, lambda is SimAM(lam=...), and where a function of "
                f'the channels is asked for it is attention_factory("simam", lam={self.lam:g})'
            )
        options = {"dims": dims, "statistics": statistics, "one_position": one_position, "backend": backend}
        for name, value in (options | _renamed(old, statistics)).items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; an option is checked whenever it changes, and an old name is refused."""
        if name in RENAMED:
            raise AttributeError(f"SimAM has no {name} to be set; it is now {RENAMED[name]}")
        if name == "lam":
            if isinstance(value, Tensor):
                raise ValueError(
                    f"lam must be a number of Python or numpy, got a {type(value).__name__}; SimAM has "
                    "no parameters and its kernels no gradient for lambda: use lam=float(value)"
                )
            value = check_lam(value)
        elif name in CHOICES:
            # 2.0, True and a tensor of 2 equal what is known, and are none of it.
            is_of_a_kind = isinstance(value, Integral | str) and not isinstance(value, bool)
            if not is_of_a_kind or value not in CHOICES[name]:
                known = ", ".join(map(str, CHOICES[name]))
                raise ValueError(f"{name} must be one of {known}, got {value!r}")
            value = CHOICES[name][CHOICES[name].index(value)]  # numpy's are made Python's
        super().__setattr__(name, value)

    def extra_repr(self) -> str:
        """Show ``lam``, and what differs from the defaults, where torch prints the module."""
        usual: Any = SimAM.__init__.__kwdefaults__
        options = {name: getattr(self, name) for name in CHOICES}
        shown = [f"{name}={value}" for name, value in options.items() if value != usual[name]]
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
    """Return SimAM of a batch: the one call that torch.fx sees in :class:`SimAM`."""
    # On a small map the checks take longer than the kernel, which has its own of all but the axes.
    fast = mask is None and backend in ("auto", "native")
    if fast and isinstance(x, Tensor) and x.ndim == dims + 2 and not x.is_nested:
        y = kernels.simam_native(x, lam, statistics)
        if y is not None:
            return y
    check_maps(x, dims=dims)
    if mask is not None:
        mask = checked_mask(mask, x)
    # dims again, but known to torch.compile, for which a number of the module may change.
    options = kernels.Options(lam, statistics, x.ndim - 2)
    if is_traced() or options.positions(x) != 1:
        return kernels.simam(x, options, backend, mask)
    if one_position == "refuse":
        raise ValueError(
            f"x must have maps of at least two positions, got shape {tuple(x.shape)}; one neuron has no "
            "others to be compared with: put SimAM before the global pooling, or choose one_position='half'"
        )
    half = x * (1.0 / (1.0 + math.exp(-0.5)))
    return half if mask is None else torch.where(mask, half, x)


def _renamed(old: dict[str, Any], statistics: Statistics) -> dict[str, Any]:
    """Return what the arguments of the first edition are called now; kept for one version."""
    unknown = old.keys() - RENAMED
    if unknown:
        raise TypeError(
            f"SimAM has no argument {', '.join(unknown)}; it has lam (the authors' e_lambda), "
            f"{', '.join(CHOICES)}"
        )
    now = {}
    if "path" in old:
        now["backend"] = "reference" if old["path"] == "plain" else old["path"]
    if "correction" in old:
        fitting = {"shared": (0, 1), "population": (0,), "leave_one_out": (1,)}.get(statistics, ())
        if type(old["correction"]) is not int or old["correction"] not in fitting:
            raise ValueError(
                "correction must be 1, as in the authors' code, or 0, as in Eq. (5), and not "
                f"contradict statistics={statistics!r}, got {old['correction']!r}"
            )
        now["statistics"] = statistics if old["correction"] else "population"
    for name in old:
        words = f"SimAM({name}=...) will go with the next version; it is now {RENAMED[name]}="
        warnings.warn(words + repr(now[RENAMED[name]]), DeprecationWarning, stacklevel=3)
    return now
