"""The exercises of the book: :func:`check` says whether an answer is right, and if not, what it looks like.

Each chapter with exercises has a module of its name here that lists them.
"""

import importlib
import pkgutil
from typing import Any

from simam_edu._renamed import renamed
from simam_edu.exercises._exercise import Exercise, Mistake, Result
from simam_edu.exercises._grading import grade

__all__ = ["Exercise", "Mistake", "Result", "chapters", "check"]


def check(name: str, answer: Any) -> Result:
    """Check an answer to an exercise of the book.

    Args:
        name: The exercise, as it is called on the page.
        answer: A function or a value. A function is called with arrays of numpy, and if it raises,
            with tensors of torch. A value may be a number of any kind and format, a list, an array,
            a tensor, or an expression of sympy.

    Returns:
        What the answer looks like, the solution or a known mistake; it shows itself in a notebook.

    Raises:
        ValueError: If there is no exercise of this name.

    >>> check("decision_point", lambda t, mu_t: mu_t)  # doctest: +NORMALIZE_WHITESPACE
    Not yet. This is the mean of the others. There the best line is below zero if the
    target counts for anything; see 'Halfway between target and mean'.
    """
    known = {exercise.name: exercise for listed in chapters().values() for exercise in listed}
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(sorted(known))}, got {name!r}")
    return grade(known[name], answer)


def chapters() -> dict[str, tuple[Exercise, ...]]:
    """Return the exercises of each chapter, by the name of its page.

    >>> [exercise.name for exercise in chapters()["closed_form"]]
    ['least_energy_on_paper', 'best_line', 'least_energy', 'decision_point']
    """
    pages = [module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"]
    return {page: importlib.import_module(f"{__name__}.{page}").EXERCISES for page in pages}


__getattr__ = renamed(__name__, {"Verdict": ("Result", Result)})
