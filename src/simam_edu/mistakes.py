r"""The known mistakes in a SimAM: each is a change of the right one, with a hint.

SimAM has four parts: the squared distances :math:`d` and the variance :math:`v` of a
batch, the denominator :math:`4 (v + \lambda)`, the fraction with one half added to it, and
the gate. Most mistakes in public copies change one of these, some change two. The gallery
shows some of them, and the exercise on the ten lines of the module knows them all.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float

from simam_edu import energy

Maps = Float[np.ndarray, "n c h w"]
Candidate = Callable[[Maps, float], Maps]
"""Takes a batch and the penalty, and returns the batch times its gain."""

SPACE = (-2, -1)

HINTS = {
    # which distances and which variance
    "constant": "Here the squared distances are averaged over the map, so a whole "
    "channel has one gain. Every neuron has a gain of its own, from its own distance; "
    "see 'From the formula to tensors'.",
    "population": "This is what dividing by the number of positions gives, as Eq. (5) "
    "of the paper prints it. The authors' code divides by one less; see 'From the "
    "formula to tensors'.",
    "whole batch": "Here the mean and the variance are shared by all images, as in "
    "batch norm. SimAM looks at one image at a time; see 'From the formula to "
    "tensors'.",
    "across channels": "Here the mean and the variance run over the channels. Each "
    "channel of each image needs its own, over its positions; see 'From the formula "
    "to tensors'.",
    "max for sum": "The largest squared distance stands where their sum should. A "
    "variance is the sum of all, over their number less one; see 'From the formula to "
    "tensors'.",
    # what is made of them
    "no half": "The importance has lost its constant, so a neuron at the mean is "
    "halved; see 'From the formula to tensors'.",
    "half inside": "The constant has slipped into the denominator, where it acts as "
    "one more penalty. It is added to the fraction, after the division; see 'From the "
    "formula to tensors'.",
    "clamped": "The penalty is a lower limit here, so it does nothing where the "
    "variance is above it. It is added to the variance; see 'From the formula to "
    "tensors'.",
    "no penalty": "This does not depend on the penalty. It is added to the variance; "
    "see 'From the formula to tensors'.",
    "lambda twice": "The penalty comes in twice. Add it to the variance once, before "
    "the factor four; see 'From the formula to tensors'.",
    "lambda outside": "The factor four reaches the variance alone, so the penalty "
    "weighs a quarter of what it should. Four times the sum of both is meant; see "
    "'From the formula to tensors'.",
    "no four": "The factor four is missing in the denominator; see 'From the formula to tensors'.",
    "energy as gain": "This takes the sigmoid of the least energy, which is low for "
    "what stands out. Eq. (6) of the paper has one over the energy; see 'From the "
    "formula to tensors'.",
    "printed sign": "What stands out is turned down here: a sign is turned, as in Eq. "
    "(3) of the paper as it is printed. The importance grows with the distance; see "
    "'From the formula to tensors'.",
    # what is right on paper, or nearly
    "no keepdims": "Mean or variance have lost their axes, so they are aligned with "
    "rows and columns. With four equal sizes that runs and is wrong, with others it "
    "stops; see 'What the printed lines get wrong'.",
    "naive variance": "On paper this is right. Where the mean is far larger than the "
    "spread, the mean of the squares less the square of the mean has no digits left: "
    "subtract the mean first.",
    "half precision": "Where the values are large this is wrong: in float16 the sum "
    "of squares leaves the range. See 'What it refuses, and why'.",
    "input missing": "This is the gain. The output is the input times the gain; see Eq. (6) of the paper.",
}
"""What each mistake computes instead, and where to look on the page on the module."""


def gated(x: Maps, importance: np.ndarray) -> Maps:
    """Return the batch times the sigmoid of the importance, Eq. (6)."""
    sigmoid = 0.5 + 0.5 * np.tanh(importance / 2)  # which does not overflow in this form
    gated_maps: Maps = x * sigmoid
    return gated_maps


def distances(x: Maps, *, axes: tuple[int, ...] = SPACE, less: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared distances from the mean over some axes, and their variance."""
    d = (x - x.mean(axis=axes, keepdims=True)) ** 2
    total = d.sum(axis=axes, keepdims=True)
    return d, total / (d.size // total.size - less)


def averaged(x: Maps, *, less: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one distance for a whole channel, and its variance."""
    return distances(x, less=less)[1], distances(x)[1]


def with_max(x: Maps, *, divided: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared distances and the largest of them, or its share."""
    d, _ = distances(x)
    largest = d.max(axis=SPACE, keepdims=True)
    return d, largest / (x.shape[-2] * x.shape[-1] - 1) if divided else largest


# The four parts of a SimAM. Of each the right one comes first, then the wrong ones, by the
# name of their hint.
PARTS: tuple[tuple[tuple[str, Callable[..., Any]], ...], ...] = (
    (  # from the batch, the squared distances and the variance
        ("", distances),
        ("constant", partial(averaged, less=0)),
        ("constant", partial(averaged, less=1)),
        ("population", partial(distances, less=0)),
        ("whole batch", partial(distances, axes=(0, 2, 3))),
        ("across channels", partial(distances, axes=(1,))),
        ("across channels", partial(distances, axes=(1, 2, 3))),
        ("max for sum", partial(with_max, divided=True)),
        ("max for sum", partial(with_max, divided=False)),
    ),
    (  # from the variance and the penalty, the denominator
        ("", lambda v, lam: 4 * (v + lam)),
        ("clamped", lambda v, lam: np.maximum(4 * v, lam)),
        ("clamped", lambda v, lam: 4 * np.maximum(v, lam)),
        ("no penalty", lambda v, _: 4 * v),
        ("lambda twice", lambda v, lam: 4 * (v + 2 * lam)),
        ("lambda twice", lambda v, lam: 4 * (v + lam) + lam),
        ("lambda outside", lambda v, lam: 4 * v + lam),
        ("no four", lambda v, lam: v + lam),
    ),
    (  # from the distances and the denominator, the importance
        ("", lambda d, below: d / below + 0.5),
        ("no half", lambda d, below: d / below),
        ("half inside", lambda d, below: d / (below + 0.5)),
        ("half inside", lambda d, below: d / (below + 4 * 0.5)),
    ),
    (  # from the importance, what the sigmoid is taken of
        ("", lambda a: a),
        ("energy as gain", lambda a: 1 / a),
        ("printed sign", lambda a: -a),
        ("printed sign", lambda a: 1 - a),  # the sign of the fraction alone
    ),
)


def mutations() -> Iterator[tuple[Candidate, str]]:
    """Return every SimAM with one part wrong, then those with two, each with its hint."""
    choices = [zip(*choice, strict=True) for choice in product(*PARTS)]
    named = [(parts, [name for name in names if name]) for names, parts in choices]
    for number in (1, 2):
        for parts, names in named:
            if len(names) == number:
                hint = " ".join(HINTS[name] for name in names)
                several = "Two mistakes at once. " if number == 2 else ""
                yield partial(mutated, parts), several + hint


def mutated(parts: tuple[Callable[..., Any], ...], x: Maps, lam: float) -> Maps:
    """Return what a SimAM of these four parts makes of a batch."""
    statistics, denominator, fraction, gate = parts
    d, v = statistics(x)
    return gated(x, gate(fraction(d, denominator(v, lam))))


def input_missing(x: Maps, lam: float) -> Maps:
    """Return the gain without the input."""
    return energy.gain(x, lam=lam)
