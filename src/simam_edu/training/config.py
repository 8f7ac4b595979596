"""What a run is: its configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from simam_edu.networks import FirstWeights, Slot
from simam_edu.networks.first_weights import checked_first_weights
from simam_edu.training.recipes import RECIPES

Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run, completely.

    Attributes:
        network: A name that :func:`simam_edu.networks.find` takes.
        attention: A name of :data:`simam_edu.attention.ATTENTION`.
        attention_options: The module's options, such as ``{"lam": 1e-4}``.
        slot: Where in a block the module stands; ``"pre_norm"`` is the SimAM authors' place.
        first_weights: ``"he"``, or ``"authors"`` for those of the SimAM authors' repository; see
            :data:`simam_edu.networks.FirstWeights`.
        recipe: A name of :data:`~simam_edu.training.recipes.RECIPES`.
        epochs: Passes over the training images; ``None`` for the recipe's own number.
        seed: Decides the first weights, the order of the images and the augmentation; in [0, 2**64).
        held_out: The part of the training images, in [0, 1), that is kept from training and evaluated after
            each epoch. One tenth is the paper's 45,000/5,000 split. 0 trains on all images, for a run in
            which nothing is chosen.
        device: ``"auto"`` takes CUDA where it is, then Apple's, then the CPU.

    Raises:
        ValueError: If a value is out of its range or a recipe, slot or device is unknown.
    """

    network: str = "resnet20"
    attention: str = "simam"
    attention_options: Mapping[str, float | str] = field(default_factory=dict)
    slot: Slot = "pre_norm"
    first_weights: FirstWeights = "he"
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
        checked_first_weights(self.first_weights)
        if self.device not in get_args(Device):
            raise ValueError(f"device must be one of {', '.join(get_args(Device))}, got {self.device!r}")
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")
        check_seed(self.seed)
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be in [0, 1), got {self.held_out}; 0.1 keeps a tenth")

    @property
    def total_epochs(self) -> int:
        """The epochs of this run: its own number or the recipe's."""
        return RECIPES[self.recipe].epochs if self.epochs is None else self.epochs


def check_seed(seed: int) -> None:
    """Raise a ValueError if torch's generators do not take a seed, or would change it to take it."""
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise ValueError(f"seed must be a whole number in [0, 2**64), got {seed!r}")
