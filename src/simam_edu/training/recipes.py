"""How the weights are updated: schedules of the learning rate, and recipes by name."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True, kw_only=True)
class OneCycle:
    """A learning rate that rises once and falls once, whatever the number of epochs.

    Over ``warmup``, a fraction of all steps in (0, 1), it rises along a straight line from a
    twenty-fifth of its peak; over the rest it falls along a straight line to zero.

    >>> schedule = OneCycle(peak_learning_rate=0.5, warmup=0.2)
    >>> [schedule.learning_rate(step, steps=10) for step in (0, 2, 6, 10)]
    [0.02, 0.5, 0.25, 0.0]
    """

    peak_learning_rate: float
    warmup: float

    def learning_rate(self, step: int, *, steps: int) -> float:
        """Return the learning rate of a step, counted from 0, of a run of ``steps`` steps."""
        corners = [0.0, self.warmup * steps, float(steps)]
        return self.peak_learning_rate * float(np.interp(step, corners, [0.04, 1.0, 0.0]))


@dataclass(frozen=True, kw_only=True)
class Drops:
    """A learning rate that is divided by 10 at some steps, as in the residual network papers.

    The steps of ``drops_at`` count from 0 and are not fractions of the run, as the papers state
    them: a run that ends earlier sees fewer drops.

    >>> schedule = Drops(first_learning_rate=0.1, drops_at=(32_000, 48_000))
    >>> steps = (31_999, 32_000, 48_000)
    >>> [schedule.learning_rate(step, steps=64_000) for step in steps]
    [0.1, 0.01, 0.001]
    """

    first_learning_rate: float
    drops_at: tuple[int, ...]

    def learning_rate(self, step: int, *, steps: int) -> float:  # noqa: ARG002
        """Return the learning rate of a step, counted from 0; ``steps`` does not matter here."""
        return self.first_learning_rate / 10.0 ** sum(step >= drop for drop in self.drops_at)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Stochastic gradient descent: a run but for its network, images and seed.

    >>> RECIPES["budget"].values()["schedule"]
    {'form': 'OneCycle', 'peak_learning_rate': 0.15, 'warmup': 0.2}
    """

    batch_size: int  #: images per step, over all processes
    schedule: OneCycle | Drops  #: of the learning rate
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float  #: on every parameter
    epochs: int  #: passes over the training images when nothing else is said
    expected: str  #: what it is for and how long it takes; no part of what defines a run

    def optimizer(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.SGD:
        """Return the optimizer of these parameters; the loop sets the learning rate of each step.

        On a CUDA card the rate is a tensor there, so that a recorded step can be given another.
        """
        parameters = list(parameters)
        same = {name: getattr(self, name) for name in ("momentum", "nesterov", "weight_decay")}
        if all(parameter.is_cuda for parameter in parameters):
            rate = torch.zeros((), device=parameters[0].device)
            return torch.optim.SGD(parameters, lr=rate, fused=True, **same)
        return torch.optim.SGD(parameters, lr=0.0, **same)

    def values(self) -> dict[str, Any]:
        """Return everything that decides the numbers of a run, ready for JSON."""
        values = asdict(self)
        del values["expected"]
        return values | {"schedule": {"form": type(self.schedule).__name__, **values["schedule"]}}


RECIPES: dict[str, Recipe] = {
    # The paper's section 4.1. It does not say whether its momentum has Nesterov's form, so it is
    # plain. 164 epochs of 391 steps are its 64,000 steps, rounded up to whole epochs.
    "paper": Recipe(
        batch_size=128,
        schedule=Drops(first_learning_rate=0.1, drops_at=(32_000, 48_000)),
        nesterov=False,
        weight_decay=5e-4,
        epochs=164,
        expected="As in the paper, for CIFAR-10; hours on one core. Not run here.",
    ),
    # Batch and learning rate did best on a held-out tenth of the training images: the tries are
    # in book/results/README.md. The momentum's size and weight decay are the paper's.
    "budget": Recipe(
        batch_size=64,
        schedule=OneCycle(peak_learning_rate=0.15, warmup=0.2),
        weight_decay=5e-4,
        epochs=10,
        expected="That of the study: CIFAR-10 with ResNet-20 in about half an hour on one core.",
    ),
    # Small batches, so that there are enough steps. On the drawn shapes a run stays at the loss of
    # guessing for one to four epochs, with a module or without; how long is chance.
    "smoke": Recipe(
        batch_size=32,
        schedule=OneCycle(peak_learning_rate=0.02, warmup=0.1),
        weight_decay=1e-4,
        epochs=10,
        expected="A few thousand images in a minute or two; it shows that the loop works.",
    ),
}
"""Every recipe by its name."""
