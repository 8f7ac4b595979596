"""Old public names, kept for one version: they work, and say what they are called now."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any


def renamed(module: str, names: Mapping[str, tuple[str, Any]]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module that still answers to old names, with a DeprecationWarning.

    For each old name of the module ``names`` has how it is written now, and the object.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        now, found = names[name]
        warnings.warn(
            f"{module}.{name} will go with the next version; it is now {now}",
            DeprecationWarning,
            stacklevel=2,
        )
        return found

    return find
