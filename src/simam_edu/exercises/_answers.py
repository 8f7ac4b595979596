"""How an answer is called, with arrays of numpy or tensors of torch, and read as numbers.

A function that names one of the two libraries was written for it, and is judged with it. One that names
neither may mean either: ``x.var()`` divides by M in numpy and by M-1 in torch.
"""

import contextlib
import inspect
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from numbers import Number
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from simam_edu.exercises._exercise import Case

DIGITS = {"bfloat16": 8, "float16": 11, "float32": 24}
"""The binary digits of each number format below float64; coarsest first."""
# What becomes a tensor: if that raises with arrays alone, floats are tried as well.
TENSORS: dict[str, tuple[Any, ...]] = {"numpy": ((),), "torch": (np.ndarray, np.ndarray | float)}


class NoAnswer(Exception):
    """The answer is not there yet."""


class Ragged(Exception):
    """The answer has parts that are not one array."""


@dataclass(frozen=True)
class Attempt:
    """What came of calling an answer for every case.

    Attributes:
        library: Whose arrays it was called with.
        values: What it returned for each case, read by :func:`plain`; if it raised, for the cases before.
        form: The coarsest number format of what it returned, or None for float64.
        error: What it raised.
        progress: How far it came: the case, and the place in the code of each function that was running.
    """

    library: str
    values: tuple[Any, ...]
    form: str | None = None
    error: Exception | None = None
    progress: tuple[int, ...] = ()


def attempts(answer: Callable[..., Any], cases: Sequence[Case]) -> list[Attempt]:
    """Call a function with arrays and with tensors, with what it was written for first.

    It is not called with the other, if it names one library alone and runs with that.
    """
    named = libraries(answer)
    made: list[Attempt] = []
    for library in sorted(TENSORS, reverse="torch" in named):
        alone = made and made[-1].error is None and len(named) == 1
        if alone or library not in sys.modules:  # whoever hands in tensors has loaded torch
            continue
        for kinds in TENSORS[library]:
            made.append(attempt(answer, cases, library, kinds))
            if made[-1].error is None:
                break
    return made


def attempt(
    answer: Callable[..., Any], cases: Sequence[Case], library: str = "numpy", kinds: Any = ()
) -> Attempt:
    """Call a function for every case, with tensors in the place of arguments of these kinds."""
    returned: list[Any] = []
    values: list[Any] = []
    for k, case in enumerate(cases):
        try:
            with warnings.catch_warnings():  # the arguments are copied: an answer may write into them
                warnings.simplefilter("ignore")  # of numbers out of range: the result has to say it
                returned.append(answer(*(tensor(a) if isinstance(a, kinds) else a for a in deepcopy(case))))
            values.append(plain(returned[-1]))
        except Exception as error:  # a reader's code, and what it returns, may raise anything
            # What is returned and cannot be read has come farther than what raises.
            progress = (k, *_places(error)) if len(returned) == k else (k + 1,)
            return Attempt(library, tuple(values), error=error, progress=progress)
    return Attempt(library, tuple(values), format_of(returned, values))


def _places(error: Exception) -> Iterator[int]:
    """Yield how far each function had come when the error was raised, the answer itself first."""
    entry = error.__traceback__ and error.__traceback__.tb_next
    while entry:
        yield entry.tb_lasti
        entry = entry.tb_next


def tensor(value: Any) -> Any:
    """Return a tensor of the same type; torch itself makes a float of Python one of single precision."""
    return sys.modules["torch"].as_tensor(np.asarray(value))


def libraries(answer: Callable[..., Any]) -> set[str]:
    """Return which of numpy and torch a function names, in its own code or in that of its helpers."""
    roots: set[str] = set()
    seen: set[types.CodeType] = set()
    waiting: list[Any] = [answer]
    while waiting:
        value = waiting.pop()
        roots |= _roots(value)
        function = value.func if isinstance(value, partial) else getattr(value, "__func__", value)
        if isinstance(function, types.FunctionType) and function.__code__ not in seen:
            seen.add(function.__code__)
            names = set(_names(function.__code__))
            roots |= names & {"numpy", "torch"}  # also an import inside the function
            known = function.__globals__ | dict(inspect.getclosurevars(function).nonlocals)
            values = [known[name] for name in names & known.keys()]
            roots |= set().union(*map(_roots, values))
            waiting += [value for value in values if isinstance(value, types.FunctionType)]
    return ({"torch"} & roots) | ({"numpy"} if {"numpy", "scipy"} & roots else set())


def _names(code: types.CodeType) -> Iterable[str]:
    """Return all names that a piece of code looks up, those of the functions inside it too."""
    inside = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return {*code.co_names, *code.co_freevars}.union(*map(_names, inside))


def _roots(value: Any) -> set[str]:
    """Return the packages of a module, or of a function, a class or an object and its classes."""
    if inspect.ismodule(value):
        return {value.__name__.partition(".")[0]}
    owner = getattr(value, "__self__", None)  # torch.exp knows no module, but that it is of a class of torch
    kinds = (value if isinstance(value, type) else type(value)).__mro__
    return {str(getattr(part, "__module__", "")).partition(".")[0] for part in (value, *kinds, owner)}


def plain(value: Any) -> Any:
    """Return a value as a float array, or as lower-case text if it is text and no number.

    Raises:
        NoAnswer: If it is None or an ellipsis.
        TypeError: If it is neither a number, nor made of numbers, nor text.
        Ragged: If it is made of parts of several shapes.
    """
    if value is None or value is Ellipsis:
        raise NoAnswer
    if isinstance(value, str):
        with contextlib.suppress(ValueError, ZeroDivisionError):
            return np.float64(Fraction(value))
        return value.strip().lower()
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.double() if value.is_floating_point() else value  # numpy has no bfloat16
    if isinstance(value, sp.MatrixBase):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return _stacked(value)
    if isinstance(value, sp.Basic | Number):
        value = float(value)  # type: ignore[arg-type]  # also fractions, decimals and sympy's numbers
    array = np.asarray(value)
    if isinstance(value, np.ndarray) and array.dtype.kind == "O":
        return _stacked(array.ravel()).reshape(array.shape)
    if array.dtype.kind not in "biuf":
        kind = f"{type(value).__name__} of {array.dtype}" if array.ndim else type(value).__name__
        raise TypeError(f"a real number or an array of them is asked for, this is {kind}")
    return array.astype(np.float64)


def _stacked(values: Iterable[Any]) -> NDArray[np.float64]:
    parts = [plain(value) for value in values]
    if any(isinstance(part, str) for part in parts):
        raise TypeError("a real number or an array of them is asked for, this has text in it")
    shapes = list(dict.fromkeys(str(part.shape) for part in parts))
    if len(shapes) > 1:
        listed = " and ".join(shapes if len(shapes) < 5 else [*shapes[:3], "more"])
        raise Ragged(f"has {len(parts)} parts of the shapes {listed}, which are not one array")
    return np.array(parts, dtype=np.float64)


def format_of(returned: Sequence[Any], values: Sequence[Any]) -> str | None:
    """Return the coarsest number format of what was returned, or None for float64 and what has no format.

    Numbers that came out of float32 by ``item`` or ``tolist`` have its digits still: 24 binary ones.
    """
    parts = [part for value in returned for part in (value if isinstance(value, tuple | list) else [value])]
    declared = {str(getattr(part, "dtype", "")).removeprefix("torch.") for part in parts}
    for form in DIGITS:
        if form in declared:
            return form
    if any(isinstance(value, str) for value in values):
        return None
    numbers = np.concatenate([np.ravel(value) for value in values])
    in_single, in_half = (
        np.array_equal(rounded(numbers, form), numbers, equal_nan=True) for form in ("float32", "float16")
    )
    return "float32" if in_single and not in_half else None  # as 0.5 and 12 are in any


def rounded(value: Any, form: str) -> NDArray[np.float64]:
    """Return numbers as a format holds them, in float64; what is out of its range is infinite."""
    if form == "bfloat16":
        found: NDArray[np.float64] = tensor(value).bfloat16().double().numpy()
        return found
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(form).astype(np.float64)


def rounded_case(case: Case, form: str) -> Case:
    """Return the arguments as a format holds them."""
    return tuple(rounded(part, form)[()] if is_real(part) else part for part in case)


def is_real(part: Any) -> bool:
    """Return whether an argument is a float or an array of floats, and no whole number."""
    return isinstance(part, float) or (isinstance(part, np.ndarray) and part.dtype.kind == "f")
