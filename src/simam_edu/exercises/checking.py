"""How an answer is compared with the solution and with the mistakes that are known.

An answer is a function or a value. A function is called on the inputs of its exercise; what it returns may be
an array, a list, a tensor of torch, a number of any kind or an expression of sympy.
"""

import contextlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from simam_edu.exercises.answers import Attempt, NoAnswer, Ragged, attempts, format_of, plain
from simam_edu.exercises.exercise import Case, Exercise, Mistake, Verdict
from simam_edu.exercises.tolerance import Yardstick, same, too_coarse, value_of, yardstick_of

__all__ = ["Exercise", "Mistake", "Verdict", "judge"]


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Return the verdict on an answer to an exercise.

    It is right, or it is a known mistake and its hint is returned, or it is said where and how it is off. A
    function is called with arrays of numpy, with tensors of torch, or with both; the verdict says if the
    tensors decided.
    """
    cases = [()] if exercise.inputs is None else list(exercise.inputs(np.random.default_rng(0)))
    made = _attempts(exercise, answer, cases)
    if any(isinstance(attempt.error, NoAnswer) for attempt in made):
        return Verdict(passed=False, message=f"No answer yet. Asked for: {exercise.asks}.")
    ran = [attempt for attempt in made if attempt.error is None]
    if not ran:
        return _stopped(exercise, cases, max(made, key=lambda attempt: attempt.progress))
    verdicts = [_graded(exercise, cases, attempt) for attempt in ran]
    first = verdicts[0]
    if len(ran) == 2 and verdicts[1].passed and not first.passed:
        return Verdict(
            passed=True,
            message=f"Right {_WITH[ran[1].library]}. (Called {_WITH[ran[0].library]}: {first.message})",
        )
    if ran[0].library == "torch":
        return Verdict(passed=first.passed, message=f"{first.message} (Called {_WITH['torch']}.)")
    return first


_WITH = {"numpy": "with arrays of numpy", "torch": "with tensors of torch"}


def _stopped(exercise: Exercise, cases: Sequence[Case], attempt: Attempt) -> Verdict:
    """Say what an answer raised, or give the hint of a mistake that stops in the same case."""
    where = f" (Called {_WITH['torch']}.)" if attempt.library == "torch" else ""
    before = [plain(value) for value in attempt.returned]
    for mistake in exercise.mistakes if before else ():
        wrong = _mistaken(mistake, cases)
        if len(wrong) == len(before) and all(
            same(a, b, exercise.rtol) for a, b in zip(before, wrong, strict=True)
        ):
            return Verdict(passed=False, message=f"Not yet. {mistake.hint}{where}")
    error = attempt.error
    what = f"{error}" if isinstance(error, Ragged) else f"stops with {type(error).__name__}: {error}"
    return Verdict(passed=False, message=f"Your answer {what}. Asked for: {exercise.asks}.{where}")


def _attempts(exercise: Exercise, answer: Any, cases: Sequence[Case]) -> list[Attempt]:
    """Call the answer, and read what it returned: that may fail as well."""
    if callable(exercise.truth) and isinstance(answer, sp.Expr):
        names = list(inspect.signature(exercise.truth).parameters)
        answer = partial(_substituted, answer, names)
    elif callable(exercise.truth) and not callable(answer) and answer is not None and answer is not Ellipsis:
        wrong = TypeError(f"a function is asked for, this is {type(answer).__name__}")
        return [Attempt("numpy", error=wrong)]
    made = attempts(answer, cases) if callable(answer) else [Attempt("numpy", (answer,))]
    return [_read(exercise, attempt, len(cases)) for attempt in made]


def _read(exercise: Exercise, attempt: Attempt, cases: int) -> Attempt:
    returned: list[Any] = []
    for found in attempt.returned:
        try:
            if found is None or found is Ellipsis:
                raise NoAnswer
            if isinstance(found, str) and not isinstance(exercise.truth, str):
                with contextlib.suppress(ValueError, ZeroDivisionError):  # other text is compared as text
                    found = Fraction(found)
            plain(found)
        except Exception as error:  # also what an object of the reader raises when it is read
            return Attempt(attempt.library, error=error, progress=(cases,))
        returned.append(found)
    return replace(attempt, returned=tuple(returned))


def _substituted(answer: sp.Expr, names: Sequence[str], *case: Any) -> Any:
    """Put the arguments into an expression whose symbols have their names."""
    unknown = {s.name for s in answer.free_symbols} - set(names)
    if unknown:
        raise NameError(f"the symbols must be among {', '.join(names)}, got {', '.join(sorted(unknown))}")
    known = {symbol: case[names.index(symbol.name)] for symbol in answer.free_symbols}
    return sp.lambdify(list(known), answer, "numpy")(*known.values())


def _graded(exercise: Exercise, cases: Sequence[Case], attempt: Attempt) -> Verdict:
    """Compare what was returned with the truth and with the known mistakes; the nearest that agrees counts."""
    found, form = [plain(value) for value in attempt.returned], format_of(attempt.returned)
    yardstick = yardstick_of(exercise, cases, form)
    if form and (all(slack is None for slack in yardstick.slack) or too_coarse(exercise, cases, form)):
        message = f"Not yet. Your answer comes in {form}, which cannot hold the numbers of this exercise."
        return Verdict(passed=False, message=message)
    right = all(map(yardstick.agrees, range(len(cases)), found, yardstick.truths))
    if right and not form:
        return Verdict(passed=True, message="Right.")
    # In a coarse format a mistake may agree as well: it must be clearly nearer than the truth.
    limit = yardstick.distance(found, yardstick.truths) / 2 if right else np.inf
    nearest: Mistake | None = None
    for mistake in exercise.mistakes:
        wrong = _mistaken(mistake, cases, lambda k, value: yardstick.agrees(k, found[k], value))
        if len(wrong) == len(cases) and yardstick.distance(found, wrong) < limit:
            nearest, limit = mistake, yardstick.distance(found, wrong)
    if nearest is None and right:
        return Verdict(passed=True, message="Right.")
    nearest = nearest or _known_by_its_cases(exercise, cases, yardstick, found, form)
    if nearest:
        return Verdict(passed=False, message=f"Not yet. {nearest.hint}")
    difference = _difference(exercise, cases, found, yardstick)
    return Verdict(passed=False, message=f"Not yet. {difference[0].upper()}{difference[1:]}")


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


def _known_by_its_cases(
    exercise: Exercise, cases: Sequence[Case], yardstick: Yardstick, found: Sequence[Any], form: str | None
) -> Mistake | None:
    """Return the erratic mistake that is wrong in the same cases as what was found."""
    if form == "float32":  # then the digits are lost in other cases than in float64
        cases = [tuple(_single(part) for part in case) for case in cases]
    for mistake in exercise.mistakes:
        if mistake.erratic is None:
            continue
        wrong, off_by = _mistaken(mistake, cases), mistake.erratic
        pattern = [
            [not yardstick.agrees(k, values[k], right, off_by) for k, right in enumerate(yardstick.truths)]
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
    truths = yardstick.truths
    off = next(k for k, found in enumerate(answers) if not yardstick.agrees(k, found, truths[k]))
    found, right = answers[off], truths[off]
    where = f"For {_described(exercise, cases[off])} " if exercise.inputs else ""
    if isinstance(found, str) or isinstance(right, str):
        return f"{where}your answer is {_shown(found)}, and it is none of the known mistakes."
    if np.squeeze(found).shape != np.squeeze(right).shape:
        return f"{where}your answer has the shape {found.shape}; asked for is {right.shape}."
    if np.isnan(found).any() and not np.isnan(right).any():
        count = int(np.isnan(found).sum())
        return f"{where}your answer is not a number in {count} places: look for zero over zero."
    pattern = _pattern(answers, truths)
    gap = float(np.max(np.abs(np.squeeze(found) - np.squeeze(right))))
    what = f"{where}your answer {_shown(found)} is off by {gap:.3g}" + (" at most" if found.size > 1 else "")
    return f"{what}. {pattern or 'It is none of the known mistakes.'}"


def _pattern(answers: Sequence[NDArray[Any]], truths: Sequence[NDArray[Any]]) -> str:
    """Name a constant factor or a constant difference to the truth, over all cases."""
    if len({np.squeeze(a).shape == np.squeeze(b).shape for a, b in zip(answers, truths, strict=True)}) != 1:
        return ""
    found = np.concatenate([np.ravel(value) for value in answers])
    right = np.concatenate([np.ravel(value) for value in truths])
    if found.size != right.size or found.size < 2 or not np.isfinite([found, right]).all():
        return ""
    shift = found - right
    if np.allclose(shift, shift[0], rtol=1e-6):
        return f"The difference is the same everywhere: {shift[0]:.6g}."
    used = right != 0
    ratio = found[used] / right[used]
    if ratio.size and np.allclose(found[~used], 0) and np.allclose(ratio, ratio[0], rtol=1e-6):
        return f"It is the right answer times {ratio[0]:.6g}, everywhere."
    return ""


def _described(exercise: Exercise, case: tuple[Any, ...]) -> str:
    names = inspect.signature(exercise.truth).parameters
    return ", ".join(f"{name} = {_shown(value)}" for name, value in zip(names, case, strict=False))


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"an array of shape {value.shape}"
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4, separator=", ")
    return f"{value:.6g}" if isinstance(value, float) else f"{getattr(value, '__name__', value)}"
