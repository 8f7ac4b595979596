"""Attention put into a network that is there already, and taken out again.

Nothing is hooked: the class of each module that gets one becomes a subclass with another ``forward``, so that
names, weights, ``isinstance``, torch.compile, torch.export, copies and pickles go on as before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from torch import nn

from simam_edu.attention import SimAM

Where = type[nn.Module] | str
"""A class of modules, or a pattern of their names as for files: ``"layer*.conv2"``; ``*`` takes dots, too."""

BEFORE, AFTER = "inserted_before", "inserted_after"


class _Inserted(nn.Module):
    """The first base of every class made here; the second is the class that the module had."""

    inserted_before: nn.Module
    inserted_after: nn.Module

    def forward(self, x: Any, /, *arguments: Any, **options: Any) -> Any:
        if BEFORE in self._modules:
            x = self.inserted_before(x)
        y = super().forward(x, *arguments, **options)
        return self.inserted_after(y) if AFTER in self._modules else y

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A class made while running cannot be found by its name: a copy or pickle makes it anew.
        reduced: Any = super().__reduce_ex__(protocol)
        return (_new, (type(self).__bases__[1],), *reduced[2:])


@cache
def _subclass(kind: Any) -> Any:
    # Of the same module, by which torch.fx knows the classes of torch that it takes whole.
    return type(f"{kind.__name__}WithInserted", (_Inserted, kind), {"__module__": kind.__module__})


def _new(kind: Any) -> nn.Module:
    made: nn.Module = _subclass(kind).__new__(_subclass(kind))
    return made


def _is_changed(module: nn.Module) -> bool:
    return type(module).__bases__[0] is _Inserted


@dataclass(frozen=True)
class Insertion:
    """What :func:`insert` put where.

    Attributes:
        network: The network that was changed.
        names: The names of the new modules in it, such as ``"layer1.0.conv2.inserted_after"``.
    """

    network: nn.Module
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Insertion({', '.join(self.names)})"

    def remove(self) -> None:
        """Take all of them out; the network is then what it was.

        In a copy or a pickle, ``Insertion(copy, insertion.names).remove()`` does it.

        Raises:
            ValueError: If one is not there any more, or its module has got another class since; then none is
                taken out.
        """
        modules = dict(self.network.named_modules())
        places = []
        for name in self.names:
            path, _, place = name.rpartition(".")
            module = modules.get(path)
            if module is None or place not in module._modules or not _is_changed(module):
                raise ValueError(
                    f"names must be those of inserted modules, got {name!r}; each is taken out once, and "
                    "what changed the class of its module later, such as a parametrization, goes first"
                )
            places.append((module, place))
        for module, place in places:
            delattr(module, place)
            if not {BEFORE, AFTER} & module._modules.keys():
                module.__class__ = type(module).__bases__[1]


def insert(
    network: nn.Module,
    *,
    before: Where | None = None,
    after: Where | None = None,
    make: Callable[[], nn.Module] = SimAM,
) -> Insertion:
    """Put attention before or after modules of a network, and return what was put where.

    The network is changed itself, before torch.compile, export or training. Names of its modules, keys of its
    state dict and its weights stay, since SimAM has none; modules with weights of their own add theirs. A
    module that is called several times, as a shared activation, has the attention at each call. What stands
    before or after an ``nn.Sequential`` is put before its first or after its last module.

    Args:
        network: Any network.
        before: The modules whose first input goes through attention: a class, such as ``nn.BatchNorm2d``, or
            a pattern of names, such as ``"layer*.bn2"``, as in ``network.named_modules()``.
        after: Those whose output does.
        make: Makes one module for each place, ``SimAM`` with its defaults, or another, such as
            ``lambda: SimAM(lam=0.1)``.

    Raises:
        ValueError: If neither place is given, one matches no module, a module has attention there already or
            cannot be called, or ``make`` returns no module; then nothing is changed.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    >>> insert(network, after=nn.BatchNorm2d)
    Insertion(1.inserted_after)
    """
    if before is None and after is None:
        raise ValueError("before or after must say where, got neither; give a class of modules or a name")
    found = [*_targets(network, "before", before), *_targets(network, "after", after)]
    made = [(name, module, place, make()) for name, module, place in found]
    for name, module, place, new in made:
        if not isinstance(new, nn.Module):
            raise ValueError(f"make must return a torch.nn.Module, got {type(new).__name__}; pass a class")
        if place in module._modules:
            raise ValueError(f"{place[9:]} must name modules without one, got {name!r}; call remove() first")
    for _, module, place, new in made:
        kind: Any = type(module)
        if not _is_changed(module):
            module.__class__ = _subclass(kind)
        module.add_module(place, new.train(module.training))
    return Insertion(network, tuple(f"{name}.{place}".lstrip(".") for name, _, place, _ in made))


def _targets(network: nn.Module, argument: str, where: Where | None) -> list[tuple[str, nn.Module, str]]:
    """Return the name and module of each match, with the place in it; one of a Sequential is its end."""
    if where is None:
        return []
    place, end = (BEFORE, 0) if argument == "before" else (AFTER, -1)
    every = dict(network.named_modules())
    matches = [
        name
        for name, module in every.items()
        if (fnmatchcase(name, where) if isinstance(where, str) else isinstance(module, where))
    ]
    if not matches:
        raise ValueError(
            f"{argument} must match a module, got {where!r}; the network has the modules "
            f"{', '.join(filter(None, every))}"
        )
    found = {}
    for name in matches:
        module = every[name]
        while isinstance(module, nn.Sequential) and len(module):
            last = list(module._modules)[end]
            name, module = f"{name}.{last}".lstrip("."), module[end]
        if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            kind = type(module).__name__
            raise ValueError(
                f"{argument} must match modules that compute, got {name!r}, a {kind}; name those"
            )
        found[id(module)] = (name, module, place)
    return list(found.values())
