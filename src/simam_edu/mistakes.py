r"""The known mistakes in a SimAM: each is a change of :func:`ten_lines`, with a hint.

SimAM has four parts: the squared distances and the variance of a batch, the denominator, the
fraction with one half added to it, and the gate. Most mistakes in public copies change one of
these, some change two. The wrong SimAMs on the book's wall are some of them, and the exercise
on the ten lines of the module knows them all.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float

Maps = Float[np.ndarray, "n c h w"]
Candidate = Callable[[Maps, float], Maps]
"""Takes a batch and the penalty, and returns the batch times its gain."""


def changed(function: Callable[..., Any], *changes: str) -> Callable[..., Any]:
    """Return a function with ``"old -> new"`` replaced in its source.

    Raises:
        ValueError: If what is to be replaced does not stand there exactly once.
    """
    source = changed_source(function, *changes)
    name = source.partition("(")[0].removeprefix("def ")
    scope: dict[str, Any] = {}
    exec(compile(source, f"<{name}, changed>", "exec"), function.__globals__, scope)
    found: Callable[..., Any] = scope[name]
    return found


def changed_source(function: Callable[..., Any], *changes: str) -> str:
    """Return the source of a function with ``"old -> new"`` replaced in it, as :func:`changed` has it."""
    source = _source(function)
    for change in changes:
        old, _, new = change.partition(" -> ")
        if (times := source.count(old)) != 1:
            raise ValueError(f"{old!r} must stand once in the source, stands {times} times:\n{source}")
        source = source.replace(old, new)
    return source


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


# The wrong ways of each of the four parts, by the name of their hint.
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
# What is not one of four parts.
OTHERS: dict[str, tuple[str, ...]] = {
    "no keepdims": (
        "x.mean(axis=axes, keepdims=True) -> x.mean(axis=axes)",
        "d.sum(axis=axes, keepdims=True) -> d.sum(axis=axes)",
    ),
    "printed sign": (
        "d = (x - x.mean(axis=axes, keepdims=True)) -> d = (x - (mu := x.mean(axis=axes, keepdims=True)))",
        "below = 4 * (var + lam) -> w = -2 * (x - mu) / (d + 2 * var + 2 * lam)",
        "importance = d / below + 0.5 -> b = -(x + mu) * w / 2\n"
        "    e = (1 + w * mu + b) ** 2 + w**2 * var + (1 - w * x - b) ** 2 + lam * w**2",
        "(x, importance) -> (x, 1 / e)",
    ),
    "naive variance": (
        "x.mean(axis=axes, keepdims=True) -> (mu := x.mean(axis=axes, keepdims=True))",
        "d.sum(axis=axes, keepdims=True)"
        " -> ((x**2).mean(axis=axes, keepdims=True) - mu**2) * (x.size // mu.size)",
    ),
    "half precision": (
        "axes = (-2, -1) -> axes, half = (-2, -1), x.astype(np.float16)",
        "x - x.mean -> half - half.mean",
    ),
    "input missing": ("(x, importance) -> (np.ones_like(x), importance)",),
}


def mutations() -> Iterator[tuple[Candidate, str]]:
    """Return every SimAM with one part wrong, then those with two, each with its hint."""
    choices = [[part for part in parts if part] for parts in product(*((None, *part) for part in PARTS))]
    for number, prefix in ((1, ""), (2, "Two mistakes at once. ")):
        for wrong in choices:
            if len(wrong) == number:
                hint = prefix + " ".join(HINTS[name] for name, *_ in wrong)
                yield changed(ten_lines, *(change for _, *changes in wrong for change in changes)), hint


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
