r"""SimAM: attention from an energy, without parameters.

Yang, Zhang, Li, Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
Networks", ICML 2021, https://proceedings.mlr.press/v139/yang21o.html

Where this differs from the authors' code: statistics are computed in float32 at least and in a way that no
finite input overflows, maps of one position raise instead of giving NaN, ``lam`` is checked, the backward
pass keeps one map instead of four, and the variance may be that of Eq. (5) or exact.
"""

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any, Literal, Never, get_args

import torch.fx
from jaxtyping import Float
from torch import Tensor

from simam_edu import kernels
from simam_edu.arguments import check_lam
from simam_edu.attention.checks import AXES, Attention, check_maps, is_traced

Statistics = Literal["shared", "leave_one_out"]
"""Whether a neuron is held against the whole channel, as in the authors' code, or against the others only."""

OnePosition = Literal["refuse", "half"]
"""What to do with maps of one position."""


class SimAM(Attention):
    r"""Multiply every neuron by the sigmoid of its importance, Eqs. (5) and (6).

    .. math::

        y = x \odot \operatorname{sigmoid}\!\Bigl(\frac12 + \frac{(x - \mu)^2}{4 (\sigma^2 + \lambda)}\Bigr)

    with :math:`\mu` and :math:`\sigma^2` the mean and the :math:`1/(M-1)` variance of each channel of
    each image over its :math:`M` positions. The input is (n, c, h, w) in a floating dtype,
    or another number of map axes where ``dims`` says so; the output has its shape, dtype
    and memory format. Every gain lies in [0.6225, 1].

    Statistics are computed in float32 for float16, bfloat16 and float32 and in float64 for
    float64, for any finite magnitude, inside autocast as outside. For the backward pass the
    input is kept and two numbers a channel. Which kernel runs is told by
    :func:`simam_edu.kernels.path_for`.

    All arguments go by name. SimAM has no channels, so a number in the first place would
    be taken for :math:`\lambda`, and one of the size of a number of channels turns the
    module off; it is refused.

    A program recorded by torch.export, torch.jit.trace or an ONNX exporter holds the
    formula and not the checks: where its sizes are dynamic, a map of one position gets the
    gain sigmoid(1/2) = 0.6225, whatever ``one_position`` says. torch.fx.symbolic_trace,
    and with it feature extraction and quantization, takes the whole of SimAM as one call,
    checks and all. torch.jit.script is refused.

    Args:
        lam: The weight :math:`\lambda \ge 0` of the penalty, in units of the input squared. The
            default 1e-4 is the paper's choice for CIFAR; it took 0.1 for ImageNet. A real
            number of Python or numpy, and no tensor: SimAM has nothing to learn, and its
            kernels compute no gradient for it.
        dims: How many axes a map has: 2, the default, takes (n, c, h, w) and nothing else;
            1 takes (n, c, l), as of sounds, and 3 takes (n, c, d, h, w). It is not told from
            the shape, because (c, h, w) could be one image or a batch of sounds.
        correction: 1 divides the sum of squares by :math:`M - 1`, as the authors' code does, the default;
            0 divides it by :math:`M`, as Eq. (5) is printed.
        statistics: ``"shared"``, the default and the authors' code, holds every neuron against the mean and
            variance of its channel; ``"leave_one_out"`` against those of the other neurons, as the energy is
            defined, at the same cost.
        one_position: What to do with maps of one position, where a neuron has no others: ``"refuse"``, the
            default, since it is nearly always a mistake, or ``"half"``, which gives the gain
            sigmoid(1/2), the limit for a neuron that equals its mean.
        path: Which kernel computes it; ``"auto"``, the default, takes the fastest that is ready. See
            :data:`simam_edu.kernels.Path`.

    Raises:
        ValueError: If an argument has no name or is out of its range; when called, if the
            input is not a dense floating tensor of ``dims + 2`` axes, its map has a single
            position, or the path cannot take it.
        TypeError: If there is no argument of that name.

    Example:
        >>> import torch
        >>> from simam_edu import SimAM
        >>> SimAM()(torch.zeros(1, 2, 4, 4)).shape
        torch.Size([1, 2, 4, 4])
    """

    def __init__(
        self,
        *refused: Never,
        lam: float = 1e-4,
        dims: int = 2,
        correction: int = 1,
        statistics: Statistics = "shared",
        one_position: OnePosition = "refuse",
        path: kernels.Path = "auto",
        **unknown: Never,
    ) -> None:
        super().__init__()
        self.lam = lam
        _refuse_positional(refused, self.lam)
        _refuse_unknown(unknown)
        if not _is_word_or_whole(correction) or correction not in (0, 1):
            raise ValueError(
                f"correction must be 1, as in the authors' code, or 0, as in Eq. (5), got {correction!r}"
            )
        if statistics == "leave_one_out" and correction == 0:
            raise ValueError(
                "correction must be 1 with statistics 'leave_one_out', got 0; "
                "the variance of the others is a mean over all of them, as under Eq. (4)"
            )
        for name, value, known in (
            ("dims", dims, tuple(AXES)),
            ("statistics", statistics, get_args(Statistics)),
            ("one_position", one_position, get_args(OnePosition)),
            ("path", path, kernels.PATHS),
        ):
            # 2.0, True and a tensor of 2 equal what is known, and are none of it.
            if not _is_word_or_whole(value) or value not in known:
                words = ", ".join(map(str, known))
                raise ValueError(f"{name} must be one of {words}, got {value!r}")
        self.dims = int(dims)
        self.correction = int(correction)
        self.statistics = statistics
        self.one_position = one_position
        self.path = path

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; ``lam`` is checked whenever it changes."""
        set_value: Callable[[str, Any], None] = super().__setattr__
        set_value(name, _number(value) if name == "lam" else value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a copy or pickle, with ``lam`` checked anew.

        One from before there was ``dims`` has maps of two axes. If it served others, its
        first call says so and names the ``dims`` that it needs.
        """
        super().__setstate__({"dims": 2} | state)  # type: ignore[no-untyped-call]
        self.lam = getattr(self, "lam")  # noqa: B009

    def extra_repr(self) -> str:
        """Show ``lam``, and what differs from the defaults, where torch prints the module."""
        shown = [f"lam={self.lam:g}"]
        defaults = {"dims": 2, "correction": 1, "statistics": "shared"}
        defaults |= {"one_position": "refuse", "path": "auto"}
        shown += [f"{name}={value}" for name in defaults if (value := getattr(self, name)) != defaults[name]]
        return ", ".join(shown)

    def forward(self, x: Float[Tensor, "n c *map"]) -> Float[Tensor, "n c *map"]:
        """Return ``x`` times its gain; see the class for the formula and the errors."""
        return weigh(
            x,
            self.lam,
            self.dims,
            self.correction,
            self.statistics == "leave_one_out",
            self.one_position,
            self.path,
        )


@torch.fx.wrap
def weigh(
    x: Float[Tensor, "n c *map"],
    lam: float,
    dims: int,
    correction: int,
    leave_one_out: bool,
    one_position: OnePosition,
    path: kernels.Path,
) -> Float[Tensor, "n c *map"]:
    """Return SimAM of a batch: the one call that torch.fx sees in :class:`SimAM`.

    Args:
        x: Anything that the module is called with.
        lam: As in :class:`SimAM`.
        dims: As in :class:`SimAM`.
        correction: As in :class:`SimAM`.
        leave_one_out: Whether the statistics are ``"leave_one_out"``.
        one_position: As in :class:`SimAM`.
        path: As in :class:`SimAM`.

    Raises:
        ValueError: As :class:`SimAM` when it is called.
    """
    # On a small map the checks take longer than the kernel, which has its own of all but
    # the number of axes.
    if path in ("auto", "native") and isinstance(x, Tensor) and x.ndim == dims + 2 and not x.is_nested:
        y = kernels.quick(x, lam, correction, leave_one_out)
        if y is not None:
            return y
    check_maps(x, dims=dims, choice="SimAM")
    # dims again, but known to torch.compile, for which a number of the module may change.
    options = kernels.Options(lam, correction, leave_one_out, x.ndim - 2)
    if not is_traced() and options.neurons(x) == 1:
        return _of_one_position(x, one_position)
    return kernels.simam(x, options, path)


def _of_one_position(x: Tensor, one_position: OnePosition) -> Tensor:
    if one_position == "half":
        return x * (1.0 / (1.0 + math.exp(-0.5)))
    raise ValueError(
        f"x must have maps of at least two positions, got shape {tuple(x.shape)}; one neuron has no "
        "others to be held against: put SimAM before the global pooling, or choose one_position='half'"
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


def _refuse_unknown(unknown: dict[str, Any]) -> None:
    if unknown:
        raise TypeError(
            f"SimAM has no argument {', '.join(unknown)}; it has lam (the authors' e_lambda), "
            "dims, correction, statistics, one_position and path"
        )
