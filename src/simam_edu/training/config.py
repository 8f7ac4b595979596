"""What a run is: its configuration and the recipes it can follow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import torch

from simam_edu.networks import Slot

Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the weights are updated: stochastic gradient descent with a one-cycle learning rate.

    The learning rate rises linearly from a twenty-fifth of its peak over the first part of the steps and
    falls linearly to zero over the rest, whatever the number of epochs.

    Attributes:
        batch_size: Images a step.
        peak_learning_rate: The highest learning rate.
        warmup: The part of all steps, in (0, 1), over which the learning rate rises.
        momentum: Of the Nesterov form.
        weight_decay: On every parameter.
        epochs: Passes over the training images when nothing else is said.
    """

    batch_size: int
    peak_learning_rate: float
    warmup: float
    momentum: float
    weight_decay: float
    epochs: int

    def optimizer(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.SGD:
        """Return the optimizer of these parameters."""
        return torch.optim.SGD(
            parameters,
            lr=self.peak_learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=True,
        )

    def schedule(self, optimizer: torch.optim.Optimizer, *, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
        """Return the schedule of the learning rate over a number of steps, to be stepped after each."""
        corners = [0.0, self.warmup * steps, float(steps)]
        return torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: float(np.interp(step, corners, [0.04, 1.0, 0.0]))
        )


RECIPES: dict[str, Recipe] = {
    # In place of the paper's 164 epochs. Batch and learning rate did best on a held-out tenth of the training
    # images among the settings that CONTRIBUTING lists; momentum and weight decay are the paper's.
    "budget": Recipe(
        batch_size=64, peak_learning_rate=0.15, warmup=0.2, momentum=0.9, weight_decay=5e-4, epochs=10
    ),
    # For a few thousand images and a minute: small batches, so that there are enough steps.
    "smoke": Recipe(
        batch_size=32, peak_learning_rate=0.05, warmup=0.2, momentum=0.9, weight_decay=1e-4, epochs=5
    ),
}
"""Every recipe by its name."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run, completely.

    Attributes:
        network: A name that :func:`simam_edu.networks.find` takes.
        attention: A name of :data:`simam_edu.attention.ATTENTION`.
        attention_options: The module's options, such as ``{"lam": 1e-4}``.
        slot: Where in a block the module stands; ``"pre_norm"`` is the SimAM authors' place.
        recipe: A name of :data:`RECIPES`.
        epochs: Passes over the training images; ``None`` for the recipe's own number.
        seed: Decides the first weights, the order of the images and the augmentation.
        held_out: The part of the training images, in [0, 1), that is kept from training and evaluated after
            each epoch. One tenth is the paper's 45,000/5,000 split. 0 trains on all images, for a run in
            which nothing is chosen.
        device: ``"auto"`` takes CUDA where it is, then Apple's, then the CPU.

    Raises:
        ValueError: If a value is out of its range or a recipe, slot or device is unknown.
    """

    network: str = "resnet20"
    attention: str = "simam"
    attention_options: Mapping[str, float] = field(default_factory=dict)
    slot: Slot = "pre_norm"
    recipe: str = "budget"
    epochs: int | None = None
    seed: int = 0
    held_out: float = 0.1
    device: Device = "auto"

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise ValueError(f"recipe must be one of {', '.join(RECIPES)}, got {self.recipe!r}")
        if self.slot not in get_args(Slot):
            raise ValueError(f"slot must be one of {', '.join(get_args(Slot))}, got {self.slot!r}")
        if self.device not in get_args(Device):
            raise ValueError(f"device must be one of {', '.join(get_args(Device))}, got {self.device!r}")
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be in [0, 1), got {self.held_out}; 0.1 keeps a tenth")

    @property
    def total_epochs(self) -> int:
        """The epochs of this run: its own number or the recipe's."""
        return RECIPES[self.recipe].epochs if self.epochs is None else self.epochs
