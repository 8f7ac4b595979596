"""The exercises of the book: :func:`check` says whether an answer is right, and if not, what it looks like.

Each chapter with exercises has a module of its name here that lists them.
"""

import importlib
import pkgutil
from typing import Any

from simam_edu.exercises.checking import Exercise, Mistake, Verdict, judge

__all__ = ["Exercise", "Mistake", "Verdict", "chapters", "check"]


def check(name: str, answer: Any) -> Verdict:
    """Check an answer to an exercise of the book.

    The answer is compared with the truth and with the mistakes that are known for the exercise, so the
    verdict can say which mistake it looks like.

    Args:
        name: The exercise, as it is called on the page.
        answer: A function or a value. A function that names torch in its code is called with tensors, any
            other with arrays of numpy; if it raises, or names neither, with the others too. A value may be a
            number of any kind and format, a list, an array, a tensor, or an expression of sympy.

    Returns:
        The verdict, which shows itself in a notebook.

    Raises:
        ValueError: If there is no exercise of this name.
    """
    known = {exercise.name: exercise for exercises in chapters().values() for exercise in exercises}
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(sorted(known))}, got {name!r}")
    return judge(known[name], answer)


def chapters() -> dict[str, tuple[Exercise, ...]]:
    """Return the exercises of each chapter, by the name of its page."""
    pages = [module.name for module in pkgutil.iter_modules(__path__) if module.name not in _MACHINERY]
    return {page: importlib.import_module(f"{__name__}.{page}").EXERCISES for page in pages}


_MACHINERY = ("answers", "checking", "exercise", "tolerance")
