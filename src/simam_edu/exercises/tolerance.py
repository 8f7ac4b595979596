"""How far from the truth an answer may be, given the number format that it comes in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simam_edu.exercises.answers import FORMATS, copies, plain, rounded_case
from simam_edu.exercises.exercise import Case, Exercise


@dataclass(frozen=True)
class Yardstick:
    """The truth for every case, and how far from it an answer of a number format may be.

    Attributes:
        truths: What is right.
        slack: What the format is excused, as a part of the largest number; None where it cannot hold the case.
        rtol: The relative difference that is right in any format.
    """

    truths: Sequence[Any]
    slack: Sequence[float | None]
    rtol: float

    def agrees(self, k: int, found: Any, wanted: Any, rtol: float = 0.0) -> bool:
        """Return whether what was found for a case is what was wanted, as far as the format can tell."""
        slack = self.slack[k]
        return slack is None or same(found, wanted, max(self.rtol, rtol), slack)

    def distance(self, found: Sequence[Any], wanted: Sequence[Any]) -> float:
        """Return the largest difference in units of the largest number; of text that agrees there is none."""
        pairs = [(found[k], wanted[k]) for k, slack in enumerate(self.slack) if slack is not None]
        return max((_distance(one, other) for one, other in pairs), default=0.0)


def yardstick_of(exercise: Exercise, cases: Sequence[Case], form: str | None) -> Yardstick:
    """Return the truth for every case, with what a number format is excused."""
    truths = [value_of(exercise.truth, case) for case in cases]
    slack: list[float | None] = [0.0] * len(cases)
    whole = all(isinstance(right, str) or np.array_equal(right, np.round(right)) for right in truths)
    if form and not exercise.needs_digits and not whole:  # whole numbers are exact
        slack = [_slack(exercise, case, right, form) for case, right in zip(cases, truths, strict=True)]
    return Yardstick(truths, slack, exercise.rtol)


def _slack(exercise: Exercise, case: Case, right: Any, form: str) -> float | None:
    """Return what a format costs: eight times the rounding of the result and that of the arguments.

    The second is the condition of the case, and nobody who computes in this format can do much better. Where
    both come to a quarter of the result, the case says nothing about the answer.
    """
    largest = float(np.max(np.abs(right)))
    try:
        with np.errstate(all="ignore"):
            moved = np.max(np.abs(value_of(exercise.truth, rounded_case(case, form)) - right))
    except (ValueError, ArithmeticError):  # an argument is out of range, or no longer a legal one
        return None
    if largest == 0:
        return None if moved else 0.0
    slack = 8 * (2.0 ** -FORMATS[form][0] + float(moved) / largest)
    return slack if slack < 1 / 4 else None


def too_coarse(exercise: Exercise, cases: Sequence[Case], form: str) -> bool:
    """Return whether an exercise about rounding has arguments that a format does not hold."""
    pairs = [
        (part, kept) for case in cases for part, kept in zip(case, rounded_case(case, form), strict=True)
    ]
    arrays = any(isinstance(part, np.ndarray) for part, _ in pairs)  # then the numbers beside them are exact
    kinds: Any = np.ndarray if arrays else float
    return exercise.needs_digits and any(
        not np.array_equal(part, kept) for part, kept in pairs if isinstance(part, kinds)
    )


def value_of(what: Any, case: Case) -> Any:
    """Return a value, or what a function gives for a case, in plain numpy."""
    return plain(what(*copies(case))) if callable(what) else plain(what)


def same(found: Any, right: Any, rtol: float, slack: float = 0.0) -> bool:
    """Return whether two values are equal: text exactly, numbers up to a relative and a normwise difference."""
    if isinstance(found, str) or isinstance(right, str):
        return isinstance(found, str) and isinstance(right, str) and found == right
    found, right = np.squeeze(found), np.squeeze(right)
    if found.shape != right.shape:
        return False
    largest = float(np.abs(right[np.isfinite(right)]).max(initial=0.0))
    part = max(slack, rtol * 1e-3)  # beside large entries, zero is not exact
    return bool(np.allclose(found, right, rtol=rtol, atol=part * largest, equal_nan=True))


def _distance(found: Any, right: Any) -> float:
    if isinstance(found, str) or isinstance(right, str):
        return float(found != right)
    difference = np.abs(np.squeeze(found) - np.squeeze(right))
    return float(np.nanmax(difference, initial=0.0) / (np.nanmax(np.abs(right), initial=0.0) or 1.0))
