"""What an exercise is made of, and what is said to an answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Case = tuple[Any, ...]
Inputs = Callable[[np.random.Generator], Sequence[Case]]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that is known, and what to say to it.

    Attributes:
        answer: What somebody who makes the mistake hands in, of the kind of the exercise's truth.
        hint: What that answer computes instead, and where to look. It does not give the answer away.
        erratic: For a mistake whose wrong values are rounding errors, which differ from one order of
            summation to the next: the relative difference from which on it is wrong. It is known by the
            cases in which it is wrong.
    """

    answer: Any
    hint: str
    erratic: float | None = None


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A question whose answer can be checked.

    Attributes:
        name: By which :func:`simam_edu.exercises.check` finds it; unique in the book.
        asks: What is to be handed in, with the arguments of a function.
        truth: The right function or value.
        mistakes: The wrong answers that are known.
        inputs: Given a generator, the tuples of arguments on which a function is called; None for a value.
        rtol: The relative difference that is still right. The default leaves room for another order of
            summation in float64. An answer in a coarser format may differ by as much as its inputs change
            the truth when they are rounded to it.
        needs_digits: Whether the exercise is about rounding, so that no format is excused.
    """

    name: str
    asks: str
    truth: Any
    mistakes: tuple[Mistake, ...]
    inputs: Inputs | None = None
    rtol: float = 1e-6
    needs_digits: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is said to an answer; a notebook shows it as a sentence.

    Attributes:
        passed: Whether the answer is right.
        message: What to say.
    """

    passed: bool
    message: str

    def __repr__(self) -> str:
        return self.message

    def _repr_markdown_(self) -> str:
        return f"{'✔' if self.passed else '✘'} {self.message}"
