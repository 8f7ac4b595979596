"""The helper package of the book *SimAM, derived*.

``from simam_edu import SimAM, insert`` gives the module, and what puts it into a network that is there.
Everything else is imported from its own room: ``simam_edu.energy``, ``simam_edu.solvers``,
``simam_edu.networks`` and so on.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simam_edu.attention import SimAM
    from simam_edu.insertion import insert

__all__ = ["SimAM", "insert"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # torch takes seconds to load and the chapters on mathematics do not need it,
    # so these are fetched when they are first asked for.
    if name in __all__:
        from simam_edu import attention, insertion

        return attention.SimAM if name == "SimAM" else insertion.insert
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
