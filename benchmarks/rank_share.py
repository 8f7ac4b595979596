"""Measure how much of SimAM's logits and gains a gate of channels, positions or both would give.

It trains a ResNet-20 with SimAM a seed, a folder each, and adds a line of JSON a network to
book/results/rank_share.jsonl. What is finished is not done again, and what was interrupted goes on:

    OMP_NUM_THREADS=1 python benchmarks/rank_share.py --dataset shapes --recipe smoke

Networks that are trained already, each in a folder of `simam-edu train --folder`, are measured by

    OMP_NUM_THREADS=1 python benchmarks/rank_share.py --checkpoints FOLDER [FOLDER ...]

The chapter "What attention weighs" shows these records.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import common
from simam_edu import SimAM, energy
from simam_edu.datasets import load
from simam_edu.maps import hooked
from simam_edu.training import TrainConfig, append_record, finish, read_records
from simam_edu.training.loop import new_network

OUT = common.RESULTS / "rank_share.jsonl"
MOST = 0.9  # of the variance, for the rank that reaches it


def shares(table: np.ndarray) -> dict[str, float]:
    """Return how much of the variance of a table (channels, positions) simpler tables have.

    ``channels`` and ``positions`` are the shares of the means of rows and of columns, ``additive``
    that of their sum, ``rank_one`` that of the nearest table of rank one; ``rank`` is the least
    rank whose nearest table has :data:`MOST` of it. Rows and columns of means have rank one, so
    neither beats ``rank_one``.
    """
    total = float(np.sum((table - table.mean()) ** 2))
    rows = float(table.mean(axis=1).var()) * table.size / total
    columns = float(table.mean(axis=0).var()) * table.size / total
    squares = np.linalg.svd(table, compute_uv=False) ** 2
    missed = np.append(np.cumsum(squares[::-1])[::-1], 0.0) / total  # by the nearest of rank 0, 1, ...
    return {
        "channels": rows,
        "positions": columns,
        "additive": rows + columns,
        "rank_one": float(1 - missed[1]),
        "rank": int(np.argmax(missed <= 1 - MOST)),
    }


def tables(network: nn.Module, images: torch.Tensor) -> list[np.ndarray]:
    """Return the logits of each SimAM of a network, of shape (n, c, m), as it gives them to images."""
    found: list[np.ndarray] = []

    def keep(module: SimAM, inputs: tuple[torch.Tensor], _: torch.Tensor) -> None:
        x = inputs[0].double().numpy()
        logits = energy.importance(x, lam=module.lam, statistics=module.statistics)
        found.append(logits.reshape(*x.shape[:2], -1))

    modules = [module for module in network.modules() if isinstance(module, SimAM)]
    with torch.no_grad(), hooked(modules, keep):
        network.eval()(images)
    return found


def mean_shares(logits: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the shares of logits (n, c, m) and of their gains, averaged over the images."""
    kinds = {"logits": logits, "gains": 1 / (1 + np.exp(-logits))}
    found = {kind: [shares(table) for table in values] for kind, values in kinds.items()}
    return {
        kind: {name: float(np.mean([entry[name] for entry in entries])) for name in entries[0]}
        for kind, entries in found.items()
    }


def shuffled(logits: np.ndarray) -> np.ndarray:
    """Return logits whose positions change places, in each channel of each image in another way."""
    return np.random.default_rng(0).permuted(logits, axis=-1)


def measure(folder: Path, images: int) -> dict[str, Any]:
    """Return the record of the network that a run has left in a folder."""
    run, weights = common.finished_run(folder)
    test_set = load(run["dataset"], "test")
    pictures, _ = common.pictures(common.first_of(test_set, images))
    config = common.config_of(run)
    network = new_network(config, len(test_set.classes))
    untrained = tables(network, pictures)
    network.load_state_dict(weights)
    modules = [
        {
            "channels": trained.shape[1],
            "neurons": trained.shape[2],
            "trained": mean_shares(trained),
            "untrained": mean_shares(before),
            "shuffled": mean_shares(shuffled(trained)),
        }
        for trained, before in zip(tables(network, pictures), untrained, strict=True)
    ]
    kept = ("dataset", "source", "recipe", "epochs", "held_out", "training_images", "test_accuracy")
    names = (*common.OF_A_NETWORK, *kept)
    record = {"benchmark": "rank share", **{name: run[name] for name in names}}
    return common.signed(record | {"images": images, "modules": modules})


def trained(config: TrainConfig, dataset: str, count: int | None, runs: Path) -> Path:
    """Train on the first ``count`` training images, unless that is done, and return the folder."""
    train_set = common.first_of(load(dataset, "train"), count)
    size = len(train_set.labels)
    folder = runs / f"{dataset}-{size}-{config.recipe}-{config.total_epochs}-{config.seed}"
    record = finish(config, train_set, load(dataset, "test"), folder=folder)
    minutes = f"{record['minutes']:.1f} minutes"
    print(f"{folder}: test accuracy {record['test_accuracy']:.4f} after {minutes}")
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is not trained yet, measure it, and add the records that the file lacks."""
    parser = common.options_of(__doc__, OUT)
    parser.add_argument("--checkpoints", type=Path, nargs="+", help="folders of runs; nothing is trained")
    parser.add_argument("--runs", type=Path, default=Path("runs/rank_share"), help="where to train")
    parser.add_argument("--dataset", default="cifar10", help="a name of simam_edu.datasets")
    parser.add_argument("--recipe", default="budget", help="a name of simam_edu.training.RECIPES")
    parser.add_argument("--epochs", type=int, help="passes over the images; by default the recipe's")
    parser.add_argument("--train-images", type=int, help="how many; by default all")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--images", type=int, default=100, help="test images that are looked at")
    options = parser.parse_args(arguments)
    keys = ("dataset", "recipe", "epochs", "training_images", "seed", "test_accuracy", "images")
    there = read_records(options.out) if options.out.exists() else ()
    have = [[record[key] for key in keys] for record in there]
    for todo in options.checkpoints or options.seeds:
        if options.checkpoints:
            folder = todo
        else:
            chosen = {"recipe": options.recipe, "epochs": options.epochs}
            config = TrainConfig(**chosen, seed=todo, held_out=0.0)
            folder = trained(config, options.dataset, options.train_images, options.runs)
        record = measure(folder, options.images)
        if [record[key] for key in keys] not in have:
            append_record(options.out, record)


if __name__ == "__main__":
    main()
