r"""Wrong SimAMs, and the checks that catch them or let them through.

An exhibit takes a batch of shape (n, c, h, w) and the penalty, like the right one, :func:`right`. All of them
run, keep the shape and look plausible. Those that were seen in public copies are written anew here, from what
they compute; what is said to each comes from :mod:`simam_edu.mistakes`. Equation numbers are those of Yang,
Zhang, Li and Xie, ICML 2021.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from simam_edu import energy
from simam_edu.mistakes import HINTS, SPACE, Candidate, Maps, gated


def right(x: Maps, lam: float) -> Maps:
    """Return what SimAM makes of a batch: Eq. (6) with the statistics of the authors' code."""
    product: Maps = x * energy.gain(x, lam=lam)
    return product


# The exhibits. Where the statistics are not the point they come from here.


def distance_and_variance(x: Maps) -> tuple[Maps, Float[np.ndarray, "n c 1 1"]]:
    """Return the squared distances from the channel's mean and the channel's variance, with 1/(M-1)."""
    mu, var = energy.channel_statistics(x, ddof=1)
    return (x - mu) ** 2, var


def constant(x: Maps, lam: float) -> Maps:
    """One gain for a whole channel, because the squared distances are averaged."""
    d, var = distance_and_variance(x)
    d = d.sum(axis=SPACE, keepdims=True) / (x.shape[-2] * x.shape[-1])
    return gated(x, d / (4 * (var + lam)) + 0.5)


def no_half(x: Maps, lam: float) -> Maps:
    """The squared distance alone, without the one half."""
    d, var = distance_and_variance(x)
    return gated(x, d / (4 * (var + lam)))


def clamped(x: Maps, lam: float) -> Maps:
    """A variance kept above a limit, in the place of one with the penalty added."""
    d, var = distance_and_variance(x)
    return gated(x, d / np.maximum(4 * var, lam) + 0.5)


def population(x: Maps, lam: float) -> Maps:
    """The variance with 1/M, as Eq. (5) is printed, not the 1/(M-1) of the authors' code."""
    d = (x - x.mean(axis=SPACE, keepdims=True)) ** 2
    return gated(x, d / (4 * (d.mean(axis=SPACE, keepdims=True) + lam)) + 0.5)


def lambda_twice(x: Maps, lam: float) -> Maps:
    """The penalty added in two places."""
    d, var = distance_and_variance(x)
    var = var + lam
    return gated(x, d / (4 * (var + lam)) + 0.5)


def energy_as_gain(x: Maps, lam: float) -> Maps:
    """The sigmoid of the least energy, not of its inverse."""
    mu, var = energy.channel_statistics(x, ddof=1)
    return gated(x, energy.minimal_energy(x, mu, var, lam=lam))


def no_keepdims(x: Maps, lam: float) -> Maps:
    """The means of images and channels, aligned with rows and columns."""
    d = (x - x.mean(axis=SPACE)) ** 2
    var = d.sum(axis=SPACE) / (x.shape[-2] * x.shape[-1] - 1)
    return gated(x, d / (4 * (var + lam)) + 0.5)


def printed_sign(x: Maps, lam: float) -> Maps:
    """The energy of the line with the sign of Eq. (3) as printed, and with the labels of Eq. (2)."""
    mu, var = energy.channel_statistics(x, ddof=1)
    w = -2 * (x - mu) / ((x - mu) ** 2 + 2 * var + 2 * lam)
    b = -(x + mu) * w / 2
    e = (1 + w * mu + b) ** 2 + w**2 * var + (1 - w * x - b) ** 2 + lam * w**2
    return gated(x, 1 / e)


def whole_batch(x: Maps, lam: float) -> Maps:
    """The statistics of batch norm: a neuron is held against all images of the batch."""
    d = (x - x.mean(axis=(0, 2, 3), keepdims=True)) ** 2
    var = d.sum(axis=(0, 2, 3), keepdims=True) / (d[:, 0].size - 1)
    return gated(x, d / (4 * (var + lam)) + 0.5)


def across_channels(x: Maps, lam: float) -> Maps:
    """A neuron held against the other channels at its position, not against the other positions."""
    d = (x - x.mean(axis=1, keepdims=True)) ** 2
    var = d.sum(axis=1, keepdims=True) / (x.shape[1] - 1)
    return gated(x, d / (4 * (var + lam)) + 0.5)


def naive_variance(x: Maps, lam: float) -> Maps:
    """The mean of the squares less the square of the mean: a small difference of large numbers."""
    mu = x.mean(axis=SPACE, keepdims=True)
    neurons = x.shape[-2] * x.shape[-1]
    var = ((x**2).mean(axis=SPACE, keepdims=True) - mu**2) * neurons / (neurons - 1)
    return gated(x, (x - mu) ** 2 / (4 * (var + lam)) + 0.5)


def half_precision(x: Maps, lam: float) -> Maps:
    """The sum of squares in float16, which overflows: an infinite variance puts every gain at the floor."""
    half = x.astype(np.float16)
    d = (half - half.mean(axis=SPACE, keepdims=True)) ** 2
    var = d.sum(axis=SPACE, keepdims=True) / (x.shape[-2] * x.shape[-1] - 1)
    return gated(x, d / (4 * (var + lam)) + 0.5)


@dataclass(frozen=True, kw_only=True, repr=False)
class Exhibit:
    """A wrong SimAM; it is called like its function, and a notebook shows its source.

    Attributes:
        function: The exhibit itself; its docstring says what it computes instead.
        batch: The batch of :func:`batches` on which it is plainly off.
        hint: What to say to somebody who hands it in; the exercise on the ten lines says the same.
    """

    function: Candidate
    batch: str
    hint: str

    def __call__(self, x: Maps, lam: float) -> Maps:
        """Return what the exhibit makes of a batch."""
        return self.function(x, lam)

    def __repr__(self) -> str:
        return inspect.getsource(self.function).strip()

    def _repr_markdown_(self) -> str:
        return f"```python\n{self!r}\n```"


# Each with the batch on which it shows.
_HUNG: dict[Candidate, tuple[str, str]] = {
    # seen in public copies
    constant: ("constant", "outlier"),
    no_half: ("no half", "noise"),
    clamped: ("clamped", "quiet"),
    population: ("population", "small"),
    lambda_twice: ("lambda twice", "quiet"),
    energy_as_gain: ("energy as gain", "outlier"),
    # printed in the paper
    no_keepdims: ("no keepdims", "noise"),
    printed_sign: ("printed sign", "outlier"),
    # slips that are easily made in this kind of code
    whole_batch: ("whole batch", "levels"),
    across_channels: ("across channels", "levels"),
    naive_variance: ("naive variance", "high"),
    half_precision: ("half precision", "loud"),
}
GALLERY: dict[str, Exhibit] = {
    name: Exhibit(function=function, batch=batch, hint=HINTS[name])
    for function, (name, batch) in _HUNG.items()
}


def batches(generator: np.random.Generator) -> dict[str, Maps]:
    """Return batches on which mistakes show, by name; all are meant for the penalty 1e-4.

    ``"noise"`` has four equal sizes, so forgotten axes still fit. ``"small"`` has maps of 2x2, ``"outlier"``
    one neuron far from the rest, ``"levels"`` images and channels of different means. ``"quiet"`` has the
    penalty as its variance, ``"high"`` the mean 1e8, ``"loud"`` a sum of squares too large for float16.
    """
    outlier = generator.normal(size=(1, 1, 8, 8))
    outlier[0, 0, 3, 4] = 8.0
    return {
        "noise": generator.normal(size=(8, 8, 8, 8)),
        "small": generator.normal(size=(8, 8, 2, 2)),
        "outlier": outlier,
        "levels": generator.normal(size=(4, 3, 8, 8)) + np.arange(12.0).reshape(4, 3, 1, 1),
        "quiet": 1e-2 * generator.normal(size=(2, 3, 8, 8)),
        "high": 1e8 + generator.normal(size=(8, 8, 8, 8)),
        "loud": 30 * generator.normal(size=(1, 2, 32, 32)),
    }


def gains(candidate: Candidate, x: Maps, lam: float) -> Maps:
    """Return the gains of a candidate, read off as output over input."""
    with np.errstate(all="ignore"):
        quotient: Maps = candidate(x, lam) / x
    return quotient


# The checks: each takes a candidate and a batch of noise, (8, 8, 8, 8), and its docstring asks the question.
Check = Callable[[Candidate, Maps], bool]


def close(one: np.ndarray, other: np.ndarray | float) -> bool:
    """Return whether two sets of gains agree to a millionth; what is not a number agrees with nothing."""
    return bool(np.allclose(one, other, rtol=0, atol=1e-6))


def shape(f: Candidate, x: Maps) -> bool:
    """Has the output the shape of the input?"""
    return f(x, 1e-4).shape == x.shape


def finite(f: Candidate, x: Maps) -> bool:
    """Is every number of the output finite?"""
    return bool(np.isfinite(f(x, 1e-4)).all())


def uneven(f: Candidate, x: Maps) -> bool:
    """Does it run on a batch whose four sizes all differ?"""
    return f(x[:2, :3, :4, :5], 1e-4).shape == (2, 3, 4, 5)


def floor(f: Candidate, x: Maps) -> bool:
    """Is no gain below sigmoid(1/2) or above one?"""
    found = gains(f, x, 1e-4)
    return bool(found.min() >= 1 / (1 + np.exp(-0.5)) - 1e-6 and found.max() <= 1)


def flat(f: Candidate, x: Maps) -> bool:
    """Has a channel of equal values the gain sigmoid(1/2)?"""
    return close(gains(f, np.broadcast_to(x[..., :1, :1], x.shape), 1e-4), 1 / (1 + np.exp(-0.5)))


def order(f: Candidate, x: Maps) -> bool:
    """Does the output follow when images and channels change places?"""
    return close(f(x[::-1, ::-1], 1e-4), f(x, 1e-4)[::-1, ::-1])


def alone(f: Candidate, x: Maps) -> bool:
    """Does a channel get the same output without the others?"""
    return close(f(x[:1, :1], 1e-4), f(x, 1e-4)[:1, :1])


def shift(f: Candidate, x: Maps) -> bool:
    """Without a penalty, do the gains stay when a number is added?"""
    return close(gains(f, x + 5, 0.0), gains(f, x, 0.0))


def scale(f: Candidate, x: Maps) -> bool:
    """Without a penalty, do the gains stay when the batch is multiplied?"""
    return close(gains(f, 1000 * x, 0.0), gains(f, x, 0.0))


def budget(f: Candidate, x: Maps) -> bool:
    """Without a penalty, is the mean importance 1/2 + (M-1)/(4M)?"""
    found = gains(f, x, 0.0)
    neurons = x.shape[-2] * x.shape[-1]
    return close(np.log(found / (1 - found)).mean(axis=SPACE), 0.5 + (neurons - 1) / (4 * neurons))


def high(f: Candidate, x: Maps) -> bool:
    """Without a penalty, do the gains stay on top of a mean of 1e8?"""
    return close(gains(f, x + 1e8, 0.0), gains(f, x, 0.0))


def values(f: Candidate, x: Maps) -> bool:
    """Are the gains those of the oracle, at a penalty that can be seen?"""
    return close(gains(f, x, 0.1), energy.gain(x, lam=0.1))


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (shape, finite, uneven, floor, flat, order, alone, shift, scale, budget, high, values)
}


def caught(candidate: Candidate, x: Maps) -> dict[str, bool]:
    """Return for each check whether it catches a candidate on a batch; one that raises is caught."""
    return {name: not _passes(check, candidate, x) for name, check in CHECKS.items()}


def _passes(check: Check, candidate: Candidate, x: Maps) -> bool:
    try:
        with np.errstate(all="ignore"):
            return check(candidate, x)
    except Exception:  # a reader's candidate may raise anything
        return False
