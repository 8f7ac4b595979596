"""What a run is: its fields, in the one list from which options, fingerprint and record are made."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args

from simam_edu.attention import ATTENTION
from simam_edu.datasets import ImageSet
from simam_edu.kernels import Statistics
from simam_edu.networks import NETWORKS, FirstWeights, Slot, find
from simam_edu.networks.first_weights import checked_first_weights
from simam_edu.training.recipes import RECIPES

Device = Literal["auto", "cpu", "cuda", "mps"]

ATTENTION_OPTIONS: dict[str, dict[str, Any]] = {
    "lam": {"type": float, "help": "lambda of SimAM (default 1e-4)"},
    "statistics": {"choices": get_args(Statistics), "help": "of SimAM (default shared)"},
}
"""The options of attention modules that the command line knows, as argparse takes them."""


def network_name(name: str) -> str:
    """Return the name of a network, or refuse it as argparse wants to be told."""
    try:
        find(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name


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
        recipe: A name of :data:`simam_edu.training.RECIPES`.
        epochs: Passes over the training images; ``None`` for the recipe's own number.
        seed: Decides the first weights, the order of the images and the augmentation; in [0, 2**64).
        held_out: The fraction of the training images, in [0, 1), that is the validation set, evaluated after
            each epoch. One tenth is the paper's 45,000/5,000 split. 0 trains on all images, for a run in
            which nothing is chosen.
        device: ``"auto"`` takes CUDA where it is, then Apple's, then the CPU.

    Raises:
        ValueError: If a value is out of its range or a recipe, slot or device is unknown.
    """

    network: str = field(default="resnet20", metadata={
        "type": network_name, "metavar": "NAME",
        "help": f"{', '.join(NETWORKS)}, or another depth or width (default %(default)s)",
    })  # fmt: skip
    attention: str = field(default="simam", metadata={"choices": ATTENTION})
    attention_options: Mapping[str, float | str] = field(default_factory=dict)
    slot: Slot = field(
        default="pre_norm", metadata={"choices": get_args(Slot), "help": "position in the block"}
    )
    first_weights: FirstWeights = field(default="he", metadata={
        "choices": get_args(FirstWeights),
        "help": "He initialization (default), or as in the SimAM authors' repository",
    })  # fmt: skip
    recipe: str = field(default="budget", metadata={"choices": RECIPES})
    epochs: int | None = field(
        default=None, metadata={"type": int, "metavar": "N", "help": "default: the recipe's own number"}
    )
    seed: int = field(default=0, metadata={"type": int, "metavar": "S"})
    held_out: float = field(default=0.1, metadata={
        "type": float, "metavar": "FRACTION",
        "help": "fraction of the training images that is the validation set (default %(default)s); 0 trains "
        "on all",
    })  # fmt: skip
    device: Device = field(default="auto", metadata={"choices": get_args(Device)})

    def __post_init__(self) -> None:
        for name, known in (("recipe", RECIPES), ("slot", get_args(Slot)), ("device", get_args(Device))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        checked_first_weights(self.first_weights)
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")
        check_seed(self.seed)
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be in [0, 1), got {self.held_out}; 0.1 keeps a tenth")

    @property
    def total_epochs(self) -> int:
        """The epochs of this run: its own number or the recipe's."""
        return RECIPES[self.recipe].epochs if self.epochs is None else self.epochs

    def definition(self, images: ImageSet) -> dict[str, Any]:
        """Return what defines the run wherever it runs, ready for JSON: all fields but the device.

        The epochs are those that it has, and ``recipe_values`` are what the recipe's name stands for. Of
        the training images it has name and source.
        """
        own = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "device"}
        return own | {
            "attention_options": dict(self.attention_options),
            "epochs": self.total_epochs,
            "recipe_values": RECIPES[self.recipe].values(),
            "dataset": images.name,
            "source": images.source,
        }

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        """Add an option per field to the parser of a command."""
        for entry in fields(TrainConfig):
            if entry.metadata:
                parser.add_argument(
                    f"--{entry.name.replace('_', '-')}", default=entry.default, **entry.metadata
                )
        for name, argparse_takes in ATTENTION_OPTIONS.items():
            parser.add_argument(f"--{name}", **argparse_takes)

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> Self:
        """Return the run that the options of :meth:`add_options` name.

        Raises:
            ValueError: As the class does.
        """
        given = vars(options)
        values = {entry.name: given[entry.name] for entry in fields(cls) if entry.metadata}
        chosen = {name: given[name] for name in ATTENTION_OPTIONS if given[name] is not None}
        return cls(**values, attention_options=chosen)


def check_seed(seed: int) -> None:
    """Raise a ValueError if torch's generators do not take a seed, or would change it to take it."""
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise ValueError(f"seed must be a whole number in [0, 2**64), got {seed!r}")
