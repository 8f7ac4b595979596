"""What a run is: its fields, in one list that makes options, fingerprint and record."""

import argparse
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args

from simam_edu.attention import ATTENTION, attention_factory
from simam_edu.datasets import ImageSet
from simam_edu.kernels import Statistics
from simam_edu.networks import FirstWeights, Slot, find
from simam_edu.training.recipes import RECIPES

Device = Literal["auto", "cpu", "cuda", "mps"]

CHOICES: dict[str, Iterable[str]] = {
    "attention": ATTENTION,
    "slot": get_args(Slot),
    "first_weights": get_args(FirstWeights),
    "recipe": RECIPES,
    "device": get_args(Device),
}
ATTENTION_OPTIONS: dict[str, dict[str, Any]] = {
    "lam": {"type": float, "help": "lambda of SimAM (default 1e-4)"},
    "statistics": {
        "choices": get_args(Statistics),
        "help": "what SimAM compares a neuron with (default shared)",
    },
}
"""The options of attention modules that the command line knows, as argparse takes them."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run, completely.

    Attributes:
        network: resnet20, preresnet20, wrn28_10, mobilenetv2, or another depth or width.
        attention: A name of ``simam_edu.attention.ATTENTION``.
        attention_options: The module's options, such as ``{"lam": 1e-4}``.
        slot: The position in the block; pre_norm is the place that the SimAM authors chose.
        first_weights: He initialization, or as in the repository of the SimAM authors.
        recipe: A name of ``simam_edu.training.RECIPES``.
        epochs: Passes over the training images; None takes the number of the recipe.
        seed: Decides first weights, order of the images and augmentation; in [0, 2**64).
        held_out: Fraction of the training images, in [0, 1), for validation; 0 trains on all.
        device: Where to compute; auto takes CUDA where it is, then Apple's, then the CPU.

    Raises:
        ValueError: If a value is out of its range, or an attention, an option of it, a recipe, slot, kind of
            first weights or device is unknown.

    >>> TrainConfig(network="wrn28_10", recipe="paper").total_epochs
    164
    """

    network: str = "resnet20"
    attention: str = "simam"
    attention_options: Mapping[str, float | str] = field(default_factory=dict)
    slot: Slot = "pre_norm"
    first_weights: FirstWeights = "he"
    recipe: str = "budget"
    epochs: int | None = None
    seed: int = 0
    held_out: float = 0.1  # the paper's 45,000 and 5,000 images
    device: Device = "auto"

    def __post_init__(self) -> None:
        attention_factory(self.attention, **dict(self.attention_options))  # which knows more than a list
        for name in CHOICES.keys() - {"attention"}:
            if getattr(self, name) not in CHOICES[name]:
                known = ", ".join(CHOICES[name])
                raise ValueError(f"{name} must be one of {known}, got {getattr(self, name)!r}")
        if self.epochs is not None and (type(self.epochs) is not int or self.epochs < 1):
            raise ValueError(f"epochs must be a whole number of at least 1, got {self.epochs!r}")
        check_seed(self.seed)
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be in [0, 1), got {self.held_out}; 0.1 keeps a tenth")

    @property
    def total_epochs(self) -> int:
        """The epochs of this run: its own number or the recipe's."""
        return RECIPES[self.recipe].epochs if self.epochs is None else self.epochs

    def definition(self, images: ImageSet) -> dict[str, Any]:
        """Return what defines the run wherever it runs, ready for JSON: all fields but the device.

        To these come ``recipe_values``, and name and source of the training images.
        """
        names = [entry.name for entry in fields(self) if entry.name != "device"]
        return {name: getattr(self, name) for name in names} | {
            "attention_options": dict(self.attention_options),
            "epochs": self.total_epochs,
            "recipe_values": RECIPES[self.recipe].values(),
            "dataset": images.name,
            "source": images.source,
        }

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        """Add an option per field, with its line of the list above, to the parser of a command."""
        types = {"epochs": int, "seed": int, "held_out": float}  # the others are text
        told = dict(re.findall(r"^ {8}(\w+): (.*)$", TrainConfig.__doc__ or "", re.MULTILINE))
        for name, default in ((entry.name, entry.default) for entry in fields(TrainConfig)):
            if name != "attention_options":
                parser.add_argument(
                    f"--{name.replace('_', '-')}", type=types.get(name, str), default=default,
                    choices=CHOICES.get(name), help=f"{told.get(name, '')} (default %(default)s)",
                )  # fmt: skip
        for name, argparse_takes in ATTENTION_OPTIONS.items():
            parser.add_argument(f"--{name}", **argparse_takes)

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> Self:
        """Return the run that the options of :meth:`add_options` name, or raise a ValueError."""
        given = vars(options)
        find(given["network"])
        chosen = {name: given[name] for name in ATTENTION_OPTIONS if given[name] is not None}
        own = {entry.name: given[entry.name] for entry in fields(cls) if entry.name in given}
        return cls(**own, attention_options=chosen)


def check_seed(seed: int) -> None:
    """Raise a ValueError if torch's generators do not take a seed as it is."""
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise ValueError(f"seed must be a whole number in [0, 2**64), got {seed!r}")
