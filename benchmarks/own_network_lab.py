"""The small networks and the images that benchmarks/own_network.py asks."""

import copy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common import first_of, pictures
from simam_edu import insert
from simam_edu.datasets import load
from simam_edu.networks import NETWORKS, build
from simam_edu.training import TrainConfig, train

NETWORK = "resnet14"  # two blocks a stage, so that the last of a stage is not all of them
RECIPE, EPOCHS = "smoke", 5
TRAIN_IMAGES, TEST_IMAGES = 4000, 2000
SEEDS = (0, 1, 2)

PLACES: dict[str, dict[str, str]] = {
    "none": {},
    "before the last norm": {"before": "stages.?.?.bn2"},
    "after the last norm": {"after": "stages.?.?.bn2"},
    "last block of a stage": {"before": "stages.?.1.bn2"},
    "stem": {"after": "stem"},
    "head": {"after": "stages"},
    "after the block's relu": {"after": "stages.?.?"},
}
"""Where SimAM stands, as :func:`simam_edu.insert` is told."""
ASKED = ("none", "before the last norm")
"""The places whose trained networks answer the other questions."""


def with_simam(place: str, *, num_classes: int, **_: Any) -> nn.Module:
    """Return the network with SimAM at a place; its weights are those that it has without."""
    network = build(NETWORK, num_classes=num_classes)
    if PLACES[place]:
        insert(network, **PLACES[place])
    return network


for place in PLACES:
    NETWORKS[f"{NETWORK}, SimAM: {place}"] = partial(with_simam, place)


class Lab:
    """The images and the trained networks, each trained when it is first asked for."""

    def __init__(self, dataset: str, epochs: int, count: int, folder: Path) -> None:
        self.train_set = first_of(load(dataset, "train"), count)
        self.test_set = first_of(load(dataset, "test"), min(count, TEST_IMAGES))
        self.epochs, self.folder = epochs, folder
        self.results: dict[tuple[str, int], Any] = {}

    def result(self, place: str, seed: int) -> Any:
        """Return what training gave; a finished run is read from its folder."""
        if (place, seed) not in self.results:
            self.results[place, seed] = self.trained(place, seed)
        return self.results[place, seed]

    def trained(self, place: str, seed: int) -> Any:
        """Train, or go on where an interrupted training was."""
        config = TrainConfig(
            network=f"{NETWORK}, SimAM: {place}", attention="none", recipe=RECIPE, epochs=self.epochs,
            seed=seed, held_out=0.0, device="cpu",
        )  # fmt: skip
        folder = self.folder / f"{place.replace(' ', '-')}-{seed}"
        return train(config, self.train_set, self.test_set, folder=folder)

    def network(self, place: str, seed: int) -> nn.Module:
        """Return a trained network of the caller's own, in evaluation mode."""
        network: nn.Module = copy.deepcopy(self.result(place, seed).network)
        return network

    def test(self) -> tuple[Tensor, Tensor]:
        """Return all test images, normalized, and their labels."""
        return pictures(self.test_set)

    def pixel(self, value: int) -> Tensor:
        """Return a color (3, 1, 1) whose three channels have a value of 0 to 255, normalized."""
        mean, std = torch.tensor(self.test_set.mean), torch.tensor(self.test_set.std)
        return ((value / 255 - mean) / std)[:, None, None]


@torch.no_grad()
def logits(network: nn.Module, x: Tensor) -> Tensor:
    """Return the logits of many images."""
    return torch.cat([network.eval()(batch) for batch in x.split(250)])


def accuracy(out: Tensor, labels: Tensor) -> float:
    """Return the fraction of images whose largest logit is that of their label."""
    return (out.argmax(1) == labels).double().mean().item()
