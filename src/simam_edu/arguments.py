"""What functions ask of the numbers they are called with."""

import math
from numbers import Integral, Real


def check_number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    why: str,
) -> float:
    """Return a finite real number of Python or numpy, of at least ``least`` and ``above``, as a float.

    Raises:
        ValueError: If the value is not such a number: a bool, text, a complex
            number, an array, a tensor, nan and infinity are not. The message
            begins with the name, and ``why`` ends it: where a number is found.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # an integer beyond the largest float
            number = math.inf
        if math.isfinite(number) and number >= least and number > above:
            return number
    if least > -math.inf:
        bound = f"finite number of at least {least:g}"
    else:
        bound = "finite positive number" if above == 0 else "finite number"
    raise ValueError(f"{name} must be a {bound}, got {value!r}; {why}")


def check_lam(lam: object) -> float:
    r"""Return the weight :math:`\lambda` of the penalty as a float.

    Raises:
        ValueError: If it is not a finite real number of at least 0.
    """
    return check_number("lam", lam, least=0.0, why="the paper uses 1e-4")


def check_whole(name: str, value: object, *, least: int, why: str) -> int:
    """Return a whole number of at least ``least``; ``why`` ends the message.

    Raises:
        ValueError: If the value is not one of Python or numpy. A bool is not.
    """
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least:
        return int(value)
    raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}; {why}")
