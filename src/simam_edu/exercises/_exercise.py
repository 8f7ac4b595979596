"""What an exercise is made of, and what is said to an answer."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from simam_edu.mistakes import changed

Case = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Mistake:
    """A wrong answer that is known, and what to say to it.

    Attributes:
        answer: What somebody who makes the mistake hands in, of the kind of the solution.
        hint: What that answer computes instead, and where to look; the answer is not given away.
        unstable: The cases in which it returns rounding errors, which differ from one order of
            summation to the next: an answer that is wrong in some of these alone gets the hint.
    """

    answer: Any
    hint: str
    unstable: Set[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Exercise:
    """A question whose answer can be checked.

    Attributes:
        name: By which :func:`simam_edu.exercises.check` finds it; unique in the book.
        prompt: What is to be handed in, with the arguments of a function.
        solution: The right function or value. A function has the text that stands on the page,
            or is an oracle of the package.
        wrong: The known mistakes, each with its hint, or with its hint and its unstable cases.
            A mistake is a change of the solution, ``"old -> new"`` in its source, or several;
            any other is a wrong value or function.
        inputs: Given a generator, the tuples of arguments on which a function is called.
        rtol: The relative difference that is still right. The default leaves room for another
            order of summation in float64; coarser formats have more.
        needs_digits: Whether it is about rounding, so that no format is excused.

    >>> half = Exercise("half", "What is 1/2?", 0.5, {2.0: "This is the inverse."})
    >>> [(mistake.answer, mistake.hint) for mistake in half.mistakes]
    [(2.0, 'This is the inverse.')]
    """

    name: str
    prompt: str
    solution: Any
    wrong: Mapping[Any, str | tuple[str, Set[int]]]
    inputs: Callable[[np.random.Generator], Sequence[Case]] = lambda _: [()]
    rtol: float = 1e-6
    needs_digits: bool = False

    @cached_property
    def cases(self) -> list[Case]:
        """The arguments on which a function is called."""
        return list(self.inputs(np.random.default_rng(0)))

    @cached_property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The known mistakes, in order."""
        found = []
        for wrong, said in self.wrong.items():
            changes = (wrong,) if isinstance(wrong, str) else wrong
            is_change = callable(self.solution) and isinstance(changes, tuple)
            answer = changed(self.solution, *changes) if is_change else wrong
            hint, unstable = (said, frozenset[int]()) if isinstance(said, str) else said
            found.append(Mistake(answer, hint, unstable))
        return tuple(found)


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
