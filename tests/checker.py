"""What checks the types of arguments and results, for jaxtyping's hook in pyproject.toml."""

from typing import Any, Self

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as for mypy


def typechecked(function):
    """Check all but Self, which beartype knows only where it decorates the whole class."""
    hints = function.__annotations__.items()
    function.__annotations__ = {name: Any if hint is Self else hint for name, hint in hints}
    return checked(function)
