"""How an answer is graded: against the solution, and against the mistakes that are known."""

import contextlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import sympy as sp

from simam_edu.exercises._answers import (
    FORMATS,
    Attempt,
    Ragged,
    attempts,
    copies,
    format_of,
    plain,
    rounded_case,
)
from simam_edu.exercises._exercise import Case, Exercise, Mistake, Result

WITH = {"numpy": "with arrays of numpy", "torch": "with tensors of torch"}


class NoAnswer(Exception):
    """The answer is not there yet."""


def grade(exercise: Exercise, answer: Any) -> Result:
    """Return the result of an answer to an exercise.

    It is right, or it is a known mistake and its hint is returned, or it is said where and
    how it is off. A function is called with arrays of numpy, with tensors of torch, or with
    both; the message says if the tensors decided.
    """
    cases = [()] if exercise.inputs is None else list(exercise.inputs(np.random.default_rng(0)))
    made = [_read(exercise, attempt, len(cases)) for attempt in _attempts(exercise, answer, cases)]
    if any(isinstance(attempt.error, NoAnswer) for attempt in made):
        return Result(passed=False, message=f"No answer yet. Asked for: {exercise.prompt}.")
    ran = [attempt for attempt in made if attempt.error is None]
    if not ran:
        farthest = max(made, key=lambda attempt: attempt.progress)
        where = f" (Called {WITH['torch']}.)" if farthest.library == "torch" else ""
        return Result(passed=False, message=_stopped(exercise, cases, farthest) + where)
    results = [_graded(exercise, cases, attempt) for attempt in ran]
    first = results[0]
    if len(ran) == 2 and results[1].passed and not first.passed:
        message = f"Right {WITH[ran[1].library]}. (Called {WITH[ran[0].library]}: {first.message})"
        return Result(passed=True, message=message)
    if ran[0].library == "torch":
        return replace(first, message=f"{first.message} (Called {WITH['torch']}.)")
    return first


def _attempts(exercise: Exercise, answer: Any, cases: Sequence[Case]) -> list[Attempt]:
    """Call the answer for every case; a value is its own outcome."""
    if callable(exercise.solution):
        if isinstance(answer, sp.Expr):
            answer = partial(_substituted, answer, list(inspect.signature(exercise.solution).parameters))
        elif not callable(answer) and answer is not None and answer is not Ellipsis:
            wrong = TypeError(f"a function is asked for, this is {type(answer).__name__}")
            return [Attempt("numpy", error=wrong)]
    return attempts(answer, cases) if callable(answer) else [Attempt("numpy", (answer,))]


def _substituted(answer: sp.Expr, names: Sequence[str], *case: Any) -> Any:
    """Put the arguments into an expression whose symbols have their names."""
    unknown = {s.name for s in answer.free_symbols} - set(names)
    if unknown:
        raise NameError(f"the symbols must be among {', '.join(names)}, got {', '.join(sorted(unknown))}")
    known = {symbol: case[names.index(symbol.name)] for symbol in answer.free_symbols}
    return sp.lambdify(list(known), answer, "numpy")(*known.values())


def _read(exercise: Exercise, attempt: Attempt, cases: int) -> Attempt:
    """Read what an answer returned as numbers or text; that may fail as well."""
    returned: list[Any] = []
    for found in attempt.returned:
        try:
            if found is None or found is Ellipsis:
                raise NoAnswer
            if isinstance(found, str) and not isinstance(exercise.solution, str):
                with contextlib.suppress(ValueError, ZeroDivisionError):  # other text is compared as text
                    found = Fraction(found)
            plain(found)
        except Exception as error:  # also what an object of the reader raises when it is read
            return Attempt(attempt.library, error=error, progress=(cases,))
        returned.append(found)
    return replace(attempt, returned=tuple(returned))


def _stopped(exercise: Exercise, cases: Sequence[Case], attempt: Attempt) -> str:
    """Say what an answer raised, or give the hint of a mistake that stops in the same case."""
    before = [plain(value) for value in attempt.returned]
    for mistake in exercise.mistakes if before else ():
        wrong = _mistaken(mistake, cases)
        if len(wrong) == len(before) and all(map(partial(same, rtol=exercise.rtol), before, wrong)):
            return f"Not yet. {mistake.hint}"
    error = attempt.error
    what = f"{error}" if isinstance(error, Ragged) else f"stops with {type(error).__name__}: {error}"
    return f"Your answer {what}. Asked for: {exercise.prompt}."


def _mistaken(
    mistake: Mistake, cases: Sequence[Case], goes_on: Callable[[int, Any], bool] = lambda *_: True
) -> list[Any]:
    """Return what a mistake gives for every case, or until it stops or is known not to be the one."""
    found: list[Any] = []
    with np.errstate(all="ignore"), contextlib.suppress(ValueError):
        for k, case in enumerate(cases):
            value = value_of(mistake.answer, case)
            if not goes_on(k, value):
                break
            found.append(value)
    return found


@dataclass(frozen=True)
class Yardstick:
    """What is right in every case, and how far from it an answer in a number format may be.

    Attributes:
        right: The value of the solution in each case.
        slack: What the format is excused, as a part of the largest number; None where it
            cannot hold the case.
        rtol: The relative difference that is right in any format.
    """

    right: Sequence[Any]
    slack: Sequence[float | None]
    rtol: float

    def agrees(self, k: int, found: Any, wanted: Any, rtol: float = 0.0) -> bool:
        """Return whether a value for a case is the wanted one, as far as the format can tell."""
        slack = self.slack[k]
        return slack is None or same(found, wanted, max(self.rtol, rtol), slack)

    def distance(self, found: Sequence[Any], wanted: Sequence[Any]) -> float:
        """Return the largest difference in units of the largest number, over the cases that can tell."""
        told = [k for k, slack in enumerate(self.slack) if slack is not None]
        return max((_distance(found[k], wanted[k]) for k in told), default=0.0)


def _yardstick(exercise: Exercise, cases: Sequence[Case], form: str | None) -> Yardstick:
    right = [value_of(exercise.solution, case) for case in cases]
    slack: list[float | None] = [0.0] * len(cases)
    whole = all(isinstance(value, str) or np.array_equal(value, np.round(value)) for value in right)
    if form and not exercise.needs_digits and not whole:  # whole numbers are exact
        slack = [_slack(exercise, case, value, form) for case, value in zip(cases, right, strict=True)]
    return Yardstick(right, slack, exercise.rtol)


def _slack(exercise: Exercise, case: Case, right: Any, form: str) -> float | None:
    """Return what a format costs: eight times the rounding of the result and that of the arguments.

    The second is the condition of the case, and nobody who computes in this format can do
    much better. Where both come to a quarter of the result, the case says nothing.
    """
    largest = float(np.max(np.abs(right)))
    try:
        with np.errstate(all="ignore"):
            moved = np.max(np.abs(value_of(exercise.solution, rounded_case(case, form)) - right))
    except (ValueError, ArithmeticError):  # an argument is out of range, or no longer a legal one
        return None
    if largest == 0:
        return None if moved else 0.0
    slack = 8 * (2.0 ** -FORMATS[form][0] + float(moved) / largest)
    return slack if slack < 1 / 4 else None


def _too_coarse(cases: Sequence[Case], form: str) -> bool:
    """Return whether the arguments of an exercise about rounding are not held by a format."""
    pairs = [pair for case in cases for pair in zip(case, rounded_case(case, form), strict=True)]
    arrays = [pair for pair in pairs if isinstance(pair[0], np.ndarray)]
    floats = [pair for pair in pairs if isinstance(pair[0], float)]  # beside arrays they are exact
    return any(not np.array_equal(*pair) for pair in arrays or floats)


def _graded(exercise: Exercise, cases: Sequence[Case], attempt: Attempt) -> Result:
    """Compare what was returned with the solution and with the known mistakes; the nearest counts."""
    found, form = [plain(value) for value in attempt.returned], format_of(attempt.returned)
    yardstick = _yardstick(exercise, cases, form)
    hopeless = all(slack is None for slack in yardstick.slack)
    if form and (hopeless or (exercise.needs_digits and _too_coarse(cases, form))):
        message = f"Not yet. Your answer comes in {form}, which cannot hold the numbers of this exercise."
        return Result(passed=False, message=message)
    right = all(map(yardstick.agrees, range(len(cases)), found, yardstick.right))
    if right and not form:
        return Result(passed=True, message="Right.")
    # In a coarse format a mistake may agree as well: it must be clearly nearer than the solution.
    limit = yardstick.distance(found, yardstick.right) / 2 if right else np.inf
    nearest: Mistake | None = None
    for mistake in exercise.mistakes:
        wrong = _mistaken(mistake, cases, lambda k, value: yardstick.agrees(k, found[k], value))
        if len(wrong) == len(cases) and yardstick.distance(found, wrong) < limit:
            nearest, limit = mistake, yardstick.distance(found, wrong)
    if nearest is None and right:
        return Result(passed=True, message="Right.")
    nearest = nearest or _known_by_its_cases(exercise, cases, yardstick, found, form)
    message = nearest.hint if nearest else _difference(exercise, cases, found, yardstick)
    return Result(passed=False, message=f"Not yet. {message}")


def _known_by_its_cases(
    exercise: Exercise, cases: Sequence[Case], yardstick: Yardstick, found: Sequence[Any], form: str | None
) -> Mistake | None:
    """Return the erratic mistake that is wrong in the same cases as what was found."""
    if form == "float32":  # then the digits are lost in other cases than in float64
        cases = [tuple(_single(part) for part in case) for case in cases]
    for mistake in exercise.mistakes:
        if mistake.erratic is None:
            continue
        off_by, wrong = mistake.erratic, _mistaken(mistake, cases)
        pattern = [
            [not yardstick.agrees(k, values[k], right, off_by) for k, right in enumerate(yardstick.right)]
            for values in (found, wrong)
        ]
        if pattern[0] == pattern[1] and any(pattern[0]) and not all(pattern[0]):
            return mistake
    return None


def _single(part: Any) -> Any:
    return part.astype(np.float32) if isinstance(part, np.ndarray) and part.dtype.kind == "f" else part


def _difference(
    exercise: Exercise, cases: Sequence[Case], answers: Sequence[Any], yardstick: Yardstick
) -> str:
    """Say for the first case that is off what came, and what is striking about it."""
    off = next(k for k in range(len(cases)) if not yardstick.agrees(k, answers[k], yardstick.right[k]))
    found, right = answers[off], yardstick.right[off]
    names = inspect.signature(exercise.solution).parameters if exercise.inputs else ()
    shown = ", ".join(f"{name} = {_shown(part)}" for name, part in zip(names, cases[off], strict=False))
    your_answer = f"For {shown} your answer" if names else "Your answer"
    if isinstance(found, str) or isinstance(right, str):
        return f"{your_answer} is {_shown(found)}, and it is none of the known mistakes."
    if np.squeeze(found).shape != np.squeeze(right).shape:
        return f"{your_answer} has the shape {found.shape}; asked for is {right.shape}."
    if np.isnan(found).any() and not np.isnan(right).any():
        return f"{your_answer} is not a number in {np.isnan(found).sum()} places: look for zero over zero."
    gap = float(np.max(np.abs(np.squeeze(found) - np.squeeze(right))))
    at_most = " at most" if found.size > 1 else ""
    pattern = _pattern(answers, yardstick.right) or "It is none of the known mistakes."
    return f"{your_answer} {_shown(found)} is off by {gap:.3g}{at_most}. {pattern}"


def _pattern(answers: Sequence[Any], solutions: Sequence[Any]) -> str:
    """Name a constant factor or a constant difference to the solution, over all cases."""
    if any(np.squeeze(a).shape != np.squeeze(b).shape for a, b in zip(answers, solutions, strict=True)):
        return ""
    found, right = (np.concatenate([np.ravel(value) for value in values]) for values in (answers, solutions))
    if found.size < 2 or not np.isfinite([found, right]).all():
        return ""
    shift = found - right
    if np.allclose(shift, shift[0], rtol=1e-6):
        return f"The difference is the same everywhere: {shift[0]:.6g}."
    used = right != 0
    ratio = found[used] / right[used]
    if ratio.size and np.allclose(found[~used], 0) and np.allclose(ratio, ratio[0], rtol=1e-6):
        return f"It is the right answer times {ratio[0]:.6g}, everywhere."
    return ""


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"an array of shape {value.shape}"
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4, separator=", ")
    return f"{value:.6g}" if isinstance(value, float) else f"{getattr(value, '__name__', value)}"


def value_of(what: Any, case: Case) -> Any:
    """Return a value, or what a function gives for a case, in plain numpy."""
    return plain(what(*copies(case))) if callable(what) else plain(what)


def same(found: Any, right: Any, rtol: float, slack: float = 0.0) -> bool:
    """Return whether two values are equal: text exactly, numbers up to rounding of the largest too."""
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
