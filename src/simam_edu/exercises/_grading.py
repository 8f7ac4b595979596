"""How an answer is graded: against the solution, and against the mistakes that are known."""

import inspect
import sys
import warnings
from collections.abc import Iterable, Sequence
from copy import deepcopy
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from simam_edu.exercises._exercise import Case, Exercise, Mistake, Result

Value = NDArray[Any] | str | Exception
"""What an answer is in one case: numbers, a text, or what it raised."""


class NoAnswer(Exception):
    """The answer is not there yet."""


def grade(exercise: Exercise, answer: Any) -> Result:
    """Return the result of an answer to an exercise.

    It is right, or it is a known mistake and its hint is returned, or it is said where and
    how far it is off. A function is called with arrays of numpy; if that raises, with tensors
    in the place of the arrays, and then of the floats too.
    """
    if isinstance(answer, sp.Expr) and callable(exercise.solution):
        answer = _as_function(answer, inspect.signature(exercise.solution).parameters)
    runs = [values_of(answer, exercise.cases)]
    if "torch" in sys.modules:  # whoever hands in tensors has loaded torch
        for kinds in (np.ndarray, np.ndarray | float):
            if _errors(runs[-1]):
                runs.append(values_of(answer, exercise.cases, kinds))
    if any(isinstance(value, NoAnswer) for run in runs for value in run):
        message = f"Your turn, in the notebook of this page: {exercise.prompt}."
        return Result(passed=None, message=message)
    fewest = min(len(_errors(run)) for run in runs)
    farthest = [run for run in runs if len(_errors(run)) == fewest]
    complaint = _complaint(exercise, farthest[0])
    if fewest and not complaint:
        errors = [_errors(run)[0] for run in farthest]
        said = dict.fromkeys(f"{type(error).__name__}: {error}" for error in errors)
        complaint = f"Your answer stops with {'; with tensors: '.join(said)}."
        complaint += f" Asked for: {exercise.prompt}."
    called = "" if farthest[0] is runs[0] else " (Called with tensors of torch.)"
    return Result(passed=not complaint, message=(complaint or "Right.") + called)


def _as_function(expression: sp.Expr, names: Iterable[str]) -> Any:
    symbols = {symbol.name: symbol for symbol in expression.free_symbols}
    arguments = [symbols.get(name, sp.Symbol(name)) for name in names]
    function = sp.lambdify(arguments, expression, "numpy")

    def call(*case: Any) -> Any:
        if unknown := symbols.keys() - names:
            raise NameError(f"the symbols must be among {', '.join(names)}, got {', '.join(sorted(unknown))}")
        return function(*case)

    return call


def _errors(run: Sequence[Value]) -> list[Exception]:
    return [value for value in run if isinstance(value, Exception)]


def values_of(answer: Any, cases: Sequence[Case], kinds: Any = ()) -> list[Value]:
    """Return what an answer gives in each case, called with tensors for these kinds."""
    values: list[Value] = []
    for case in deepcopy(cases):  # a function may write into its arguments
        arguments = [_tensor(part) if isinstance(part, kinds) else part for part in case]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numbers out of range: the values have to say it
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                values.append(plain(answer(*arguments) if callable(answer) else answer))
        except Exception as error:  # a reader's code, and what it returns, may raise anything
            values.append(error)
    return values


def _tensor(value: Any) -> Any:
    return sys.modules["torch"].as_tensor(np.asarray(value))  # of a float's own precision


def plain(value: Any) -> NDArray[Any] | str:
    """Return a value as an array of floats in its own format, or as text if it is no number.

    Raises:
        NoAnswer: If it is None or an ellipsis.
        TypeError: If it is neither text nor made of real numbers.
        ValueError: If its parts have several shapes.
    """
    if value is None or value is Ellipsis:
        raise NoAnswer
    if isinstance(value, str):
        text = value.strip().lower()
        try:
            value = Fraction(text)
        except (ValueError, ZeroDivisionError):
            return text
    if isinstance(value, tuple | list):
        value = np.array([plain(part) for part in value])
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            if (value != value.round()).any():  # it would be held to the digits of float32
                raise TypeError("numpy has no bfloat16: compute in float16, float32 or float64")
            value = value.float()
        value = value.numpy()
    array = np.asarray(value)
    return array if array.dtype.kind == "f" else array.astype(float)


def _complaint(exercise: Exercise, found: Sequence[Value]) -> str | None:
    """Say what is wrong with an answer, if it is not right and does not raise for a new reason."""
    cases, right = exercise.cases, values_of(exercise.solution, exercise.cases)
    formats = [value.dtype for value in found if isinstance(value, np.ndarray)]
    form = min(formats, key=lambda dtype: dtype.itemsize, default=np.dtype(float))
    coarse = form.itemsize < 8
    slack = [0.0] * len(right)
    if coarse and not exercise.needs_digits:
        slack = [_slack(exercise, *one, form) for one in zip(cases, right, strict=True)]
    if min(slack) == np.inf:
        return f"Not yet. Your answer is in {form}, which cannot hold the numbers of the exercise."

    def off(wanted: Sequence[Value]) -> list[float]:
        ones = zip(found, wanted, slack, strict=True)
        return [_distance(one, other, exercise.rtol, room) for one, other, room in ones]

    from_right = off(right)
    if max(from_right) <= 1 and not coarse:
        return None
    # In a coarse format a mistake may agree as well as the solution: it must be clearly nearer.
    by_mistake = {mistake: max(off(values)) for mistake, values in _mistaken(exercise).items()}
    nearest = min(by_mistake, key=lambda mistake: by_mistake[mistake])
    if by_mistake[nearest] < min(1, max(from_right) / 2):
        return f"Not yet. {nearest.hint}"
    wrong = {k for k, distance in enumerate(from_right) if distance > 1}
    for mistake in exercise.mistakes:
        if wrong and wrong <= mistake.unstable:
            return f"Not yet. {mistake.hint}"
    if not wrong or _errors(found):
        return None
    k = min(wrong)
    return f"Not yet. {_difference(exercise, cases[k], found[k], right[k])}"


@cache
def _mistaken(exercise: Exercise) -> dict[Mistake, list[Value]]:
    return {mistake: values_of(mistake.answer, exercise.cases) for mistake in exercise.mistakes}


def _slack(exercise: Exercise, case: Case, right: Any, form: np.dtype[Any]) -> float:
    """Return what a format costs: eight times the rounding of the result and of the arguments.

    The second is the condition of the case, and nobody who computes in this format can do much
    better. Where both come to a quarter of the result, the case says nothing: it is infinite.
    """
    with np.errstate(all="ignore"):
        rounded = tuple(_rounded(part, form) for part in case)
        (moved,) = values_of(exercise.solution, [rounded])
        if not isinstance(moved, np.ndarray):  # an argument is no longer a legal one
            return np.inf
        largest = np.max(np.abs(right))
        cost = 8 * (np.finfo(form).eps / 2 * largest + np.max(np.abs(moved - right)))
    return float(cost) if cost <= largest / 4 else np.inf


def _rounded(part: Any, form: np.dtype[Any]) -> Any:
    """Return an argument as a format holds it, in float64; a whole number is left alone."""
    array = np.asarray(part)
    return array.astype(form).astype(float)[()] if array.dtype.kind == "f" else part


def _distance(found: Value, right: Value, rtol: float, slack: float) -> float:
    """Return the largest difference over what is allowed: a part of each and of the largest."""
    if slack == np.inf:
        return 0.0
    if isinstance(found, Exception) or isinstance(right, Exception):
        return 0.0 if isinstance(found, Exception) and isinstance(right, Exception) else np.inf
    if isinstance(found, str) or isinstance(right, str):
        return 0.0 if isinstance(found, str) and isinstance(right, str) and found == right else np.inf
    found, right = np.squeeze(found).astype(float), np.squeeze(right)
    if found.shape != right.shape:
        return np.inf
    size = np.abs(right)
    largest = size.max(where=np.isfinite(size), initial=0.0)
    beside_large = 1e-3 * rtol * largest  # where zero is not exact
    allowed = rtol * size + max(slack, beside_large)
    same = (found == right) | (np.isnan(found) & np.isnan(right))
    with np.errstate(all="ignore"):
        parts = np.where(same, 0.0, np.abs(found - right) / allowed)
    return float(np.nan_to_num(parts, nan=np.inf, posinf=np.inf).max(initial=0.0))


def _difference(exercise: Exercise, case: Case, found: Any, right: Any) -> str:
    """Say how far an answer is off in a case."""
    names = inspect.signature(exercise.solution).parameters if case else ()
    arguments = [f"{name} = {_shown(part)}" for name, part in zip(names, case, strict=True)]
    answer = f"For {', '.join(arguments)} your answer" if case else "Your answer"
    if isinstance(found, str) or isinstance(right, str):
        return f"{answer} is {found}, and it is none of the known mistakes."
    if np.squeeze(found).shape != np.squeeze(right).shape:
        return f"{answer} has the shape {found.shape}; asked for is {right.shape}."
    if places := np.sum(np.isnan(found)):
        return f"{answer} is not a number in {places} places: look for zero over zero."
    gap = np.max(np.abs(np.squeeze(found) - np.squeeze(right)))
    at_most = " at most" if found.size > 1 else ""
    off = f"is off by {gap:.3g}{at_most}"
    return f"{answer} {_shown(found)} {off}. It is none of the known mistakes."


def _shown(value: Any) -> str:
    array = np.asarray(value)
    if array.size > 4 or array.ndim > 1:
        return f"an array of shape {array.shape}"
    return np.array2string(array, precision=4, separator=", ")
