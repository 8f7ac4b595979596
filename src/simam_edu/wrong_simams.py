r"""Wrong SimAMs, and the checks that catch them or let them through.

An exhibit takes a batch of shape (n, c, h, w) and the penalty, like the right one, :func:`right`.
All of them run, keep the shape and look plausible. Each is a change of
:func:`simam_edu.mistakes.ten_lines`; those that were seen in public copies are made anew here,
from what they compute. Equation numbers are those of Yang, Zhang, Li and Xie, ICML 2021.
"""

import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit

from simam_edu import energy
from simam_edu.mistakes import Candidate, Maps, changed, changes_of, ten_lines


def right(x: Maps, lam: float) -> Maps:
    """Return what SimAM makes of a batch: Eq. (6) with the statistics of the authors' code."""
    product: Maps = x * energy.gain(x, lam=lam)
    return product


@dataclass(frozen=True, repr=False)
class Exhibit:
    """A wrong SimAM; it is called like its function, and a notebook shows its source.

    Attributes:
        function: The exhibit itself; its docstring says what it computes instead.
        batch: The batch of :func:`batches` on which it is plainly off.
    """

    function: Candidate
    batch: str

    def __call__(self, x: Maps, lam: float) -> Maps:
        """Return what the exhibit makes of a batch."""
        return self.function(x, lam)

    def __repr__(self) -> str:
        return inspect.getsource(self.function).strip()

    def _repr_markdown_(self) -> str:
        return f"```python\n{self!r}\n```"


def _exhibit(name: str, batch: str, says: str) -> Exhibit:
    title = (f"def ten_lines -> def {name.replace(' ', '_')}", f"{ten_lines.__doc__} -> {says}")
    return Exhibit(changed(ten_lines, *title, *changes_of(name)), batch)


# Each with the batch on which it shows, and what it computes instead.
_HUNG = (
    # seen in public copies
    ("constant", "outlier", "One gain for a whole channel, because the squared distances are averaged."),
    ("no half", "noise", "The squared distance alone, without the one half."),
    ("clamped", "quiet", "A variance kept above a limit, in the place of one with the penalty added."),
    ("population", "small", "The variance with 1/M, as Eq. (5) is printed, not 1/(M-1) as in the code."),
    ("lambda twice", "quiet", "The penalty added in two places."),
    ("energy as gain", "outlier", "The sigmoid of the least energy, not of its inverse."),
    # printed in the paper
    ("no keepdims", "noise", "The means of images and channels, aligned with rows and columns."),
    ("printed sign", "outlier", "The energy with the sign of Eq. (3) as printed and the labels of Eq. (2)."),
    # slips that are easily made in this kind of code
    ("whole batch", "levels", "The statistics of batch norm: a neuron is held against all images."),
    ("across channels", "levels", "A neuron held against the other channels, not the other positions."),
    ("naive variance", "high", "The mean of the squares less the square of the mean: a small difference."),
    ("half precision", "loud", "The sum of squares in float16, which overflows: every gain is at the floor."),
)
GALLERY: dict[str, Exhibit] = {name: _exhibit(name, batch, says) for name, batch, says in _HUNG}
"""Every exhibit by its name."""


def batches(generator: np.random.Generator) -> dict[str, Float[np.ndarray, "_ _ _ _"]]:
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


close = partial(np.allclose, rtol=0, atol=1e-6)
"""Whether two sets of gains agree to a millionth; what is not a number agrees with nothing."""


def _in_range(found: Maps) -> bool:
    return bool(found.min() >= FLOOR - 1e-6 and found.max() <= 1)


FLOOR = expit(0.5)
CHECKS: dict[str, Callable[[Candidate, Maps], bool]] = {
    "shape": lambda f, x: f(x, 1e-4).shape == x.shape,
    "finite": lambda f, x: bool(np.isfinite(f(x, 1e-4)).all()),
    "uneven": lambda f, x: f(x[:2, :3, :4, :5], 1e-4).shape == (2, 3, 4, 5),
    "floor": lambda f, x: _in_range(gains(f, x, 1e-4)),
    "flat": lambda f, x: close(gains(f, np.broadcast_to(x[..., :1, :1], x.shape), 1e-4), FLOOR),
    "order": lambda f, x: close(f(x[::-1, ::-1], 1e-4), f(x, 1e-4)[::-1, ::-1]),
    "alone": lambda f, x: close(f(x[:1, :1], 1e-4), f(x, 1e-4)[:1, :1]),
    "shift": lambda f, x: close(gains(f, x + 5, 0.0), gains(f, x, 0.0)),
    "scale": lambda f, x: close(gains(f, 1000 * x, 0.0), gains(f, x, 0.0)),
    "budget": lambda f, x: close(logit(gains(f, x, 0.0)).mean((2, 3)), 0.5 + (1 - 1 / x[0, 0].size) / 4),
    "high": lambda f, x: close(gains(f, x + 1e8, 0.0), gains(f, x, 0.0)),
    "values": lambda f, x: close(gains(f, x, 0.1), energy.gain(x, lam=0.1)),
}
"""Every check by its name: whether a candidate passes on a batch of noise (8, 8, 8, 8)."""
_QUESTIONS = {
    "shape": "Has the output the shape of the input?",
    "finite": "Is every number of the output finite?",
    "uneven": "Does it run on a batch whose four sizes all differ?",
    "floor": "Is no gain below sigmoid(1/2) or above one?",
    "flat": "Has a channel of equal values the gain sigmoid(1/2)?",
    "order": "Does the output follow when images and channels change places?",
    "alone": "Does a channel get the same output without the others?",
    "shift": "Without a penalty, do the gains stay when a number is added?",
    "scale": "Without a penalty, do the gains stay when the batch is multiplied?",
    "budget": "Without a penalty, is the mean importance 1/2 + (M-1)/(4M)?",
    "high": "Without a penalty, do the gains stay on top of a mean of 1e8?",
    "values": "Are the gains those of the oracle, at a penalty that can be seen?",
}
for _name, _check in CHECKS.items():
    _check.__doc__ = _QUESTIONS[_name]


def caught(candidate: Candidate, x: Maps) -> dict[str, bool]:
    """Return for each check whether it catches a candidate on a batch; one that raises is caught."""
    found = dict.fromkeys(CHECKS, True)
    for name, check in CHECKS.items():
        with np.errstate(all="ignore"), contextlib.suppress(Exception):  # a reader's may raise anything
            found[name] = not check(candidate, x)
    return found
