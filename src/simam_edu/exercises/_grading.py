"""How an answer is graded: against the solution, and against the mistakes that are known."""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import sympy as sp

from simam_edu.exercises._answers import (
    DIGITS,
    Attempt,
    NoAnswer,
    Ragged,
    attempt,
    attempts,
    is_real,
    plain,
    rounded_case,
)
from simam_edu.exercises._exercise import Case, Exercise, Mistake, Result

STOPPED = "stops"
NEXT_TO_SAME = float(np.nextafter(1.0, 2.0))  # what is below it is the same
WITH = {"numpy": "with arrays of numpy", "torch": "with tensors of torch"}


def grade(exercise: Exercise, answer: Any) -> Result:
    """Return the result of an answer to an exercise.

    It is right, or it is a known mistake and its hint is returned, or it is said where and
    how it is off. A function is called with arrays of numpy, with tensors of torch, or with
    both; the message says if the tensors decided.
    """
    cases = list(exercise.inputs(np.random.default_rng(0)))
    made = _attempts(exercise, answer, cases)
    if any(isinstance(one.error, NoAnswer) for one in made):
        return Result(passed=None, message=f"Your turn, in the notebook of this page: {exercise.prompt}.")
    ran = [one for one in made if one.error is None]
    if not ran:
        ran = [max(made, key=lambda one: one.progress)]
        first = Result(passed=False, message=_stopped(exercise, cases, ran[0]))
    else:
        first, *others = (_graded(exercise, cases, one) for one in ran)
        if not first.passed and any(other.passed for other in others):
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
            error = TypeError(f"a function is asked for, this is {type(answer).__name__}")
            return [Attempt("numpy", (), error=error)]
    return attempts(answer, cases) if callable(answer) else [attempt(lambda *_: answer, [()])]


def _substituted(answer: sp.Expr, names: Sequence[str], *case: Any) -> Any:
    """Put the arguments into an expression whose symbols have their names."""
    unknown = {s.name for s in answer.free_symbols} - set(names)
    if unknown:
        raise NameError(f"the symbols must be among {', '.join(names)}, got {', '.join(sorted(unknown))}")
    known = {symbol: case[names.index(symbol.name)] for symbol in answer.free_symbols}
    return sp.lambdify(list(known), answer, "numpy")(*known.values())


def _stopped(exercise: Exercise, cases: Sequence[Case], stopped: Attempt) -> str:
    """Say what an answer raised, or give the hint of a mistake that stops in the same case."""
    done, error = len(stopped.values), stopped.error
    for mistake in exercise.mistakes if done else ():
        wrong = attempt(mistake.answer, cases[: done + 1])
        if (
            len(wrong.values) == done
            and distance(stopped.values, wrong.values, exercise.rtol, [0.0] * done) <= 1
        ):
            return f"Not yet. {mistake.hint}"
    what = f"{error}" if isinstance(error, Ragged) else f"stops with {type(error).__name__}: {error}"
    return f"Your answer {what}. Asked for: {exercise.prompt}."


def _graded(exercise: Exercise, cases: Sequence[Case], answer: Attempt) -> Result:
    """Compare what was returned with the solution and with the known mistakes; the nearest counts."""
    found, form, rtol = answer.values, answer.form, exercise.rtol
    right = list(values_of(exercise.solution, cases))
    slack = [0.0] * len(cases)
    whole = all(isinstance(value, str) or np.array_equal(value, np.round(value)) for value in right)
    if form and not exercise.needs_digits and not whole:  # whole numbers are exact
        slack = [_slack(exercise, case, value, form) for case, value in zip(cases, right, strict=True)]
    if form and (min(slack) == np.inf or (exercise.needs_digits and _too_coarse(cases, form))):
        message = f"Not yet. Your answer comes in {form}, which cannot hold the numbers of this exercise."
        return Result(passed=False, message=message)
    off = distance(found, right, rtol, slack)
    if off <= 1 and not form:
        return Result(passed=True, message="Right.")
    # In a coarse format a mistake may agree as well: it must be clearly nearer than the solution.
    nearest, limit = None, off / 2 if off <= 1 else NEXT_TO_SAME
    for mistake in exercise.mistakes:
        off_mistake = distance(found, values_of(mistake.answer, cases), rtol, slack)
        if off_mistake < limit:
            nearest, limit = mistake, off_mistake
    if nearest is None and off <= 1:
        return Result(passed=True, message="Right.")
    nearest = nearest or _known_by_its_cases(exercise, cases, answer, right, slack)
    message = nearest.hint if nearest else _difference(exercise, cases, found, right, slack)
    return Result(passed=False, message=f"Not yet. {message}")


def values_of(what: Any, cases: Sequence[Case]) -> Iterator[Any]:
    """Yield a value, or what a function gives for each case, in plain numpy; STOPPED where it raises."""
    for case in cases:
        try:
            with np.errstate(all="ignore"):
                yield plain(what(*deepcopy(case)) if callable(what) else what)
        except (ValueError, ArithmeticError):  # sizes that do not fit, or an argument out of range
            yield STOPPED


def distance(found: Sequence[Any], wanted: Iterable[Any], rtol: float, slack: Sequence[float]) -> float:
    """Return how far values are from the wanted ones: up to one they are the same, in every case.

    The first case that is not the same ends it; ``wanted`` is then read no further.
    """
    farthest = 0.0
    for value, right, room in zip(found, wanted, slack, strict=False):
        farthest = max(farthest, _distance(value, right, rtol, room))
        if farthest > 1:
            break
    return farthest


def _distance(found: Any, right: Any, rtol: float, slack: float) -> float:
    """Return the largest difference in units of what is allowed: a part of each number and of the largest."""
    if slack == np.inf:
        return 0.0
    if isinstance(found, str) or isinstance(right, str):
        return 0.0 if isinstance(found, str) and isinstance(right, str) and found == right else np.inf
    found, right = np.squeeze(found), np.squeeze(right)
    if found.shape != right.shape:
        return np.inf
    finite = np.isfinite(found) & np.isfinite(right)
    if not np.array_equal(found[~finite], right[~finite], equal_nan=True):
        return np.inf
    gap, size = np.abs(found[finite] - right[finite]), np.abs(right[finite])
    part = max(slack, rtol * 1e-3)  # beside large entries, zero is not exact
    allowed = rtol * size + part * size.max(initial=0.0)
    with np.errstate(divide="ignore"):
        return float(np.divide(gap, allowed, out=np.zeros_like(gap), where=gap > 0).max(initial=0.0))


def _slack(exercise: Exercise, case: Case, right: Any, form: str) -> float:
    """Return what a format costs: eight times the rounding of the result and that of the arguments.

    The second is the condition of the case, and nobody who computes in this format can do
    much better. Where both come to a quarter of the result, the case says nothing: it is infinite.
    """
    largest = np.max(np.abs(right))
    (of_rounded,) = values_of(exercise.solution, [rounded_case(case, form)])
    if isinstance(of_rounded, str):  # an argument is out of range, or no longer a legal one
        return np.inf
    with np.errstate(all="ignore"):
        moved = np.max(np.abs(of_rounded - right))
        slack = 8 * (2.0 ** -DIGITS[form] + (moved / largest if moved else 0.0))
    return float(slack) if slack < 1 / 4 else np.inf


def _too_coarse(cases: Sequence[Case], form: str) -> bool:
    """Return whether the arguments of an exercise about rounding are not held by a format."""
    pairs = [pair for case in cases for pair in zip(case, rounded_case(case, form), strict=True)]
    arrays = [pair for pair in pairs if isinstance(pair[0], np.ndarray)]
    floats = [pair for pair in pairs if isinstance(pair[0], float)]  # beside arrays they are exact
    return any(not np.array_equal(*pair) for pair in arrays or floats)


def _known_by_its_cases(
    exercise: Exercise, cases: Sequence[Case], answer: Attempt, right: Sequence[Any], slack: Sequence[float]
) -> Mistake | None:
    """Return the erratic mistake that is wrong in the same cases as what was found."""
    if answer.form == "float32":  # then the digits are lost in other cases than in float64
        cases = [tuple(np.float32(part) if is_real(part) else part for part in case) for case in cases]
    for mistake in exercise.mistakes:
        if mistake.erratic is None:
            continue
        both = zip(answer.values, values_of(mistake.answer, cases), right, slack, strict=True)
        wrong = [[_distance(one, r, mistake.erratic, s) > 1 for one in ones] for *ones, r, s in both]
        if all(one == other for one, other in wrong) and [True, True] in wrong and [False, False] in wrong:
            return mistake
    return None


def _difference(
    exercise: Exercise, cases: Sequence[Case], answers: Sequence[Any], rights: Sequence[Any], slack: Any
) -> str:
    """Say for the first case that is off what came, and what is striking about it."""
    all_cases = zip(cases, answers, rights, slack, strict=True)
    case, found, right = next(c[:3] for c in all_cases if _distance(*c[1:3], exercise.rtol, c[3]) > 1)
    names = inspect.signature(exercise.solution).parameters if case else ()
    shown = ", ".join(f"{name} = {_shown(part)}" for name, part in zip(names, case, strict=False))
    your_answer = f"For {shown} your answer" if names else "Your answer"
    if isinstance(found, str) or isinstance(right, str):
        return f"{your_answer} is {_shown(found)}, and it is none of the known mistakes."
    if np.squeeze(found).shape != np.squeeze(right).shape:
        return f"{your_answer} has the shape {found.shape}; asked for is {right.shape}."
    if np.isnan(found).any() and not np.isnan(right).any():
        return f"{your_answer} is not a number in {np.isnan(found).sum()} places: look for zero over zero."
    gap = np.max(np.abs(np.squeeze(found) - np.squeeze(right)))
    at_most = " at most" if found.size > 1 else ""
    pattern = _pattern(answers, rights) or "It is none of the known mistakes."
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
    if isinstance(value, np.ndarray):
        array = np.array2string(value, precision=4, separator=", ")
        return array if value.size <= 4 else f"an array of shape {value.shape}"
    return f"{value:.6g}" if isinstance(value, float) else f"{getattr(value, '__name__', value)}"
