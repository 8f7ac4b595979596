"""Attention put into a network that is there already, and taken out again.

Nothing is hooked: the class of each module that gets one becomes a subclass with another ``forward``,
so that names, weights, ``isinstance``, torch.compile, torch.export, copies and pickles go on as before.
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
            ValueError: If one is not there any more, or its module has got another class since;
                then none is taken out.

        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        >>> insertion = insert(network, after=nn.ReLU)
        >>> insertion.remove()
        >>> network
        Sequential(
          (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
          (1): ReLU()
        )
        """
        modules = dict(self.network.named_modules())
        places = []
        for name in self.names:
            path, _, place = name.rpartition(".")
            module: Any = modules.get(path)
            if type(module).__bases__[0] is not _Inserted or place not in module._modules:
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

    The network is changed itself, before torch.compile, export or training. Names of its modules,
    keys of its state dict and its weights stay, since SimAM has none; modules with weights of their
    own add theirs. A module that is called several times, as a shared activation, has the attention
    at each call. What stands before or after an ``nn.Sequential`` is put before its first or after
    its last module.

    Args:
        network: Any network.
        before: The modules whose first input goes through attention: a class, such as
            ``nn.BatchNorm2d``, or a pattern of names, such as ``"layer*.bn2"``, as in
            ``network.named_modules()``.
        after: Those whose output does.
        make: Makes one module for each place, ``SimAM`` with its defaults, or another, such as
            ``lambda: SimAM(lam=0.1)``.

    Raises:
        ValueError: If neither place is given, one matches no module, a module has attention there
            already, cannot be called or is an ``nn.Sequential`` with a forward of its own, or ``make``
            returns no module; then nothing is changed.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    >>> insert(network, after=nn.BatchNorm2d)
    Insertion(1.inserted_after)
    """
    if before is None and after is None:
        raise ValueError("before or after must say where, got neither; give a class of modules or a name")
    found = _targets(network, BEFORE, before) | _targets(network, AFTER, after)
    made = [make() for _ in found]
    for new in made:
        if not isinstance(new, nn.Module):
            raise ValueError(f"make must return a torch.nn.Module, got {type(new).__name__}; pass a class")
    for (name, module), new in zip(found.items(), made, strict=True):
        kind: Any = type(module)
        if not isinstance(module, _Inserted):
            module.__class__ = _subclass(kind)
        module.add_module(name.rpartition(".")[2], new.train(module.training))
    return Insertion(network, tuple(found))


def _targets(network: nn.Module, place: str, where: Where | None) -> dict[str, nn.Module]:
    """Return the module of each match by the name that what is inserted there will have."""
    if where is None:
        return {}
    argument, end = place.removeprefix("inserted_"), 0 if place == BEFORE else -1
    # One name for each module, also for one that has several places.
    names = {module: name for name, module in network.named_modules()}
    found = {}
    for module, name in names.items():
        if not (fnmatchcase(name, where) if isinstance(where, str) else isinstance(module, where)):
            continue
        while isinstance(module, nn.Sequential) and len(module):  # what is put at one is at its end
            if type(module).forward is not nn.Sequential.forward:
                raise ValueError(
                    f"{argument} must match modules that attention can be put at, got {name!r}, a "
                    f"{type(module).__name__}: an nn.Sequential with a forward of its own; name one in it"
                )
            module = module[end]
            name = names[module]
        if place in module._modules or isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            raise ValueError(
                f"{argument} must match modules that compute and have no attention there, got {name!r}, "
                f"a {type(module).__name__}; name others, or call remove() first"
            )
        found[f"{name}.{place}".lstrip(".")] = module
    if not found:
        raise ValueError(
            f"{argument} must match a module, got {where!r}; the network has the modules "
            f"{', '.join(filter(None, names.values()))}"
        )
    return found
