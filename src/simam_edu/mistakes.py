r"""The known mistakes in a SimAM: each is a change of :func:`ten_lines`, with a hint.

SimAM has four parts: the squared distances and the variance of a batch, the denominator, the
fraction with one half added to it, and the gate. Most mistakes in public copies change one of
these, some change two. The wrong SimAMs on the book's wall are some of them, and the exercise
on the ten lines of the module knows them all.
"""

import inspect
import linecache
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain, combinations, product
from typing import Any

import numpy as np
from jaxtyping import Float

Maps = Float[np.ndarray, "n c h w"]
Candidate = Callable[[Maps, float], Maps]
"""Takes a batch and the penalty, and returns the batch times its gain."""


def changed(function: Callable[..., Any], *changes: str) -> Callable[..., Any]:
    """Return a function with ``"old -> new"`` replaced in its source, which :mod:`inspect` can read.

    Raises:
        ValueError: If what is to be replaced does not stand there exactly once.

    >>> population = changed(ten_lines, " - 1) -> )")
    >>> x = np.array([[[[1.0, -1.0]]]])
    >>> ten_lines(x, 0.0).round(3), population(x, 0.0).round(3)
    (array([[[[ 0.651, -0.651]]]]), array([[[[ 0.679, -0.679]]]]))
    """
    source = _source(function)
    for change in changes:
        old, _, new = change.partition(" -> ")
        if (times := source.count(old)) != 1:
            raise ValueError(f"{old!r} must stand once in the source, stands {times} times:\n{source}")
        source = source.replace(old, new)
    name = source.partition("(")[0].removeprefix("def ")
    file = f"<{function.__module__}.{name} with {changes}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    scope: dict[str, Any] = {}
    exec(compile(source, file, "exec"), inspect.unwrap(function).__globals__, scope)
    found: Callable[..., Any] = scope[name]
    return found


_source = cache(inspect.getsource)


def ten_lines(x: Maps, lam: float) -> Maps:
    """SimAM: Eq. (6) with the statistics of the authors' code."""
    axes = (-2, -1)
    d = (x - x.mean(axis=axes, keepdims=True)) ** 2
    total = d.sum(axis=axes, keepdims=True)
    var = total / (d.size // total.size - 1)
    below = 4 * (var + lam)
    importance = d / below + 0.5
    return gated(x, importance)


def gated(x: Maps, importance: np.ndarray) -> Maps:
    """Return the batch times the sigmoid of the importance, Eq. (6)."""
    sigmoid = 0.5 + 0.5 * np.tanh(importance / 2)  # which does not overflow in this form
    gated_maps: Maps = x * sigmoid
    return gated_maps


# The wrong ways of each of the four parts: the name of the hint, and the changes.
PARTS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (  # the squared distances and the variance
        ("constant", "importance = d -> importance = d.mean(axis=axes, keepdims=True)"),
        ("constant", "importance = d -> importance = var"),
        ("population", " - 1) -> )"),
        ("whole batch", "axes = (-2, -1) -> axes = (0, 2, 3)"),
        ("across channels", "axes = (-2, -1) -> axes = (1,)"),
        ("across channels", "axes = (-2, -1) -> axes = (1, 2, 3)"),
        ("max for sum", "d.sum -> d.max"),
        ("max for sum", "d.sum -> d.max", " / (d.size // total.size - 1) -> "),
    ),
    (  # the denominator
        ("clamped", "4 * (var + lam) -> np.maximum(4 * var, lam)"),
        ("clamped", "(var + lam) -> np.maximum(var, lam)"),
        ("no penalty", "(var + lam) -> var"),
        ("lambda twice", "(var + lam) -> (var + lam + lam)"),
        ("lambda twice", "(var + lam) -> (var + lam) + lam"),
        ("lambda outside", "(var + lam) -> var + lam"),
        ("no four", "4 * (var + lam) -> var + lam"),
    ),
    (  # the importance
        ("no half", "below + 0.5 -> below"),
        ("half inside", "below + 0.5 -> (below + 0.5)"),
        ("half inside", "below + 0.5 -> (below + 4 * 0.5)"),
    ),
    (  # what the sigmoid is taken of
        ("energy as gain", "(x, importance) -> (x, 1 / importance)"),
        ("printed sign", "(x, importance) -> (x, -importance)"),
        ("printed sign", "(x, importance) -> (x, 1 - importance)"),  # the fraction's sign alone
    ),
)
MEAN, SUM = "x.mean(axis=axes, keepdims=True)", "d.sum(axis=axes, keepdims=True)"
OTHERS: tuple[tuple[str, ...], ...] = (  # what is not one of four parts
    ("no keepdims", f"{MEAN} -> x.mean(axis=axes)", f"{SUM} -> d.sum(axis=axes)"),
    ("no keepdims", f"{SUM} -> d.sum(axis=axes)"),
    (
        "printed sign",
        f"d = (x - {MEAN}) -> d = (x - (mu := {MEAN}))",
        "below = 4 * (var + lam) -> w = -2 * (x - mu) / (d + 2 * var + 2 * lam)",
        "importance = d / below + 0.5 -> b = -(x + mu) * w / 2\n"
        "    e = (1 + w * mu + b) ** 2 + w**2 * var + (1 - w * x - b) ** 2 + lam * w**2",
        "(x, importance) -> (x, 1 / e)",
    ),
    (
        "naive variance",
        f"{MEAN} -> (mu := {MEAN})",
        f"{SUM} -> ((x**2).mean(axis=axes, keepdims=True) - mu**2) * (x.size // mu.size)",
    ),
    (
        "half precision",
        "axes = (-2, -1) -> axes, half = (-2, -1), x.astype(np.float16)",
        "x - x.mean -> half - half.mean",
    ),
    ("input missing", "(x, importance) -> (np.ones_like(x), importance)"),
)


def changes_of(name: str) -> list[str]:
    """Return the changes of a mistake by the name of its hint, the first of several."""
    return next(changes for known, *changes in chain(OTHERS, *PARTS) if known == name)


def mutations() -> Iterator[tuple[Candidate, str]]:
    """Return every SimAM with one known mistake, then those with two, each with its hint."""
    for name, *changes in chain(*PARTS, OTHERS):
        yield changed(ten_lines, *changes), HINTS[name]
    for one_part, other_part in combinations(PARTS, 2):
        for (one, *changes), (other, *more) in product(one_part, other_part):
            hint = f"Two mistakes at once. {HINTS[one]} {HINTS[other]}"
            yield changed(ten_lines, *changes, *more), hint


SEE = " See 'From the formula to tensors'."
HINTS = {
    # which distances and which variance
    "constant": "Here the squared distances are averaged over the map, so a whole channel has one gain. "
    f"Every neuron has a gain of its own, from its own distance.{SEE}",
    "population": "This is what dividing by the number of positions gives, as Eq. (5) is printed. "
    f"The authors' code divides by one less.{SEE}",
    "whole batch": "Here all images share the mean and the variance, as in batch norm. "
    f"SimAM looks at one image at a time.{SEE}",
    "across channels": "Here the mean and the variance run over the channels. "
    f"Each channel of each image needs its own, over its positions.{SEE}",
    "max for sum": "The largest squared distance stands where their sum should. "
    f"A variance is the sum of all, over their number less one.{SEE}",
    # what is made of them
    "no half": f"The importance has lost its constant, so a neuron at the mean is halved.{SEE}",
    "half inside": "The constant has slipped into the denominator, where it acts as one more penalty. "
    f"It is added to the fraction, after the division.{SEE}",
    "clamped": "The penalty is a lower limit here, so it does nothing where the variance is above it. "
    f"It is added to the variance.{SEE}",
    "no penalty": f"This does not depend on the penalty. It is added to the variance.{SEE}",
    "lambda twice": f"The penalty comes in twice. Add it to the variance once, before the factor four.{SEE}",
    "lambda outside": "The factor four reaches the variance alone, so the penalty weighs too little. "
    f"Four times the sum of both is meant.{SEE}",
    "no four": f"The factor four is missing in the denominator.{SEE}",
    "energy as gain": "This takes the sigmoid of the least energy, which is low for what stands out. "
    f"Eq. (6) of the paper has one over the energy.{SEE}",
    "printed sign": "What stands out is turned down here: a sign is turned, as in Eq. (3) as it is printed. "
    f"The importance grows with the distance.{SEE}",
    # what is right on paper, or nearly
    "no keepdims": "Mean or variance have lost their axes, so they are aligned with rows and columns. "
    "With four equal sizes that is wrong, with others it stops. See 'What the printed lines get wrong'.",
    "naive variance": "Right on paper. Where the mean is far larger than the spread, the mean of the squares "
    "less the square of the mean has no digits left: subtract the mean first.",
    "half precision": "Wrong where the values are large: in float16 the sum of squares leaves the range. "
    "See 'What it refuses, and why'.",
    "input missing": "This is the gain. The output is the input times the gain; see Eq. (6) of the paper.",
}
"""What each mistake computes instead, and where to look on the page on the module."""
