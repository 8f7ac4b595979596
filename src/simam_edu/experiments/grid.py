"""The runs of a study: which networks, modules, places, data sets and seeds, under readable names."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from simam_edu.datasets import NAMES
from simam_edu.networks import Slot, find
from simam_edu.training import RECIPES, TrainConfig
from simam_edu.training.config import ATTENTION_OPTIONS

Variant = tuple[str, Slot, Mapping[str, float | str]]
"""An attention module, its place in the block, and its options."""

# Each module where its authors put it; for none the place is void.
_AUTHORS: tuple[Variant, ...] = (
    ("none", "pre_norm", {}),
    ("simam", "pre_norm", {}),
    *((name, "post_norm", {}) for name in ("se", "cbam", "eca", "gc")),
)
# What makes SimAM work: its gains moved, reversed, halved, and two of its own options.
_ABLATION: tuple[Variant, ...] = (
    *((name, "pre_norm", {}) for name in ("none", "simam", "shuffled", "reversed")),
    *((name, "pre_norm", {}) for name in ("other_image", "one_sided")),
    ("simam", "pre_norm", {"statistics": "leave_one_out"}),
    ("simam", "pre_norm", {"lam": 0.1}),
)

PAPER_NETWORKS = (
    "resnet20", "resnet56",
    "resnet110_bottleneck",  # the paper's 1.17 M parameters are those of the bottleneck network
    "mobilenetv2", "preresnet20", "preresnet56", "preresnet110", "wrn28_10",
)  # fmt: skip
"""The rows of Table 2 of the paper."""


@dataclass(frozen=True, kw_only=True)
class Run(TrainConfig):
    """One cell of a study with one seed: a configuration of a training and its data set.

    Attributes:
        dataset: A name of :data:`simam_edu.datasets.NAMES`.
        held_out: 0 by default, because in a study nothing is chosen.

    Raises:
        ValueError: If the run could not be started, so that a sweep does not learn it after hours.

    >>> Run(attention="se", slot="post_norm", seed=1).id
    'resnet20-se-post_norm-cifar10-budget-s1'
    """

    dataset: str = "cifar10"
    held_out: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        find(self.network)
        if self.dataset not in NAMES:
            raise ValueError(f"dataset must be one of {', '.join(NAMES)}, got {self.dataset!r}")

    @property
    def id(self) -> str:
        """The run's name, the same as :func:`run_id` gives its record."""
        recipe = {"epochs": RECIPES[self.recipe].epochs}
        return run_id(asdict(self) | {"epochs": self.total_epochs, "recipe_values": recipe})

    def arguments(self) -> list[str]:
        """Return what ``simam-edu train`` is called with for this run, but for the device.

        Raises:
            ValueError: If the command has no option for one of the module's.
        """
        if unknown := self.attention_options.keys() - ATTENTION_OPTIONS:
            raise ValueError(
                f"attention_options must be of {', '.join(ATTENTION_OPTIONS)} for simam-edu train, got "
                f"{', '.join(unknown)}; call simam_edu.training.finish with this run instead"
            )
        options = asdict(self)
        del options["device"]
        options |= dict(options.pop("attention_options"))
        given = {key.replace("_", "-"): value for key, value in options.items() if value is not None}
        return [text for key, value in given.items() for text in (f"--{key}", str(value))]


UNSAID: dict[str, Any] = {"first_weights": "he", "processes": 1}
"""What records from before there was a choice do not say."""


def run_id(record: Mapping[str, Any]) -> str:
    """Return the name of the run of a record, such as ``resnet20-simam-pre_norm-cifar10-budget-s0``.

    It is made of network, attention, slot, data set, recipe and seed. Where anything else is not the usual
    (options of the module, first weights, epochs, held-out images), the first eight digits of a hash of the
    whole configuration follow.

    >>> from simam_edu.training import recorded
    >>> run_id(recorded("study")[0])
    'resnet20-none-cifar10-budget-s0'
    """
    keys = ("network", "attention", "slot", "dataset", "recipe")
    parts = [record[key] for key in keys if key != "slot" or record["attention"] != "none"]
    parts.append(f"s{record['seed']}")
    epochs = None if record["epochs"] == record["recipe_values"]["epochs"] else record["epochs"]
    options = dict(record["attention_options"])
    weights = {**UNSAID, **record}["first_weights"]
    options |= {} if weights == "he" else {"first_weights": weights}
    if epochs is not None or record["held_out"] != 0 or options:
        text = json.dumps([*parts, epochs, float(record["held_out"]), options], sort_keys=True)
        parts.append(hashlib.sha256(text.encode()).hexdigest()[:8])
    return "-".join(parts)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What the runs of a grid are made of."""

    parts: Sequence[Sequence[Variant]]  # full, over all seeds, before those of the next part begin
    seeds: tuple[int, ...]  # the usual ones
    networks: Sequence[str] = ("resnet20",)  # the outer rows
    datasets: Sequence[str] = ("cifar10",)  # the inner rows
    recipe: str = "budget"
    epochs: int | None = None  # None for the recipe's own number


GRIDS: dict[str, Grid] = {
    # The study of the book: none and five modules in their authors' places, and SimAM in the rivals'.
    "study": Grid(parts=[[*_AUTHORS, ("simam", "post_norm", {})]], seeds=(0, 1, 2)),
    # The first four answer the first question; they are full before the others begin.
    "ablation": Grid(parts=[_ABLATION[:4], _ABLATION[4:]], seeds=(0, 1, 2, 3, 4)),
    # Table 2 of the paper at full size, for a cluster.
    "paper": Grid(
        parts=[_AUTHORS], seeds=(0, 1, 2, 3, 4), networks=PAPER_NETWORKS,
        datasets=("cifar10", "cifar100"), recipe="paper",
    ),
    # A minute or two on drawn shapes, to see a sweep work; one epoch teaches a network nothing yet.
    "smoke": Grid(parts=[_AUTHORS[:2]], seeds=(0, 1), datasets=["shapes"], recipe="smoke", epochs=1),
}  # fmt: skip
"""Every grid by its name."""


def grid(name: str, *, seeds: Sequence[int] | None = None) -> list[Run]:
    """Return the runs of a grid, in an order in which a sweep that is cut off leaves whole rows.

    Args:
        name: A key of :data:`GRIDS`: ``"study"``, ``"ablation"``, ``"paper"`` or ``"smoke"``.
        seeds: In place of the grid's own; more seeds later leave the runs of the others as they are.

    Raises:
        ValueError: If the name is unknown, or a seed is out of range or given twice.

    >>> for run in grid("smoke", seeds=[7]):
    ...     print(run.id)
    resnet20-none-shapes-smoke-s7-8b5d74b1
    resnet20-simam-pre_norm-shapes-smoke-s7-f52e7a9c
    """
    if name not in GRIDS:
        raise ValueError(f"grid must be one of {', '.join(GRIDS)}, got {name!r}")
    chosen = GRIDS[name]
    seeds = chosen.seeds if seeds is None else seeds
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be numbers, each once, got {list(seeds)}")
    return [
        Run(
            network=network, attention=attention, slot=slot, attention_options=options,
            dataset=dataset, recipe=chosen.recipe, epochs=chosen.epochs, seed=seed,
        )
        for variants, seed, network, dataset in product(
            chosen.parts, seeds, chosen.networks, chosen.datasets
        )
        for attention, slot, options in variants
    ]  # fmt: skip


def shard(runs: Sequence[Run], text: str) -> list[Run]:
    """Return every N-th of the runs from the K-th on, for a job of a scheduler's array.

    Shards are cut from the whole grid, not from what is left: they are the same whenever a job starts.

    Raises:
        ValueError: If the text is not ``"K/N"`` with K from 1 to N.

    >>> runs = grid("smoke")
    >>> [run.seed for run in runs], [run.seed for run in shard(runs, "2/2")]
    ([0, 0, 1, 1], [0, 1])
    """
    found = re.fullmatch("([0-9]+)/([0-9]+)", text)
    first, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= first <= count:
        raise ValueError(f"a part K/N must have K from 1 to N, such as 2/8, got {text!r}")
    return list(runs[first - 1 :: count])
