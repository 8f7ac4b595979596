"""How an answer is held against the truth and against the mistakes that are known.

An answer is a function or a value. A function is called on the inputs of its exercise; what it returns may be
an array, a list, a tensor of torch, a number of any kind or an expression of sympy.
"""

import contextlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Number
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

Inputs = Callable[[np.random.Generator], Sequence[tuple[Any, ...]]]


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrong answer that is known, and what to say to it.

    Attributes:
        answer: What somebody who makes the mistake hands in, of the kind of the exercise's truth.
        hint: What that answer computes instead, and where to look. It does not give the answer away.
    """

    answer: Any
    hint: str


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
            summation in float64.
    """

    name: str
    asks: str
    truth: Any
    mistakes: tuple[Mistake, ...]
    inputs: Inputs | None = None
    rtol: float = 1e-6


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


class _NoAnswer(Exception):
    """The answer is not there yet."""


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Return the verdict on an answer to an exercise.

    It is right, or it is a known mistake and its hint is returned, or it is said where and how it is off.
    """
    cases = [()] if exercise.inputs is None else list(exercise.inputs(np.random.default_rng(0)))
    truths = [_value(exercise.truth, case) for case in cases]
    try:
        answers = [_answer(exercise, answer, case) for case in cases]
    except _NoAnswer:
        return Verdict(passed=False, message=f"No answer yet. Asked for: {exercise.asks}.")
    except Exception as error:  # whatever the reader's code raises is the reader's to know
        message = f"Your answer stops with {type(error).__name__}: {error}. Asked for: {exercise.asks}."
        return Verdict(passed=False, message=message)
    if _agree(answers, truths, exercise.rtol):
        return Verdict(passed=True, message="Right.")
    for mistake in exercise.mistakes:
        with np.errstate(all="ignore"):
            wrong = [_value(mistake.answer, case) for case in cases]
        if _agree(answers, wrong, exercise.rtol):
            return Verdict(passed=False, message=f"Not yet. {mistake.hint}")
    difference = _difference(exercise, cases, answers, truths)
    return Verdict(passed=False, message=f"Not yet. {difference[0].upper()}{difference[1:]}")


def _value(what: Any, case: tuple[Any, ...]) -> Any:
    return plain(what(*_copies(case))) if callable(what) else plain(what)


def _copies(case: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments anew: an answer may write into them."""
    return tuple(part.copy() if isinstance(part, np.ndarray) else part for part in case)


def _answer(exercise: Exercise, answer: Any, case: tuple[Any, ...]) -> Any:
    """Return what an answer gives for one case, in plain numpy."""
    if answer is None or answer is Ellipsis:
        raise _NoAnswer
    if callable(exercise.truth):
        names = list(inspect.signature(exercise.truth).parameters)
        if isinstance(answer, sp.Expr):
            return _substituted(answer, names, case)
        if not callable(answer):
            raise TypeError(f"a function is asked for, this is {type(answer).__name__}")
        found = _called(answer, case)
    else:
        found = answer() if callable(answer) else answer
    if found is None or found is Ellipsis:
        raise _NoAnswer
    if isinstance(found, str) and not isinstance(exercise.truth, str):
        with contextlib.suppress(ValueError, ZeroDivisionError):  # other text is compared as text
            found = Fraction(found)
    return plain(found)


def _called(answer: Callable[..., Any], case: tuple[Any, ...]) -> Any:
    """Call a function as it is; if it raises and torch is there, with tensors for arrays, then for floats too."""
    try:
        return answer(*_copies(case))
    except Exception:
        torch = sys.modules.get("torch")
        if torch is None:
            raise
        for kinds in (np.ndarray, np.ndarray | float):
            # float64 by name: torch makes a float of Python one of single precision
            tensors = [
                torch.as_tensor(p, dtype=torch.float64) if isinstance(p, kinds) else p for p in _copies(case)
            ]
            try:
                return answer(*tensors)
            except Exception:
                continue  # the first error is the one that tells
        raise


def _substituted(answer: sp.Expr, names: Sequence[str], case: tuple[Any, ...]) -> Any:
    """Put the arguments into an expression whose symbols have their names."""
    unknown = {s.name for s in answer.free_symbols} - set(names)
    if unknown:
        raise NameError(f"the symbols must be among {', '.join(names)}, got {', '.join(sorted(unknown))}")
    known = {symbol: case[names.index(symbol.name)] for symbol in answer.free_symbols}
    return plain(sp.lambdify(list(known), answer, "numpy")(*known.values()))


def plain(value: Any) -> Any:
    """Return a value as a float array, or as lower-case text.

    Raises:
        TypeError: If it is neither a number, nor made of numbers, nor text.
    """
    if isinstance(value, str):
        return value.strip().lower()
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if isinstance(value, tuple | list):
        value = [plain(part) for part in value]
    if isinstance(value, sp.MatrixBase):
        value = np.array(value.tolist(), dtype=np.float64)
    if isinstance(value, sp.Basic | Number):
        value = float(value)  # type: ignore[arg-type]  # also fractions, decimals and sympy's numbers
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a number or an array of numbers is asked for, this is {type(value).__name__}")
    return array.astype(np.float64)


def _agree(answers: Sequence[Any], wanted: Sequence[Any], rtol: float) -> bool:
    return all(_same(found, right, rtol) for found, right in zip(answers, wanted, strict=True))


def _same(found: Any, right: Any, rtol: float) -> bool:
    if isinstance(found, str) or isinstance(right, str):
        return isinstance(found, str) and isinstance(right, str) and found == right
    found, right = np.squeeze(found), np.squeeze(right)
    if found.shape != right.shape:
        return False
    finite = np.abs(right[np.isfinite(right)])
    smallest = rtol * 1e-3 * float(finite.max(initial=0.0))  # beside large entries, zero is not exact
    return bool(np.allclose(found, right, rtol=rtol, atol=smallest, equal_nan=True))


def _difference(
    exercise: Exercise, cases: Sequence[tuple[Any, ...]], answers: Sequence[Any], truths: Sequence[Any]
) -> str:
    """Say for the first case that is off what came, and what is striking about it."""
    off = next(k for k, found in enumerate(answers) if not _same(found, truths[k], exercise.rtol))
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
