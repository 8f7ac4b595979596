"""The helper package of the book *SimAM, derived*.

``from simam_edu import SimAM`` gives the module. Everything else is imported from its own
room: ``simam_edu.energy``, ``simam_edu.solvers``, ``simam_edu.networks`` and so on.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simam_edu.attention import SimAM

__all__ = ["SimAM"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # torch takes seconds to load and the chapters on mathematics do not need it,
    # so SimAM is fetched when it is first asked for.
    if name == "SimAM":
        from simam_edu.attention import SimAM

        return SimAM
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
