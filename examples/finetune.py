"""Put SimAM into a network that is trained already, and train it on for a little.

The network is a small ResNet and the images are drawn shapes, so that this runs anywhere in under a minute.
With your own network it is the same three lines; for a ResNet of timm, for example,

    network = timm.create_model("resnet18", pretrained=True, num_classes=10)
    insert(network, before="layer*.bn2")

    python examples/finetune.py
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from simam_edu import insert
from simam_edu.datasets import Split, load
from simam_edu.networks import build
from simam_edu.training import DeviceImages

BATCH = 50


def train(network: nn.Module, images: DeviceImages, *, epochs: int, rate: float) -> None:
    """Train with Adam; the learning rate falls from ``rate`` to 0."""
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    generator = torch.Generator().manual_seed(0)
    network.train()
    for _ in range(epochs):
        for x, labels in images.training_batches(BATCH, generator=generator):
            loss = F.cross_entropy(network(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def first(name: str, split: Split, count: int) -> DeviceImages:
    """Return the first images of a data set."""
    images = load(name, split)
    chosen = replace(images, images=images.images[:count], labels=images.labels[:count], masks=None)
    return DeviceImages.put(chosen, torch.device("cpu"))


@torch.no_grad()
def accuracy(network: nn.Module, images: DeviceImages) -> float:
    """Return the fraction of images that are classified correctly."""
    network.eval()
    right = [network(x).argmax(1) == labels for x, labels in images.plain_batches(250)]
    return torch.cat(right).double().mean().item()


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Train, insert, train on; print and return the accuracy after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6, help="before SimAM comes in; then there is one more")
    parser.add_argument(
        "--images", type=int, default=4000, help="of each set at most, to train on and to test on"
    )
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    train_set, test_set = (first("shapes", split, options.images) for split in ("train", "test"))

    network = build("resnet8", num_classes=10)  # without attention: your network and its weights
    train(network, train_set, epochs=options.epochs, rate=0.005)
    found = {"without SimAM": accuracy(network, test_set)}

    inserted = insert(network, before="stages.*.bn2")  # no weight is added, no key has changed
    print(inserted)
    found["inserted, not trained"] = accuracy(network, test_set)

    # The norms and the filters get used to it; what the epoch does by itself, the chapter measures.
    train(network, train_set, epochs=1, rate=0.001)
    found["one epoch later"] = accuracy(network, test_set)
    for name, value in found.items():
        print(f"{name:<24}{value:.3f}")
    return found


if __name__ == "__main__":
    main()
