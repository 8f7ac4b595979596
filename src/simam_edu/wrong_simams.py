r"""Wrong SimAMs, and the checks that catch them or let them through.

An exhibit takes a batch of shape (n, c, h, w) and the penalty, like the right one, :func:`right`.
All of them run, keep the shape and look plausible. Each is a change of
:func:`simam_edu.mistakes.ten_lines`; those that were seen in public copies are made anew here,
from what they compute. Equation numbers are those of Yang, Zhang, Li and Xie, ICML 2021.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simam_edu import energy
from simam_edu.mistakes import HINTS, OTHERS, PARTS, Candidate, Maps, changed, changed_source, ten_lines

SPACE = (-2, -1)


def right(x: Maps, lam: float) -> Maps:
    """Return what SimAM makes of a batch: Eq. (6) with the statistics of the authors' code."""
    product: Maps = x * energy.gain(x, lam=lam)
    return product


@dataclass(frozen=True, kw_only=True, repr=False)
class Exhibit:
    """A wrong SimAM; it is called like its function, and a notebook shows its source.

    Attributes:
        function: The exhibit itself; its docstring says what it computes instead.
        source: Its source.
        batch: The batch of :func:`batches` on which it is plainly off.
        hint: What to say to somebody who hands it in; the exercise on the ten lines says the same.
    """

    function: Candidate
    source: str
    batch: str
    hint: str

    def __call__(self, x: Maps, lam: float) -> Maps:
        """Return what the exhibit makes of a batch."""
        return self.function(x, lam)

    def __repr__(self) -> str:
        return self.source.strip()

    def _repr_markdown_(self) -> str:
        return f"```python\n{self!r}\n```"


def _exhibit(name: str, batch: str, says: str) -> Exhibit:
    """Return an exhibit: the first change of its name, or one that is no change of a part."""
    changes = OTHERS.get(name) or next(way[1:] for part in PARTS for way in part if way[0] == name)
    title = (f"def ten_lines -> def {name.replace(' ', '_')}", f"{ten_lines.__doc__} -> {says}")
    function = changed(ten_lines, *title, *changes)
    source = changed_source(ten_lines, *title, *changes)
    return Exhibit(function=function, source=source, batch=batch, hint=HINTS[name])


# Each with the batch on which it shows, and what it computes instead.
_HUNG = (
    # seen in public copies
    ("constant", "outlier", "One gain for a whole channel, because the squared distances are averaged."),
    ("no half", "noise", "The squared distance alone, without the one half."),
    ("clamped", "quiet", "A variance kept above a limit, in the place of one with the penalty added."),
    (
        "population",
        "small",
        "The variance with 1/M, as Eq. (5) is printed, not the 1/(M-1) of the authors' code.",
    ),
    ("lambda twice", "quiet", "The penalty added in two places."),
    ("energy as gain", "outlier", "The sigmoid of the least energy, not of its inverse."),
    # printed in the paper
    ("no keepdims", "noise", "The means of images and channels, aligned with rows and columns."),
    (
        "printed sign",
        "outlier",
        "The energy of the line with the sign of Eq. (3) as printed, and with the labels of Eq. (2).",
    ),
    # slips that are easily made in this kind of code
    (
        "whole batch",
        "levels",
        "The statistics of batch norm: a neuron is held against all images of the batch.",
    ),
    (
        "across channels",
        "levels",
        "A neuron held against the other channels at its position, not against the other positions.",
    ),
    (
        "naive variance",
        "high",
        "The mean of the squares less the square of the mean: a small difference of large numbers.",
    ),
    (
        "half precision",
        "loud",
        "The sum of squares in float16, which overflows: an infinite variance puts every gain at the floor.",
    ),
)
GALLERY: dict[str, Exhibit] = {name: _exhibit(name, batch, says) for name, batch, says in _HUNG}


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
