"""The runs of a study: which networks, modules, places, data sets and seeds, under readable names."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from simam_edu.attention import ATTENTION
from simam_edu.datasets import NAMES
from simam_edu.networks import NETWORKS, Slot
from simam_edu.training import RECIPES
from simam_edu.training.config import check_seed

InPlace = tuple[str, Slot]
"""An attention module and its place in the block."""

IN_THE_AUTHORS_PLACE: tuple[InPlace, ...] = (
    ("none", "pre_norm"),  # nothing stands there, so the place is void
    ("simam", "pre_norm"),
    ("se", "post_norm"),
    ("cbam", "post_norm"),
    ("eca", "post_norm"),
    ("gc", "post_norm"),
)
"""Each module where its authors put it."""

PAPER_NETWORKS = (
    "resnet20",
    "resnet56",
    "resnet110_bottleneck",  # the paper's 1.17 M parameters are those of the bottleneck network
    "mobilenetv2",
    "preresnet20",
    "preresnet56",
    "preresnet110",
    "wrn28_10",
)
"""The rows of Table 2 of the paper."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One cell of a study with one seed.

    Attributes:
        network: A name of :data:`simam_edu.networks.NETWORKS`.
        attention: A name of :data:`simam_edu.attention.ATTENTION`.
        slot: Where in the block the module stands; void for ``"none"``.
        dataset: A name of :data:`simam_edu.datasets.NAMES`.
        recipe: A name of :data:`simam_edu.training.RECIPES`.
        seed: Decides first weights, order of the images and augmentation.
        epochs: ``None`` for the recipe's own number.
        held_out: The part of the training images that is kept from training; none by default, because in a
            study nothing is chosen.
        attention_options: The module's options as pairs of a name and a value, such as ``(("lam", 0.1),)``.
    """

    network: str
    attention: str
    slot: Slot
    dataset: str
    recipe: str
    seed: int
    epochs: int | None = None
    held_out: float = 0.0
    attention_options: tuple[tuple[str, float | str], ...] = ()

    @property
    def id(self) -> str:
        """The run's name, the same as :func:`run_id` gives its record."""
        usual = self.epochs is None or self.epochs == RECIPES[self.recipe].epochs
        return _name(
            [self.network, self.attention, self.slot, self.dataset, self.recipe, f"s{self.seed}"],
            epochs=None if usual else self.epochs,
            held_out=self.held_out,
            options=dict(self.attention_options),
        )

    def arguments(self) -> list[str]:
        """Return what ``simam-edu train`` is called with for this run."""
        options = {
            "network": self.network,
            "attention": self.attention,
            "slot": self.slot,
            "dataset": self.dataset,
            "recipe": self.recipe,
            "seed": self.seed,
            "held-out": self.held_out,
            **dict(self.attention_options),
        } | ({} if self.epochs is None else {"epochs": self.epochs})
        return [text for name, value in options.items() for text in (f"--{name}", str(value))]

    def check(self) -> None:
        """Raise a ValueError if a name is not registered, or the epochs or the held-out part are impossible.

        A sweep checks all of its runs before the first one starts, not after hours.
        """
        known: Sequence[tuple[str, str, Sequence[str]]] = (
            ("network", self.network, tuple(NETWORKS)),
            ("attention", self.attention, tuple(ATTENTION)),
            ("slot", self.slot, get_args(Slot)),
            ("dataset", self.dataset, NAMES),
            ("recipe", self.recipe, tuple(RECIPES)),
        )
        for what, name, names in known:
            if name not in names:
                raise ValueError(f"{what} must be one of {', '.join(names)}, got {name!r}")
        check_seed(self.seed)


def run_id(record: Mapping[str, Any]) -> str:
    """Return the name of a run, made from its record; equal for records of the same configuration.

    It is made of network, attention, slot, data set, recipe and seed, such as
    ``resnet20-simam-pre_norm-cifar10-budget-s0``. Where anything else of the configuration is not the usual
    (options of the module, first weights, other epochs than the recipe's own, held-out images), the first
    eight digits of a hash of the whole configuration follow.

    Args:
        record: What :func:`simam_edu.training.make_record` returned.
    """
    usual = record["epochs"] == record["recipe_values"]["epochs"]
    weights = record.get("first_weights", "he")  # older records do not say
    keys = ("network", "attention", "slot", "dataset", "recipe")
    return _name(
        [*(record[key] for key in keys), f"s{record['seed']}"],
        epochs=None if usual else record["epochs"],
        held_out=record["held_out"],
        options=record["attention_options"] | ({} if weights == "he" else {"first_weights": weights}),
    )


def _name(parts: list[str], *, epochs: int | None, held_out: float, options: Mapping[str, Any]) -> str:
    """Return the parts joined, with a hash behind them where anything else is not the usual."""
    if parts[1] == "none":
        parts = parts[:2] + parts[3:]  # nothing stands nowhere
    if epochs is not None or held_out != 0 or options:
        text = json.dumps([*parts, epochs, float(held_out), dict(options)], sort_keys=True)
        parts = [*parts, hashlib.sha256(text.encode()).hexdigest()[:8]]
    return "-".join(parts)


def _study(seeds: Sequence[int]) -> list[Run]:
    columns: list[InPlace] = [*IN_THE_AUTHORS_PLACE, ("simam", "post_norm")]
    return [
        Run(
            network="resnet20",
            attention=attention,
            slot=slot,
            dataset="cifar10",
            recipe="budget",
            seed=seed,
        )
        for seed in seeds
        for attention, slot in columns
    ]


ABLATION: tuple[tuple[str, tuple[tuple[str, float | str], ...]], ...] = (
    ("none", ()),
    ("simam", ()),
    ("shuffled", ()),
    ("reversed", ()),
    ("other_image", ()),
    ("one_sided", ()),
    ("simam", (("statistics", "leave_one_out"),)),
    ("simam", (("lam", 0.1),)),
)
"""What the ablation compares, all in the place of SimAM's authors: a module and its options."""


def _ablation(seeds: Sequence[int]) -> list[Run]:
    # The first four answer the first question; they are full before the others begin.
    return [
        Run(
            network="resnet20",
            attention=attention,
            slot="pre_norm",
            dataset="cifar10",
            recipe="budget",
            seed=seed,
            attention_options=options,
        )
        for columns in (ABLATION[:4], ABLATION[4:])
        for seed in seeds
        for attention, options in columns
    ]


def _paper(seeds: Sequence[int]) -> list[Run]:
    return [
        Run(network=network, attention=attention, slot=slot, dataset=dataset, recipe="paper", seed=seed)
        for seed in seeds
        for network in PAPER_NETWORKS
        for dataset in ("cifar10", "cifar100")
        for attention, slot in IN_THE_AUTHORS_PLACE
    ]


def _smoke(seeds: Sequence[int]) -> list[Run]:
    return [
        Run(
            network="resnet20",
            attention=attention,
            slot="pre_norm",
            dataset="shapes",
            recipe="smoke",
            seed=seed,
            epochs=1,
        )
        for seed in seeds
        for attention in ("none", "simam")
    ]


GRIDS: dict[str, tuple[Callable[[Sequence[int]], list[Run]], tuple[int, ...]]] = {
    # The study of the book: none and five modules in their authors' places, and SimAM in the rivals'.
    "study": (_study, (0, 1, 2)),
    # What makes SimAM work: its gains moved, reversed, halved, and two of its own options.
    "ablation": (_ablation, (0, 1, 2, 3, 4)),
    # Table 2 of the paper at full size, for a cluster.
    "paper": (_paper, (0, 1, 2, 3, 4)),
    # A minute or two on drawn shapes, to see a sweep work; one epoch teaches a network nothing yet.
    "smoke": (_smoke, (0, 1)),
}
"""Every grid by its name: what makes its runs, and its usual seeds."""


def grid(name: str, *, seeds: Sequence[int] | None = None) -> list[Run]:
    """Return the runs of a grid, in an order in which a sweep that is cut off leaves whole rows.

    Args:
        name: A key of :data:`GRIDS`: ``"study"``, ``"ablation"``, ``"paper"`` or ``"smoke"``.
        seeds: In place of the grid's own; more seeds later leave the runs of the others as they are.

    Raises:
        ValueError: If the name is unknown, or a seed is out of range or given twice.
    """
    if name not in GRIDS:
        raise ValueError(f"grid must be one of {', '.join(GRIDS)}, got {name!r}")
    make, usual = GRIDS[name]
    chosen = usual if seeds is None else tuple(seeds)
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"seeds must be numbers, each once, got {list(chosen)}")
    for seed in chosen:
        check_seed(seed)
    return make(chosen)


def part(runs: Sequence[Run], text: str) -> list[Run]:
    """Return one part of the runs, every N-th from the K-th on, for a job of a scheduler's array.

    The parts are disjoint and together all runs. They are cut from the whole grid, not from what is left, so
    a job has the same part whenever it starts.

    Args:
        runs: All of them.
        text: ``"K/N"`` with K from 1 to N.

    Raises:
        ValueError: If the text is of another form.
    """
    first, slash, count = text.partition("/")
    if not (slash and first.isascii() and first.isdigit() and count.isascii() and count.isdigit()):
        raise ValueError(f"part must be K/N, such as 2/8, got {text!r}")
    if not 1 <= int(first) <= int(count):
        raise ValueError(f"part must be K/N with K from 1 to N, got {text!r}")
    return list(runs[int(first) - 1 :: int(count)])
