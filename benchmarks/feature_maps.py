"""Measure what the shared statistics change on the feature maps of a trained ResNet-20.

Run it by hand with CIFAR-10 at hand; it takes about a quarter of an hour on one thread:

    OMP_NUM_THREADS=1 SIMAM_EDU_DATA=FOLDER python benchmarks/feature_maps.py

It trains a network with SimAM on nine tenths of the training images, shows it some of the others,
and writes one line of JSON to book/results/feature_maps.jsonl, in the place of the one that is
there. The chapter "One mean, one variance" shows that record. Of the test images nothing is kept.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import nn

import common
from simam_edu import SimAM, energy
from simam_edu.datasets import ImageSet, load
from simam_edu.maps import hooked
from simam_edu.networks import BasicBlock
from simam_edu.training import TrainConfig, train

STAGES = {32: "stage 1", 16: "stage 2", 8: "stage 3"}  # by the side of its maps


def feature_maps(network: nn.Module, images: torch.Tensor) -> list[tuple[str, str, np.ndarray]]:
    """Return stage, place and maps of what enters each SimAM and of what leaves each block."""
    found: list[tuple[str, str, np.ndarray]] = []
    places = {SimAM: "before SimAM", BasicBlock: "after the block"}

    def keep(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        place = places[type(module)]
        maps = (inputs[0] if place == "before SimAM" else output).double().cpu().numpy()
        found.append((STAGES[maps.shape[-1]], place, maps))

    with torch.no_grad(), hooked([m for m in network.modules() if type(m) in places], keep):
        network.eval()(images)
    return found


def describe(maps: np.ndarray) -> dict[str, Any]:
    """Return how far shared statistics are from exact ones on some maps, and what these are like.

    Channels whose neurons are all equal are counted and left out: their gain is the same for all
    statistics.
    """
    channels = maps.reshape(-1, *maps.shape[-2:])
    varied = channels[np.ptp(channels, axis=(-2, -1)) > 0]
    exact = energy.gain(varied, statistics="leave_one_out").reshape(len(varied), -1)
    gains = {
        name: energy.gain(varied, statistics=name).reshape(len(varied), -1)
        for name in ("shared", "population")
    }
    by_shared = np.take_along_axis(exact, gains["shared"].argsort(axis=1), axis=1)
    flat = varied.reshape(len(varied), -1)
    return {
        "neurons": flat.shape[1],
        "channels": len(channels),
        "constant": len(channels) - len(varied),
        "differences": {
            name: np.quantile(np.abs(gain - exact).max(axis=1), [0.5, 0.95, 1.0]).tolist()
            for name, gain in gains.items()
        },
        "disorder": abs(float(np.min(np.diff(by_shared, axis=1), initial=0.0))),
        "zeros": float(np.mean(channels == 0)),
        "kurtosis": np.quantile(stats.kurtosis(flat, axis=1), [0.25, 0.5, 0.75]).tolist(),
        "variance": np.quantile(flat.var(axis=1, ddof=1), [0.25, 0.5, 0.75]).tolist(),
    }


def measure(train_set: ImageSet, test_set: ImageSet, *, epochs: int, images: int) -> dict[str, Any]:
    """Train, look at images that were kept from training, and return the record."""
    config = TrainConfig(network="resnet20", attention="simam", recipe="budget", epochs=epochs)
    result = train(config, train_set, test_set)
    # The run has kept the last tenth of the training images from training.
    pictures, _ = common.pictures(common.part(train_set, slice(-images, None)))
    by_place: dict[tuple[str, str], list[np.ndarray]] = {}
    for stage, place, maps in feature_maps(result.network.cpu(), pictures):
        by_place.setdefault((place, stage), []).append(maps)
    described = [
        {"place": place, "stage": stage, **describe(np.concatenate(maps))}
        for (place, stage), maps in by_place.items()
    ]
    held_out = result.epochs[-1].held_out
    record = {
        "benchmark": "feature maps",
        "config": asdict(config),
        "dataset": train_set.name,
        "source": train_set.source,
        "images": images,
        "held_out_accuracy": held_out.accuracy if held_out else None,
        "maps": described,
        "minutes": result.minutes,
    }
    return common.signed(record)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = common.options_of(__doc__, common.RESULTS / "feature_maps.jsonl")
    parser.add_argument("--dataset", default="cifar10", help="a name of simam_edu.datasets")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the training images")
    parser.add_argument("--images", type=int, default=100, help="images that the network looks at")
    options = parser.parse_args(arguments)
    sets = (load(options.dataset, split) for split in ("train", "test"))
    record = measure(*sets, epochs=options.epochs, images=options.images)
    common.write(options.out, record)
    print(f"{record['minutes']:.1f} minutes; written to {options.out}")


if __name__ == "__main__":
    main()
