"""How an answer is called, with arrays of numpy or tensors of torch, and read as numbers.

A function that names one of the two libraries was written for it, and is judged with it. One that names
neither may mean either: ``x.var()`` divides by M in numpy and by M-1 in torch.
"""

import inspect
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Number
from typing import Any, Literal

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from simam_edu.exercises._exercise import Case

Library = Literal["numpy", "torch"]
FORMATS = {"bfloat16": (8, 3.39e38), "float16": (11, 65504.0), "float32": (24, 3.4e38)}
"""The binary digits of a number and the largest one, of each format below float64; coarsest first."""


class Ragged(Exception):
    """The answer has parts that are not one array."""


@dataclass(frozen=True)
class Attempt:
    """What came of calling an answer for every case.

    Attributes:
        library: Whose arrays it was called with.
        returned: What it returned for each case, as it is; if it raised, for the cases before.
        error: What it raised.
        progress: How far it came: the case, and the place in the code of each function that was running.
    """

    library: Library
    returned: tuple[Any, ...] = ()
    error: Exception | None = None
    progress: tuple[int, ...] = ()


def attempts(answer: Callable[..., Any], cases: Sequence[Case]) -> list[Attempt]:
    """Call a function with arrays and with tensors, with what it was written for first.

    It is not called with the other, if it names one library alone and runs with that.
    """
    named = libraries(answer)
    with_arrays, with_tensors = partial(_called, answer, cases), partial(_called_with_tensors, answer, cases)
    ways = [with_tensors, with_arrays] if "torch" in named else [with_arrays, with_tensors]
    if "torch" not in sys.modules:  # whoever hands in tensors has loaded it
        ways = [with_arrays]
    made: list[Attempt] = []
    for way in ways:
        if not (made and made[0].error is None and len(named) == 1):
            made.append(way())
    return made


def _called(
    answer: Callable[..., Any], cases: Sequence[Case], library: Library = "numpy", kinds: Any = ()
) -> Attempt:
    """Call a function for every case, with tensors in the place of arguments of these kinds."""
    returned = []
    for k, case in enumerate(cases):
        arguments = [tensor(part) if isinstance(part, kinds) else part for part in copies(case)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of numbers out of range: the result has to say it
                returned.append(answer(*arguments))
        except Exception as error:  # a reader's code may raise anything
            return Attempt(library, tuple(returned), error, progress=(k, *_places(error)))
    return Attempt(library, tuple(returned))


def _called_with_tensors(answer: Callable[..., Any], cases: Sequence[Case]) -> Attempt:
    """Call a function with tensors for arrays; if it raises, with tensors for floats as well."""
    made = []
    for kinds in (np.ndarray, np.ndarray | float):
        made.append(_called(answer, cases, "torch", kinds))
        if made[-1].error is None:
            return made[-1]
    return max(made, key=lambda attempt: attempt.progress)


def _places(error: Exception) -> list[int]:
    """Return how far each function had come when the error was raised, the answer itself first."""
    places, entry = [], error.__traceback__ and error.__traceback__.tb_next
    while entry:
        places.append(entry.tb_lasti)
        entry = entry.tb_next
    return places


def tensor(value: Any) -> Any:
    """Return a tensor of the same type; torch itself makes a float of Python one of single precision."""
    return sys.modules["torch"].as_tensor(np.asarray(value))


def copies(case: Case) -> Case:
    """Return the arguments anew: an answer may write into them."""
    return tuple(part.copy() if isinstance(part, np.ndarray) else part for part in case)


def libraries(answer: Callable[..., Any]) -> set[str]:
    """Return which of numpy and torch a function names, in its own code or in that of its helpers."""
    named: set[str] = set()
    waiting: list[Any] = [answer]
    seen: set[types.CodeType] = set()
    while waiting:
        value = waiting.pop()
        named |= _libraries_of(value)
        value = value.func if isinstance(value, partial) else getattr(value, "__func__", value)
        if not isinstance(value, types.FunctionType) or value.__code__ in seen:
            continue
        seen.add(value.__code__)
        known = value.__globals__ | dict(inspect.getclosurevars(value).nonlocals)
        for name in _names(value.__code__):
            if name in ("numpy", "torch"):  # also an import inside the function
                named.add(name)
            if name in known:
                named |= _libraries_of(known[name])
                if isinstance(known[name], types.FunctionType):
                    waiting.append(known[name])
    return named


def _names(code: types.CodeType) -> set[str]:
    """Return all names that a piece of code looks up, those of the functions inside it too."""
    found = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _libraries_of(value: Any) -> set[str]:
    """Return which of the two a module, function, class or object belongs to; scipy is for numpy's arrays."""
    owner = getattr(value, "__self__", None)  # torch.exp knows no module, but that it is of a class of torch
    kinds = [*(value if isinstance(value, type) else type(value)).__mro__, owner]
    modules = [value.__name__] if inspect.ismodule(value) else [value, *kinds]
    names = [part if isinstance(part, str) else getattr(part, "__module__", "") for part in modules]
    roots = {str(name).partition(".")[0] for name in names}
    return {"torch"} & roots | ({"numpy"} if {"numpy", "scipy"} & roots else set())


def plain(value: Any) -> Any:
    """Return a value as a float array, or as lower-case text.

    Raises:
        TypeError: If it is neither a number, nor made of numbers, nor text.
        Ragged: If it is made of parts of several shapes.
    """
    if isinstance(value, str):
        return value.strip().lower()
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.double() if value.is_floating_point() else value  # numpy has no bfloat16
    if isinstance(value, sp.MatrixBase):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return _stacked([plain(part) for part in value])
    if isinstance(value, sp.Basic | Number):
        value = float(value)  # type: ignore[arg-type]  # also fractions, decimals and sympy's numbers
    if isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.ndim == 0:
        return plain(value.item())
    array = np.asarray(value)
    if array.dtype.kind == "O" and array.ndim > 0:
        return _stacked([plain(part) for part in array.ravel()]).reshape(array.shape)
    if array.dtype.kind not in "biuf":
        kind = f"{type(value).__name__} of {array.dtype}" if array.ndim else type(value).__name__
        raise TypeError(f"a real number or an array of them is asked for, this is {kind}")
    return array.astype(np.float64)


def _stacked(parts: list[Any]) -> NDArray[np.float64]:
    if any(isinstance(part, str) for part in parts):
        raise TypeError("a real number or an array of them is asked for, this has text in it")
    shapes = [str(part.shape) for part in parts]
    if len(set(shapes)) > 1:
        listed = " and ".join(shapes if len(shapes) < 5 else [*shapes[:3], "more"])
        raise Ragged(f"has {len(shapes)} parts of the shapes {listed}, which are not one array")
    return np.array(parts, dtype=np.float64)


def format_of(returned: Sequence[Any]) -> str | None:
    """Return the coarsest number format of what was returned, or None for float64 and what has no format.

    Numbers that came out of float32 by ``item`` or ``tolist`` have its digits still: 24 binary ones.
    """
    declared = {name for value in returned for name in _declared(value)}
    for name in FORMATS:
        if name in declared:
            return name
    parts = [plain(value) for value in returned]
    if any(isinstance(part, str) for part in parts):
        return None
    values = np.concatenate([np.ravel(part) for part in parts])
    in_single = np.array_equal(_rounded(values, "float32"), values, equal_nan=True)
    in_half = np.array_equal(_rounded(values, "float16"), values, equal_nan=True)  # as 0.5 and 12 are
    return "float32" if in_single and not in_half else None


def _declared(value: Any) -> set[str]:
    if isinstance(value, tuple | list):
        return {name for part in value for name in _declared(part)}
    return {str(getattr(value, "dtype", "")).removeprefix("torch.")}


def rounded_case(case: Case, name: str) -> Case:
    """Return the arguments as a format holds them, in float64; what is out of its range is infinite."""
    return tuple(
        _rounded(part, name)[()]
        if isinstance(part, float) or (isinstance(part, np.ndarray) and part.dtype.kind == "f")
        else part
        for part in copies(case)
    )


def _rounded(value: Any, name: str) -> NDArray[np.float64]:
    digits, largest = FORMATS[name]
    mantissa, exponent = np.frexp(np.asarray(value, dtype=np.float64))
    found: NDArray[np.float64] = np.ldexp(np.rint(np.ldexp(mantissa, digits)), exponent - digits)
    return np.where(np.abs(found) > largest, np.copysign(np.inf, found), found)
