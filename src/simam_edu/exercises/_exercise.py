"""What an exercise is made of, and what is said to an answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from simam_edu.mistakes import changed

Case = tuple[Any, ...]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that is known, and what to say to it.

    Attributes:
        answer: What somebody who makes the mistake hands in, of the kind of the solution.
        hint: What that answer computes instead, and where to look; the answer is not given away.
        erratic: For a mistake whose wrong values are rounding errors, which differ from one order of
            summation to the next: the relative difference from which on it is wrong. It is known by
            the cases in which it is wrong.
    """

    answer: Any
    hint: str
    erratic: float | None = None


@dataclass(frozen=True)
class Exercise:
    """A question whose answer can be checked.

    Attributes:
        name: By which :func:`simam_edu.exercises.check` finds it; unique in the book.
        prompt: What is to be handed in, with the arguments of a function.
        solution: The right function or value. A function has the text that stands on the page, or is
            an oracle of the package.
        wrong: The known mistakes, each with its hint, or with its hint and where it is erratic. A mistake
            is a change of the solution, ``"old -> new"`` in its source, or several; any other is a wrong
            value or function.
        inputs: Given a generator, the tuples of arguments on which a function is called.
        rtol: The relative difference that is still right. The default leaves room for another order of
            summation in float64. An answer in a coarser format may differ by as much as its inputs change
            the solution when they are rounded to it.
        needs_digits: Whether it is about rounding, so that no format is excused.
    """

    name: str
    prompt: str
    solution: Any
    wrong: Mapping[Any, str | tuple[str, float | None]]
    inputs: Callable[[np.random.Generator], Sequence[Case]] = lambda _: [()]
    rtol: float = 1e-6
    needs_digits: bool = False

    @cached_property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The known mistakes, in order."""
        return tuple(
            Mistake(self._answer(wrong), *((said,) if isinstance(said, str) else said))
            for wrong, said in self.wrong.items()
        )

    def _answer(self, wrong: Any) -> Any:
        changes = (wrong,) if isinstance(wrong, str) else wrong
        if callable(self.solution) and isinstance(changes, tuple):
            return changed(self.solution, *changes)
        return wrong


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is said to an answer; a notebook shows it as a sentence.

    Attributes:
        passed: Whether the answer is right; None where there is none yet.
        message: What to say.
    """

    passed: bool | None
    message: str

    def __repr__(self) -> str:
        return self.message

    def _repr_markdown_(self) -> str:
        sign = {True: "✔", False: "✘", None: "✎"}[self.passed]
        return f"{sign} {self.message}"


def rows(*columns: np.ndarray) -> list[Case]:
    """Return the rows of arrays that stand side by side, for the inputs of an exercise."""
    return list(map(tuple, np.hstack(columns).tolist()))
